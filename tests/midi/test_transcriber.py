# SPDX-License-Identifier: GPL-3.0-or-later
"""The transcriber that comes with the package, and folders of others."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soxr
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from lars_plugin import Stems, transcribe, transcribe_mixture
from lars_plugin.backends.transcription import OpenVINOParts, TorchParts
from lars_plugin.errors import (
    InputError,
    ModelFormatError,
    ModelIntegrityError,
    ModelNotFoundError,
    NonFiniteError,
)
from lars_plugin.midi.heard import hits_in_stems
from lars_plugin.midi.hits import DrumHit
from lars_plugin.midi.live_heard import StrokeStream
from lars_plugin.midi.mel import SAMPLE_RATE, mel_levels, mel_powers
from lars_plugin.midi.scoring import Stroke, add_scores, score_hits
from lars_plugin.midi.transcriber import (
    DEFAULT,
    TRANSCRIBER_FILE,
    WEIGHTS_FILE,
    LarsTranscriber,
    load_transcriber,
    mean_of,
    transcriber_folders,
)
from lars_plugin.networks.transcriber.config import GROUPS, TranscriberConfig
from lars_plugin.networks.transcriber.network import Transcriber as Network

Wave = NDArray[np.float32]
Play = Callable[..., dict[str, Wave]]


@pytest.fixture(scope="module")
def own() -> LarsTranscriber:
    found = load_transcriber()
    assert isinstance(found, LarsTranscriber)
    return found


@pytest.fixture(scope="module")
def stems(play: Play, groove: tuple[DrumHit, ...]) -> dict[str, Wave]:
    return play(groove, seed=1, seconds=9.0)


@pytest.fixture(scope="module")
def mixture(stems: dict[str, Wave]) -> Wave:
    return np.asarray(np.sum(list(stems.values()), axis=0), np.float32)


def score(truth: tuple[DrumHit, ...], found: list[DrumHit], *classes: str) -> float:
    def strokes(hits: object) -> list[Stroke]:
        assert isinstance(hits, list | tuple)
        return [Stroke(hit.time, hit.stem, hit.velocity, hit.articulation) for hit in hits]

    scores = score_hits(strokes(truth), strokes(found), 0.05)
    return add_scores(scores[name] for name in classes).f_measure


def test_it_hears_kick_snare_and_hats_in_a_mixture(
    groove: tuple[DrumHit, ...], mixture: Wave
) -> None:
    found = transcribe_mixture(mixture, SAMPLE_RATE)
    assert score(groove, found, "kick", "snare", "hihat") > 0.8
    assert found == sorted(found)


@pytest.mark.parametrize("rate", [22050, 48000, 96000])
def test_other_rates_are_heard_as_well(
    groove: tuple[DrumHit, ...], mixture: Wave, rate: int
) -> None:
    wave = soxr.resample(mixture.T, SAMPLE_RATE, rate).T
    found = transcribe_mixture(wave, rate)
    assert score(groove, found, "kick", "snare") > 0.75


def test_level_one_sided_and_inverted_channels_do_not_matter(
    own: LarsTranscriber, mixture: Wave
) -> None:
    mono = np.repeat(mixture.mean(0, keepdims=True), 2, axis=0)
    expected = own.hear(mono[:1], SAMPLE_RATE).groups
    inverted = mono * np.array([[1], [-1]], np.float32)
    for other in (mono, inverted, mono * np.float32(1e-3), mono[:1] * 20):
        np.testing.assert_allclose(own.hear(other, SAMPLE_RATE).groups, expected, atol=1e-3)
    left = mono * np.array([[1], [0]], np.float32)
    np.testing.assert_allclose(own.hear(left, SAMPLE_RATE).groups, expected, atol=1e-3)


def test_a_long_recording_is_heard_in_parts_as_in_one(
    own: LarsTranscriber, mixture: Wave, monkeypatch: pytest.MonkeyPatch
) -> None:
    levels = np.concatenate([mel_levels(mel_powers(mixture))] * 4)
    whole = own.hear_levels(levels)
    monkeypatch.setattr("lars_plugin.midi.transcriber._PIECE", 70)
    np.testing.assert_allclose(own.hear_levels(levels).groups, whole.groups, atol=1e-4)
    monkeypatch.setattr("lars_plugin.midi.transcriber._CHUNK", 2500)
    monkeypatch.setattr("lars_plugin.midi.transcriber._CONTEXT", 500)
    # Its memory is long: what is far away changes a chance here and there.
    differences = np.abs(own.hear_levels(levels).groups - whole.groups)
    assert differences.mean() < 1e-3
    assert differences.max() < 0.15


def test_chances_and_shares_are_what_they_say(own: LarsTranscriber, mixture: Wave) -> None:
    heard = own.hear(mixture, SAMPLE_RATE)
    assert heard.velocities is not None
    assert heard.shares is not None
    for values in (heard.strokes, heard.groups, heard.velocities, heard.shares):
        assert ((values >= 0) & (values <= 1)).all()
        assert len(values) == -(-mixture.shape[1] // 441)
    np.testing.assert_allclose(heard.shares.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("samples", [0, 1, 440, 441, 5000])
def test_short_recordings_and_silence_have_no_hits(samples: int) -> None:
    assert transcribe_mixture(np.zeros((2, samples), np.float32), SAMPLE_RATE) == []


def test_with_stems_times_are_exact_and_the_input_stays(
    groove: tuple[DrumHit, ...], stems: dict[str, Wave]
) -> None:
    before = {name: wave.copy() for name, wave in stems.items()}
    found = transcribe(Stems(stems, SAMPLE_RATE), transcriber=DEFAULT)
    assert all((stems[name] == wave).all() for name, wave in before.items())
    kicks = [hit.time for hit in found if hit.stem == "kick"]
    played = np.array([hit.time for hit in groove if hit.stem == "kick"])
    late = [min(abs(played - time)) for time in kicks]
    assert np.median(late) < 0.003


def test_stems_of_a_model_are_heard_by_the_transcriber_and_others_are_not(
    stems: dict[str, Wave],
) -> None:
    made = Stems(stems, SAMPLE_RATE)
    assert transcribe(made, model="lars-mini") == transcribe(
        made, model="lars-mini", transcriber=DEFAULT
    )
    assert transcribe(made) == transcribe(made, transcriber="none")
    assert transcribe(made) != transcribe(made, transcriber=DEFAULT)


def test_stems_of_a_song_are_heard_as_a_whole_and_as_drums(
    own: LarsTranscriber, stems: dict[str, Wave], mixture: Wave
) -> None:
    time = np.arange(mixture.shape[1]) / SAMPLE_RATE
    other = np.tile(0.2 * np.sin(2 * np.pi * 220 * time), (2, 1)).astype(np.float32)
    whole, drums = (own.hear(wave, SAMPLE_RATE) for wave in (mixture + other, mixture))
    heard = mean_of(whole, drums)
    waves = np.stack([stems[name] for name in stems])
    expected = hits_in_stems(waves, SAMPLE_RATE, tuple(stems), heard, own.thresholds)
    found = transcribe(Stems({**stems, "other": other}, SAMPLE_RATE), transcriber=DEFAULT)
    assert [(hit.time, hit.stem, hit.articulation) for hit in found] == [
        (hit.time, hit.stem, hit.articulation) for hit in expected
    ]


def test_what_cannot_be_heard_is_refused(own: LarsTranscriber) -> None:
    with pytest.raises(NonFiniteError):
        own.hear(np.full((1, 9000), np.nan, np.float32), SAMPLE_RATE)
    with pytest.raises(InputError, match="8 kHz"):
        own.hear(np.zeros((1, 9000), np.float32), 4000)
    with pytest.raises(InputError, match="channels"):
        own.hear(np.zeros(9000, np.float32), SAMPLE_RATE)


def test_an_unknown_name_is_told_with_those_there_are() -> None:
    with pytest.raises(ModelNotFoundError, match=DEFAULT):
        load_transcriber("nobody")


def test_a_folder_of_the_user_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(transcriber_folders()[DEFAULT], tmp_path / "mine")
    monkeypatch.setenv("LARS_MODELS_PATH", str(tmp_path))
    assert load_transcriber("mine").name == "mine"
    first, again = load_transcriber(tmp_path / "mine"), load_transcriber("mine")
    assert isinstance(first, LarsTranscriber)
    assert isinstance(again, LarsTranscriber)
    assert first.run is again.run  # loaded once


def broken(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("thresholds:", "limits:"),
        ("hidden:", "width:"),
        ("level_bands: 12", "level_bands: 5"),
        ("kick: 0.", "kick: 7."),
        ("bands: 84", "bands: many"),
        ("network:", "network: {"),
        ("snare/sidestick:", "snare/rim:"),
        ("hihat/open: 0", "hihat/open: .inf # 0"),
        ("biases:", "biases: 3\nmore:"),
    ],
)
def test_a_broken_configuration_is_told_in_one_line(tmp_path: Path, old: str, new: str) -> None:
    folder = tmp_path / "one"
    shutil.copytree(transcriber_folders()[DEFAULT], folder)
    path = folder / TRANSCRIBER_FILE
    path.write_text(broken(path.read_text(), old, new))
    with pytest.raises(ModelFormatError) as caught:
        load_transcriber(folder)
    assert "\n" not in str(caught.value)


def test_weights_of_another_shape_are_told(tmp_path: Path) -> None:
    folder = tmp_path / "one"
    shutil.copytree(transcriber_folders()[DEFAULT], folder)
    path = folder / TRANSCRIBER_FILE
    path.write_text(broken(path.read_text(), "hidden: 96", "hidden: 64"))
    with pytest.raises(ModelFormatError, match=r"weights\.safetensors"):
        load_transcriber(folder)
    (folder / WEIGHTS_FILE).write_bytes(b"no weights")
    with pytest.raises(ModelIntegrityError, match=r"weights\.safetensors"):
        load_transcriber(folder)
    (folder / WEIGHTS_FILE).unlink()
    with pytest.raises(ModelNotFoundError, match=r"weights\.safetensors"):
        load_transcriber(folder)


def test_the_weights_are_small() -> None:
    path = transcriber_folders()[DEFAULT] / WEIGHTS_FILE
    assert path.stat().st_size < 4_000_000
    assert set(load_transcriber().thresholds) == set(GROUPS)


@pytest.mark.parametrize("shape", [{}, {"causal": True, "lookahead": 1, "layers": 1}])
def test_openvino_hears_what_pytorch_hears(
    shape: dict[str, int], mixture: Wave, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LARS_CACHE", str(tmp_path))
    torch.manual_seed(5)
    network = Network(TranscriberConfig(hidden=12, **shape)).eval()  # type: ignore[arg-type]
    run = OpenVINOParts(network.config, lambda: network, {"test": 5}, tmp_path)
    wave = mixture[:, : 3 * SAMPLE_RATE]
    expected = LarsTranscriber.of_network(network, {}).hear(wave, SAMPLE_RATE)
    found = LarsTranscriber(network.config, run, {}).hear(wave, SAMPLE_RATE)
    for name in ("strokes", "groups", "velocities", "shares"):
        np.testing.assert_allclose(
            getattr(found, name), getattr(expected, name), atol=2e-5, err_msg=name
        )


def test_openvino_follows_a_stream_as_pytorch_does(mixture: Wave, tmp_path: Path) -> None:
    torch.manual_seed(6)
    config = TranscriberConfig(hidden=12, causal=True, lookahead=1)
    network = Network(config).eval()
    run = OpenVINOParts(config, lambda: network, {"test": 6}, tmp_path)
    thresholds = dict.fromkeys(GROUPS, 0.3)
    wave = mixture[:, :SAMPLE_RATE]
    streams = [
        StrokeStream(LarsTranscriber(config, one, thresholds), SAMPLE_RATE, 2)
        for one in (run, TorchParts(network))
    ]
    first, second = (stream.push(wave) + stream.flush() for stream in streams)
    assert len(first) > 5
    assert [one[1:3] for one in first] == [one[1:3] for one in second]
    np.testing.assert_allclose([one[0] for one in first], [one[0] for one in second], atol=1e-4)


def test_a_converted_transcriber_needs_no_pytorch(tmp_path: Path) -> None:
    code = (
        "import sys, numpy as np; from lars_plugin.midi.transcriber import load_transcriber;"
        "load_transcriber(backend='openvino').hear(np.ones((1, 44100), np.float32), 44100);"
        "print('torch' in sys.modules)"
    )
    env = {**os.environ, "LARS_CACHE": str(tmp_path)}
    said = [
        subprocess.run(
            [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
        ).stdout.strip()
        for _ in range(2)
    ]
    assert said == ["True", "False"]


@pytest.mark.parametrize("backend", ["torch", "openvino"])
def test_weights_that_are_replaced_are_heard_by_whoever_loads_again(
    backend: str, mixture: Wave, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LARS_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "one"
    shutil.copytree(transcriber_folders()[DEFAULT], folder)
    # A card without a digest: others are refused when the file is another.
    card = folder / TRANSCRIBER_FILE
    card.write_text(card.read_text().split("weights:")[0])
    wave = mixture[:, :SAMPLE_RATE]
    first = load_transcriber(folder, backend=backend).hear(wave, SAMPLE_RATE).groups
    path = folder / WEIGHTS_FILE
    weights = load_file(path)
    weights = {
        name: value * 0.5 if value.is_floating_point() else value for name, value in weights.items()
    }
    save_file(weights, path)
    second = load_transcriber(folder, backend=backend).hear(wave, SAMPLE_RATE).groups
    assert np.abs(second - first).max() > 0.01
    other = "torch" if backend == "openvino" else "openvino"
    again = load_transcriber(folder, backend=other).hear(wave, SAMPLE_RATE).groups
    np.testing.assert_allclose(second, again, atol=1e-4)


def test_a_backend_that_transcribers_lack_is_named() -> None:
    with pytest.raises(InputError, match="torch or openvino, not 'onnx'"):
        load_transcriber(backend="onnx")
