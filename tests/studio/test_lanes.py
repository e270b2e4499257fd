# SPDX-License-Identifier: GPL-3.0-or-later
"""What the page draws and plays is what lies in the files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from lars_plugin.studio.lanes import Overview, overview, peaks, samples, spectrogram
from lars_plugin.studio.levels import k_weighting, products
from tests.studio.servers import RATE, Client, recording


@pytest.fixture(scope="module")
def wave(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, NDArray[np.float32]]:
    path = tmp_path_factory.mktemp("lanes") / "lane.wav"
    data = np.random.default_rng(1).uniform(-0.9, 0.9, (70001, 2)).astype(np.float32)
    soundfile.write(path, data, RATE, subtype="FLOAT")
    return path, data


@pytest.mark.parametrize("size", [1, 255, 256, 257, 4096, 70001])
def test_an_overview_does_not_depend_on_how_the_lane_is_cut(
    wave: tuple[Path, NDArray[np.float32]], size: int
) -> None:
    data = wave[1][:5000] if size == 1 else wave[1]
    view = Overview(len(data))
    for start in range(0, len(data), size):
        view.add(data[start : start + size].T)
    pairs = view.finish()
    assert len(pairs) == -(-len(data) // 256)
    for index in (0, 7, len(pairs) - 1):
        part = data[index * 256 : (index + 1) * 256]
        expected = np.round(np.array([part.min(), part.max()]) * 32767)
        assert np.abs(pairs[index] - expected).max() <= 1
    assert view.peak == np.abs(data).max()


def test_an_overview_is_kept_and_made_again_when_the_lane_has_changed(
    wave: tuple[Path, NDArray[np.float32]], tmp_path: Path
) -> None:
    kept = tmp_path / "lane.peaks"
    bucket, pairs, peak = overview(wave[0], kept)
    assert (bucket, len(pairs)) == (256, 4 * 274)
    assert peak == pytest.approx(np.abs(wave[1]).max())
    assert overview(wave[0], kept) == (bucket, pairs, peak)


def test_hours_have_no_larger_overview_than_minutes() -> None:
    assert Overview(RATE * 3600 * 3).bucket * (1 << 17) >= RATE * 3600 * 3


def test_samples_are_those_of_the_files(wave: tuple[Path, NDArray[np.float32]]) -> None:
    path, data = wave
    got = np.frombuffer(samples([path, path], 69990, 100), "<f4").reshape(2, 2, 11)
    assert np.array_equal(got[0], data[69990:].T)
    assert np.array_equal(got[1], got[0])
    assert samples([path], 10**9, 100) == b""


def test_peaks_of_a_part_are_of_that_part(wave: tuple[Path, NDArray[np.float32]]) -> None:
    pairs = np.frombuffer(peaks(wave[0], 1000, 64, 64), "<i2").reshape(64, 2)
    expected = np.round(wave[1][1000:1064] * 32767)
    assert np.abs(pairs[:, 0] - expected.min(axis=1)).max() <= 1
    assert np.abs(pairs[:, 1] - expected.max(axis=1)).max() <= 1


def test_a_spectrogram_shows_a_tone_where_it_is(tmp_path: Path) -> None:
    time = np.arange(RATE) / RATE
    tone = np.sin(2 * np.pi * 1000 * time) * (time >= 0.5)
    soundfile.write(tmp_path / "tone.wav", tone, RATE, subtype="FLOAT")
    data = spectrogram(tmp_path / "tone.wav", 0, RATE, 20, 96)
    shades = np.frombuffer(data, np.uint8).reshape(96, 20)
    row = np.argmax(shades[:, 15])
    frequency = 30 * (20000 / 30) ** ((row + 0.5) / 96)
    assert 0.9 < frequency / 1000 < 1.1
    assert shades[row, 15] > 240
    assert shades[:, :8].max() == 0


def test_k_weighting_is_that_of_the_recommendation() -> None:
    # The coefficients that ITU-R BS.1770 gives for 48 kHz.
    shelf, high_pass = k_weighting(48000)
    assert shelf[:3] == pytest.approx([1.53512486, -2.69169619, 1.19839281], abs=1e-6)
    assert shelf[4:] == pytest.approx([-1.69065929, 0.73248077], abs=1e-6)
    assert high_pass[4:] == pytest.approx([-1.99004745, 0.99007225], abs=1e-6)
    assert high_pass[:3] / high_pass[0] == pytest.approx([1.0, -2.0, 1.0])


def test_products_give_the_power_of_any_mix(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    waves = rng.standard_normal((2, RATE, 2)).astype(np.float32) * 0.1
    paths = [tmp_path / "a.wav", tmp_path / "b.wav", tmp_path / "mix.wav"]
    mixed = [waves[0], waves[1], 0.5 * waves[0] - 2.0 * waves[1]]
    for path, data in zip(paths, mixed, strict=True):
        soundfile.write(path, data, RATE, subtype="FLOAT")
    found = products(paths)
    assert found is not None
    matrix = np.array(found["matrix"])
    weights = np.zeros((2, 6))
    weights[0, [0, 2]] = weights[1, [1, 3]] = 0.5, -2.0
    power = np.einsum("si,ij,sj->s", weights, matrix, weights)
    assert power == pytest.approx([matrix[4, 4], matrix[5, 5]], rel=1e-4)


def test_the_page_asks_for_no_more_than_one_answer_holds(client: Client, tmp_path: Path) -> None:
    job = client.upload(recording(tmp_path / "a.wav"), model="tiny")
    client.wait(job["id"])
    base = f"/api/jobs/{job['id']}"
    for query in (
        "samples?start=0&frames=99999999",
        "samples?start=-1&frames=5",
        "samples?start=x&frames=5",
        "samples?frames=5",
        "samples?start=0&frames=5&lanes=kick,nothing",
        "peaks/kick?start=0&frames=10&columns=99999",
        "spectrogram/kick?start=0&frames=10&columns=10&rows=9999",
    ):
        assert client.error("GET", f"{base}/{query}")[0] == 400, query


def test_a_lane_whose_file_is_gone_says_so(client: Client, tmp_path: Path) -> None:
    job: dict[str, Any] = client.upload(recording(tmp_path / "gone.wav"), model="tiny")
    job = client.wait(job["id"], hits="done")
    root = Path(job["source"]).parents[3]
    (root / job["folder"] / "kick.wav").unlink()
    status, message = client.error("GET", f"/api/jobs/{job['id']}/samples?start=0&frames=9")
    assert status == 400
    assert "kick.wav is gone" in message
