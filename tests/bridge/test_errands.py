# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine does beside separating: FETCH a model's weights, CONVERT audio files."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from lars_plugin.audio import read_audio
from lars_plugin.bridge.engine.offers import describe, fetch_weights
from lars_plugin.bridge.local_engine import EngineThread
from lars_plugin.bridge.protocol import limits, messages
from lars_plugin.errors import (
    AudioFileError,
    BridgeError,
    CancelledError,
    InputError,
    LarsError,
    ModelNotFoundError,
)
from lars_plugin.testing import IdentityModel
from lars_plugin.zoo import list_models
from lars_plugin.zoo.registry import find_weights, get_config

RATE = 44100


def _slowly(name: str, progress: Callable[[int, int], bool | None]) -> Path:
    """A download that ends only by being cancelled."""
    for done in range(10_000):
        if progress(done, 10_000) is False:
            raise CancelledError(f"cancelled after {done} bytes of {name}")
        time.sleep(0.01)
    raise AssertionError("never cancelled")


@pytest.fixture
def engine() -> Iterator[EngineThread]:
    models = {"identity": IdentityModel, "remote": IdentityModel}
    with EngineThread(
        models,
        installed=lambda name: name != "remote",
        describe=lambda name: {"purpose": f"for {name}", "bytes": 10_000},
        fetch=_slowly,
    ) as engine:
        yield engine


@pytest.fixture
def sine() -> np.ndarray:
    time_axis = np.arange(3 * RATE) / RATE
    return np.stack([0.4 * np.sin(2 * np.pi * f * time_axis) for f in (440.0, 700.0)])


def test_status_tells_of_each_model_what_it_is_for_and_whether_it_is_here(
    engine: EngineThread,
) -> None:
    with engine.client() as client:
        assert client.status()["offers"] == [
            {"name": "identity", "weights": True, "purpose": "for identity", "bytes": 10_000},
            {"name": "remote", "weights": False, "purpose": "for remote", "bytes": 10_000},
        ]


def test_every_model_of_the_zoo_is_described_for_a_menu() -> None:
    for config in list_models():
        told = describe(config)
        assert told["purpose"] == config.description
        assert told["stems"] == list(config.stems)
        assert told["made_for"] in ("live", "files")
    live = describe(next(one for one in list_models() if one.name == "lars-live"))
    assert live["made_for"] == "live"
    assert live["live_ms"] == 34.4  # docs/live.md, blocks of 512


def test_a_download_tells_how_far_it_is_and_is_cancelled_within_half_a_second(
    engine: EngineThread,
) -> None:
    seen: list[tuple[int, int]] = []
    cancelled: list[float] = []

    def progress(done: int, total: int) -> bool:
        seen.append((done, total))
        if done < 20:
            return True
        cancelled.append(time.monotonic())
        return False

    with engine.client() as client:
        with pytest.raises(CancelledError):
            client.fetch_model("remote", progress=progress)
        assert time.monotonic() - cancelled[0] < 5.0  # half a second on an idle machine
        assert [done for done, _ in seen] == sorted(done for done, _ in seen)
        assert seen[-1][1] == 10_000
        # The connection goes on, and takes the next job.
        with pytest.raises(ModelNotFoundError, match="no model 'other'"):
            client.fetch_model("other")
        client.ping()


def test_the_weights_of_all_parts_are_fetched_and_the_last_file_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = ("lars-live", "lars-mini")  # in the package, so already here
    (tmp_path / "both").mkdir()
    (tmp_path / "both" / "config.yaml").write_text(
        "name: both\narchitecture: ensemble\nsample_rate: 44100\nchannels: 2\n"
        "license: GPL-3.0-or-later\ndescription: Two models of the package\n"
        "stems: [kick, snare, toms, hihat, ride, crash]\n"
        "chunking: {chunk_size: 261120, overlap: 4, convention: msst}\n"
        f"network: {{models: [{', '.join(parts)}]}}\n"
    )
    monkeypatch.setenv("LARS_MODELS_PATH", str(tmp_path))
    seen: list[tuple[int, int]] = []
    with (
        EngineThread({"both": IdentityModel}, fetch=fetch_weights) as engine,
        engine.client() as client,
    ):
        path = client.fetch_model("both", progress=lambda *far: seen.append(far))
    files = [find_weights(get_config(part)) for part in parts]
    whole = sum(file.stat().st_size for file in files)
    assert path == files[-1]
    assert seen[-1] == (whole, whole)


def test_an_engine_with_models_of_its_own_downloads_none() -> None:
    with (
        EngineThread({"identity": IdentityModel}) as engine,
        engine.client() as client,
        pytest.raises(ModelNotFoundError, match="downloads no models"),
    ):
        client.fetch_model("identity")


