# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from lars_plugin.audio import read_audio
from lars_plugin.cli import main
from lars_plugin.demo import draw_stems, perform
from lars_plugin.evaluation.metrics import is_sounding, sdr
from lars_plugin.stems import Stems


@pytest.fixture(scope="module")
def performance() -> Stems:
    return perform()


def test_the_performance_is_twelve_seconds_of_six_drums_that_all_sound(performance: Stems) -> None:
    assert tuple(performance) == ("kick", "snare", "toms", "hihat", "ride", "crash")
    assert (performance.channels, performance.samples) == (2, 12 * 44100)
    mixture = performance.sum()
    assert np.abs(mixture).max() == pytest.approx(0.9, abs=1e-3)
    for wave in performance.values():
        assert np.isfinite(wave).all()
        assert is_sounding(wave, mixture)


def test_the_performance_is_stereo_varied_and_rings_out(performance: Stems) -> None:
    toms = performance["toms"]
    assert np.abs(toms[0] - toms[1]).max() > 0.1
    hits = performance["hihat"].max(axis=0)[: 4 * 44100].reshape(-1, 4410).max(axis=1)
    assert len(np.unique(np.round(hits[hits > 0.01], 3))) > 8
    assert np.abs(performance.sum()[:, -100:]).max() < 0.01


def test_the_same_seed_gives_the_same_performance_and_another_one_another(
    performance: Stems,
) -> None:
    again, other = perform(), perform(seed=1)
    np.testing.assert_array_equal(performance.sum(), again.sum())
    assert np.abs(performance.sum() - other.sum()).max() > 0.1


def pixels(path: Path) -> np.ndarray:
    from matplotlib.image import imread

    image: np.ndarray = imread(path)[..., :3]
    return image


def test_the_picture_shows_each_stem_where_it_sounds(tmp_path: Path) -> None:
    wave = np.zeros((2, 44100), np.float32)
    early, late = wave.copy(), wave.copy()
    sound = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 10000))
    early[:, 5000:15000] = sound
    late[:, 30000:40000] = sound
    stems = Stems({"kick": early, "snare": late}, 44100)
    draw_stems(tmp_path / "a" / "stems.png", stems.sum(), stems, {"kick": "1 dB"})
    image = pixels(tmp_path / "a" / "stems.png")
    height, width, _ = image.shape
    assert width > 1000
    lane = height // 3
    red = (image[..., 0] > 0.9) & (image[..., 2] < 0.5)  # the first two colours are warm
    for number, expected in ((1, "left"), (2, "right")):
        rows = red[number * lane : (number + 1) * lane, width // 10 : -width // 8]
        columns = np.flatnonzero(rows.sum(axis=0) > lane // 8) / rows.shape[1]
        assert len(columns) > 0.1 * rows.shape[1]
        assert (columns.max() < 0.5) if expected == "left" else (columns.min() > 0.5)


def test_the_demo_writes_all_and_prints_scores_folder_and_picture(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], performance: Stems
) -> None:
    out = tmp_path / "demo"
    assert main(["demo", "-o", str(out), "-m", str(tiny), "-d", "cpu"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2:] == [f"folder:  {out}", f"picture: {out / 'stems.png'}"]
    assert lines[0].startswith("12.0 s of drums separated by tiny in ")
    mixture = read_audio(out / "mix.wav")[0]
    np.testing.assert_allclose(mixture, performance.sum(), atol=2**-23)
    for name, wave in performance.items():
        np.testing.assert_allclose(
            read_audio(out / "reference" / f"{name}.wav")[0], wave, atol=2**-23
        )
        (line,) = (line for line in lines if line.startswith(f"  {name} "))
        score = sdr(wave, read_audio(out / "stems" / f"{name}.wav")[0])
        assert line.split()[1:] == [f"{score:.1f}", "dB"]
    assert soundfile.info(out / "stems" / "kick.wav").frames == 12 * 44100
    assert pixels(out / "stems.png").std() > 0.1


def test_a_demo_that_cannot_be_written_is_one_line(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert main(["demo", "-o", str(tmp_path / "file"), "-m", str(tiny), "-d", "cpu"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("lars: error: cannot write ")
    assert err.count("\n") == 1
