# SPDX-License-Identifier: GPL-3.0-or-later
"""What is taken away is what the command line writes, to the bit."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from lars_plugin.cli import main
from lars_plugin.studio.exports import panned
from tests.studio.servers import Client, recording


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recording(tmp_path_factory.mktemp("songs") / "song.wav", 3.3)


@pytest.fixture(scope="module")
def job(client: Client, song: Path) -> dict[str, Any]:
    made = client.upload(song, model="tiny", preset="fast", redistribute=True)
    return client.wait(made["id"], hits="done")


@pytest.fixture
def lars(monkeypatch: pytest.MonkeyPatch, models: Path) -> None:
    monkeypatch.setenv("LARS_MODELS_PATH", str(models))
    monkeypatch.setenv("LARS_BACKEND", "torch")


OPTIONS = ("--model", "tiny", "--preset", "fast", "--redistribute")


@pytest.mark.parametrize(("kind", "bits"), [("wav", "16"), ("wav", "24"), ("wav", "32f"),
    ("flac", "16"), ("flac", "24")])  # fmt: skip
@pytest.mark.usefixtures("lars")
def test_the_zip_holds_the_files_of_lars_separate(client: Client, job: dict[str, Any], song: Path,
    tmp_path: Path, kind: str, bits: str) -> None:  # fmt: skip
    command = ["separate", str(song), "-o", str(tmp_path), "-f", kind, "--bits", bits, "-q"]
    assert main([*command, *OPTIONS]) == 0
    data = client.get(f"/api/jobs/{job['id']}/stems.zip?format={kind}&bits={bits}")
    archive = zipfile.ZipFile(io.BytesIO(data))
    assert archive.namelist() == [f"song/{stem}.{kind}" for stem in job["stems"]]
    for stem in job["stems"]:
        same = (tmp_path / "song" / f"{stem}.{kind}").read_bytes()
        assert archive.read(f"song/{stem}.{kind}") == same
        assert client.get(f"/api/jobs/{job['id']}/stems/{stem}.{kind}?bits={bits}") == same


@pytest.mark.parametrize(("name", "rate", "channels"), [
    ("mono.wav", 48000, 1), ("stereo.flac", 96000, 2), ("lossy.mp3", 48000, 2),
])  # fmt: skip
@pytest.mark.usefixtures("lars")
def test_every_kind_of_recording_comes_out_as_from_lars_separate(client: Client, tmp_path: Path,
    name: str, rate: int, channels: int) -> None:  # fmt: skip
    path = tmp_path / name
    wave = np.random.default_rng(5).standard_normal((30001, channels)) * 0.1
    soundfile.write(path, wave, rate)
    made = client.wait(client.upload(path, model="tiny", residual=True)["id"])
    assert made["stems"][-1] == "residual"
    for kind, bits in (("flac", "16"), ("wav", "24"), ("wav", "32f")):
        out = tmp_path / f"{kind}{bits}"
        command = ["separate", str(path), "-o", str(out), "-f", kind, "--bits", bits, "-q"]
        assert main([*command, "-m", "tiny", "--residual"]) == 0
        for stem in made["stems"]:
            same = (out / path.stem / f"{stem}.{kind}").read_bytes()
            address = f"/api/jobs/{made['id']}/stems/{stem}.{kind}?bits={bits}"
            assert client.get(address) == same, stem


@pytest.mark.usefixtures("lars")
def test_loud_stems_are_lowered_as_lars_separate_does(client: Client, tmp_path: Path) -> None:
    loud = tmp_path / "loud.wav"
    wave = np.random.default_rng(3).standard_normal((20000, 2)) * 3
    soundfile.write(loud, wave, 44100, subtype="FLOAT")
    made = client.wait(client.upload(loud, model="tiny")["id"], hits="done")
    assert max(made["peaks"][stem] for stem in made["stems"]) > 1
    command = ["separate", str(loud), "-o", str(tmp_path), "-m", "tiny", "--bits", "16", "-q"]
    assert main([*command, "--rescale"]) == 0
    base = f"/api/jobs/{made['id']}/stems"
    for stem in made["stems"]:
        same = (tmp_path / "loud" / f"{stem}.wav").read_bytes()
        assert client.get(f"{base}/{stem}.wav?bits=16&rescale=1") == same


@pytest.mark.parametrize(("query", "options"), [
    ("map=gm&bpm=120", ()),
    ("map=superior&bpm=auto", ("--note-map", "superior", "--bpm", "auto")),
    ("bpm=97.5&quantise=1/16&strength=0.5",
     ("--bpm", "97.5", "--quantise", "1/16", "--strength", "0.5")),
])  # fmt: skip
@pytest.mark.usefixtures("lars")
def test_midi_is_that_of_lars_midi(client: Client, job: dict[str, Any], song: Path,
    tmp_path: Path, query: str, options: tuple[str, ...]) -> None:  # fmt: skip
    out = tmp_path / "song.mid"
    assert main(["midi", str(song), "-o", str(out), "-q", *OPTIONS, *options]) == 0
    data = client.get(f"/api/jobs/{job['id']}/hits.mid?{query}")
    assert data == out.read_bytes()


def test_hits_have_class_articulation_and_velocity(client: Client, job: dict[str, Any]) -> None:
    hits = client.json(f"/api/jobs/{job['id']}/hits")
    assert hits
    for hit in hits:
        assert hit["stem"] in job["stems"]
        assert hit["articulation"]
        assert 1 <= hit["velocity"] <= 127


def test_the_picture_is_a_picture(client: Client, job: dict[str, Any]) -> None:
    assert client.get(f"/api/jobs/{job['id']}/report.png").startswith(b"\x89PNG")


def stems_of(client: Client, job: dict[str, Any]) -> dict[str, NDArray[np.float64]]:
    found = {}
    for stem in job["stems"]:
        data = client.get(f"/api/jobs/{job['id']}/stems/{stem}.wav?bits=32f")
        found[stem] = soundfile.read(io.BytesIO(data), dtype="float64")[0].T
    return found


def remix(client: Client, job: dict[str, Any], mix: dict[str, Any]) -> NDArray[np.float64]:
    text = quote(json.dumps(mix))
    data = client.get(f"/api/jobs/{job['id']}/remix.wav?bits=32f&mix={text}")
    wave: NDArray[np.float64] = soundfile.read(io.BytesIO(data), dtype="float64")[0].T
    return wave


def test_a_remix_is_the_sum_of_its_faders(client: Client, job: dict[str, Any]) -> None:
    stems = stems_of(client, job)
    flat = remix(client, job, {stem: {} for stem in job["stems"]})
    assert np.abs(flat - sum(stems.values())).max() < 1e-6
    moved = remix(client, job, {"kick": {"gain": -6.0}, "snare": {"pan": -0.5}})
    expected = 10 ** (-6 / 20) * stems["kick"] + panned(stems["snare"].astype(np.float32), -0.5)
    assert np.abs(moved - expected).max() < 1e-6
    assert np.abs(remix(client, job, {})).max() == 0


@pytest.mark.parametrize("mix", ["", "[]", '{"nothing":{}}', '{"kick":{"gain":"x"}}',
    '{"kick":{"gain":99}}', '{"kick":{"pan":2}}', '{"kick":3}', '{"kick":{"gain":NaN}}',
    '{"kick":{"gain":1' + "0" * 400 + "}}", "[" * 20000])  # fmt: skip
def test_invalid_mixes_are_refused(client: Client, job: dict[str, Any], mix: str) -> None:
    status, message = client.error("GET", f"/api/jobs/{job['id']}/remix.wav?mix={quote(mix)}")
    assert status == 400
    assert message


@pytest.mark.parametrize(
    ("file", "bits"), [("kick.mp3", "24"), ("kick.wav", "8"), ("kick.flac", "32f")]
)
def test_formats_that_cannot_be_written_are_refused(client: Client, job: dict[str, Any],
    file: str, bits: str) -> None:  # fmt: skip
    assert client.error("GET", f"/api/jobs/{job['id']}/stems/{file}?bits={bits}")[0] == 400


def test_nothing_is_left_of_what_was_taken_away(client: Client, job: dict[str, Any]) -> None:
    folder = Path(job["source"]).parents[2] / "temporary"
    client.get(f"/api/jobs/{job['id']}/stems.zip?format=wav&bits=16")
    client.get("/api/state")
    assert list(folder.iterdir()) == []