@pytest.mark.parametrize(("name", "kind"), [("a.mp3", "MP3"), ("a.ogg", "OGG"), ("a.flac", "FLAC")])
def test_what_the_engine_reads_becomes_the_wav_that_it_hears(
    engine: EngineThread, tmp_path: Path, sine: np.ndarray, name: str, kind: str
) -> None:
    source, target = tmp_path / name, tmp_path / "made.wav"
    soundfile.write(source, sine.T, RATE, format=kind)
    wanted, _ = read_audio(source)
    with engine.client() as client:
        made = client.convert_file(source, target)
    assert (made.sample_rate, made.channels, made.frames) == (RATE, 2, wanted.shape[1])
    heard, rate = soundfile.read(target, dtype="float32", always_2d=True)
    assert rate == RATE
    np.testing.assert_array_equal(heard.T, wanted)


@pytest.mark.parametrize("rate", [22050, 48000, 96000])
def test_another_rate_keeps_the_sound_in_its_place_and_the_length_exact(
    engine: EngineThread, tmp_path: Path, sine: np.ndarray, rate: int
) -> None:
    source, target = tmp_path / "a.wav", tmp_path / "made.wav"
    soundfile.write(source, sine.T, RATE, subtype="FLOAT")
    with engine.client() as client:
        made = client.convert_file(source, target, sample_rate=rate)
    frames = 3 * rate
    assert (made.sample_rate, made.frames) == (rate, frames)
    heard, _ = soundfile.read(target, dtype="float32", always_2d=True)
    axis = np.arange(frames) / rate
    wanted = np.stack([0.4 * np.sin(2 * np.pi * f * axis) for f in (440.0, 700.0)])
    middle = slice(rate // 10, -rate // 10)
    np.testing.assert_allclose(heard.T[:, middle], wanted[:, middle], atol=1e-4)


@pytest.mark.parametrize("channels", [1, 6, limits.MAX_CHANNELS])
def test_all_channels_are_converted_as_floats_and_a_file_in_the_way_is_replaced(
    engine: EngineThread, tmp_path: Path, channels: int
) -> None:
    wave = np.random.default_rng(1).uniform(-1, 1, (500, channels)).astype(np.float32)
    source, target = tmp_path / "a.wav", tmp_path / "made.wav"
    soundfile.write(source, wave, RATE, subtype="FLOAT")
    target.write_text("in the way")
    with engine.client() as client:
        made = client.convert_file(source, target, bits="")
    assert (made.channels, made.frames) == (channels, 500)
    assert soundfile.info(target).subtype == "FLOAT"
    heard, _ = soundfile.read(target, dtype="float32", always_2d=True)
    np.testing.assert_array_equal(heard, wave)


def test_what_cannot_be_converted_is_told_of_and_leaves_no_file(
    engine: EngineThread, tmp_path: Path
) -> None:
    words = tmp_path / "words.mp3"
    words.write_text("not audio at all " * 100)
    audio = tmp_path / "a.wav"
    soundfile.write(audio, np.zeros((100, 2)), RATE)
    many = tmp_path / "many.wav"
    soundfile.write(many, np.zeros((100, limits.MAX_CHANNELS + 1)), RATE)
    target = tmp_path / "made.wav"
    refused: list[tuple[Path, Path, float, type[LarsError]]] = [
        (words, target, 0.0, AudioFileError),
        (tmp_path / "nowhere.mp3", target, 0.0, AudioFileError),
        (tmp_path, target, 0.0, AudioFileError),
        (many, target, 0.0, InputError),
        (audio, tmp_path / "made.mp3", 0.0, InputError),
        (audio, target, 44100.5, InputError),
        (audio, target, -1.0, InputError),
        (audio, target, 1e9, InputError),
    ]
    with engine.client() as client:
        for source, wanted, rate, kind in refused:
            with pytest.raises(kind):
                client.convert_file(source, wanted, sample_rate=rate)
        assert not target.exists()
        assert client.convert_file(audio, target).frames == 100
    assert {path.name for path in tmp_path.iterdir()} == {
        "words.mp3",
        "a.wav",
        "many.wav",
        "made.wav",
    }


def test_an_engine_of_version_1_is_not_asked_for_what_it_does_not_know(
    engine: EngineThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    with engine.client() as client:
        monkeypatch.setattr(client._live_link(), "version", 1)
        with pytest.raises(BridgeError, match="too old"):
            client.fetch_model("remote")


def test_a_client_of_version_1_goes_on_as_before(engine: EngineThread) -> None:
    monkey = pytest.MonkeyPatch()
    with monkey.context() as patch:
        patch.setattr("lars_plugin.bridge.client.link.limits.VERSION_MAX", 1)
        client = engine.client()
    with client:
        assert client.engine.version == 1
        client.open("identity", RATE, 2, mode="offline")
        wave = np.random.default_rng(0).uniform(-1, 1, (2, 1000)).astype(np.float32)
        np.testing.assert_allclose(client.separate(wave).sum(), wave, atol=1e-6)
    assert messages.Fetch.SINCE == 2
