# SPDX-License-Identifier: GPL-3.0-or-later
"""ADTOF against golden vectors that its own code made from weights and inputs by a formula."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.numpy import load_file

from lars_plugin.errors import (
    InputError,
    ModelError,
    ModelFormatError,
    ModelIntegrityError,
    ModelNotFoundError,
    NonFiniteError,
)
from lars_plugin.midi import adtof as adtof_room
from lars_plugin.midi.adtof import AdtofTranscriber
from lars_plugin.midi.heard import hits_in_mixture, hits_in_stems, strokes_heard
from lars_plugin.midi.log_spectrum import log_filters, log_spectrum
from lars_plugin.midi.picking import standing_out
from lars_plugin.midi.transcribe import transcribe_mixture
from lars_plugin.midi.transcriber import Activations, load_transcriber, pieces
from lars_plugin.networks.transcriber.config import GROUPS, STROKES

GOLDEN = load_file(Path(__file__).parents[1] / "golden" / "adtof.safetensors")
RATE = 44100
THRESHOLDS = dict.fromkeys(GROUPS, 0.3)

Floats = NDArray[np.float32]

_CHANNELS, _HIDDEN, _WIDTH = (1, 32, 64), 60, 640


def noise(shape: tuple[int, ...], seed: int) -> NDArray[np.float64]:
    """Values in [-1, 1) that are the same everywhere and for ever: hashed integers."""
    values = np.arange(np.prod(shape), dtype=np.uint64) + np.uint64(seed * 1_000_003)
    for _ in range(2):
        values = ((values ^ (values >> np.uint64(16))) * np.uint64(0x45D9F3B)) & np.uint64(
            2**32 - 1
        )
    values ^= values >> np.uint64(16)
    return np.asarray(values / 2**31 - 1, np.float64).reshape(shape)


def shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes of the published state dict, in its order."""
    found: dict[str, tuple[int, ...]] = {}
    for block in (0, 1):
        outputs = _CHANNELS[block + 1]
        for layer, inputs in ((0, _CHANNELS[block]), (3, outputs)):
            name = f"cnn_blocks.{block}"
            found[f"{name}.{layer}.weight"] = (outputs, inputs, 3, 3)
            found[f"{name}.{layer}.bias"] = (outputs,)
            for key in ("weight", "bias", "running_mean", "running_var"):
                found[f"{name}.{layer + 2}.{key}"] = (outputs,)
    for layer in range(3):
        for end in ("", "_reverse"):
            name = f"gru_layers.{layer}"
            found[f"{name}.weight_ih_l0{end}"] = (3 * _HIDDEN, 2 * _HIDDEN if layer else _WIDTH)
            found[f"{name}.weight_hh_l0{end}"] = (3 * _HIDDEN, _HIDDEN)
            found[f"{name}.bias_ih_l0{end}"] = (3 * _HIDDEN,)
            found[f"{name}.bias_hh_l0{end}"] = (3 * _HIDDEN,)
    return found | {"output_layer.weight": (5, 2 * _HIDDEN), "output_layer.bias": (5,)}


def state() -> dict[str, NDArray[np.float64]]:
    """A state dict of the full size, float64 as the published one."""
    made = {}
    for number, (key, shape) in enumerate(shapes().items()):
        values = noise(shape, number)
        if key.endswith("running_var"):
            made[key] = 1 + 0.5 * values
        elif len(shape) == 1:
            norm = key.startswith("cnn_blocks") and key.endswith("weight")
            made[key] = 1 + 0.5 * values if norm else 0.2 * values
        else:
            made[key] = values * (6 / np.prod(shape[1:])) ** 0.5
    return made


def levels(frames: int = 24) -> Floats:
    """A spectrogram ``(frames, 84)``."""
    return np.abs(noise((frames, 84), 1000)).astype(np.float32)


def wave(samples: int = 3528) -> Floats:
    """A recording ``(samples,)`` at 44.1 kHz: a falling tone and fading noise."""
    time = np.arange(samples) / 44100
    tone = np.sin(2 * np.pi * (60 * time + 20 * np.exp(-20 * time)))
    return np.asarray(0.6 * tone + 0.3 * noise((samples,), 2000) * np.exp(-30 * time), np.float32)


def chances(frames: int = 400) -> Floats:
    """Activations ``(frames,)`` in [0, 1] with peaks of all heights, some of them twins."""
    return np.asarray(np.clip(noise((frames,), 3000), 0, 1) ** 2, np.float32)


class _Code:
    """An object in a file, as a careless checkpoint has it."""


def save(folder: Path, content: Any, **weights: Any) -> Path:
    """A transcriber's folder with these weights: bytes, or what torch.save is given."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "weights.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    text = "architecture: adtof\nthresholds: {"
    text += ", ".join(f"{group}: {value}" for group, value in THRESHOLDS.items())
    text += "}\nweights:\n  file: weights.pth\n  format: checkpoint\n"
    text += "".join(f"  {key}: {value}\n" for key, value in weights.items())
    (folder / "transcriber.yaml").write_text(text, encoding="utf-8")
    return folder


def tensors(values: Mapping[str, NDArray[np.float64]]) -> dict[str, torch.Tensor]:
    return {key: torch.from_numpy(value) for key, value in values.items()}


@pytest.fixture(scope="module")
def adtof(tmp_path_factory: pytest.TempPathFactory) -> AdtofTranscriber:
    folder = tmp_path_factory.mktemp("adtof")
    # As it is published: tensors beside a table of facts.
    content = {"model_weights": tensors(state()), "model_info": {"layers": 3, "name": "x"}}
    loaded = load_transcriber(save(folder, content))
    assert isinstance(loaded, AdtofTranscriber)
    return loaded


def test_the_published_names_load_unchanged_and_give_the_chances_of_its_own_code(
    adtof: AdtofTranscriber,
) -> None:
    assert sum(value.size for value in state().values()) == 450_125
    made = adtof.chances(levels())
    assert made.dtype == np.float32
    np.testing.assert_allclose(made, GOLDEN["chances"], atol=1e-5)


def test_levels_are_those_of_its_own_code() -> None:
    np.testing.assert_allclose(log_spectrum(wave()[None]), GOLDEN["levels"], atol=1e-5)
    halves = np.stack([2 * wave(), np.zeros_like(wave())])
    np.testing.assert_allclose(log_spectrum(halves), GOLDEN["levels"], atol=1e-5)
    assert log_filters().shape == (84, 1024)
    np.testing.assert_allclose(log_filters().sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("threshold", [0.2, 0.32, 0.6])
def test_peaks_are_those_of_its_own_code(threshold: float) -> None:
    picked = standing_out(chances(), threshold)
    assert picked.frames.tolist() == GOLDEN[f"picked.{threshold:g}"].tolist()
    assert picked.moments.tolist() == picked.frames.tolist()
    assert (picked.heights >= threshold).all()


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(0, 1, width=32), max_size=60), st.floats(0.05, 0.9))
def test_peaks_lie_apart_and_none_are_found_in_what_stays_alike(
    values: list[float], threshold: float
) -> None:
    row = np.asarray(values, np.float32)
    assert (np.diff(standing_out(row, threshold).frames) > 1).all()
    assert not len(standing_out(np.full_like(row, 0.9), threshold).frames)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 5000), st.integers(1, 3))
def test_a_frame_lies_at_every_10_ms_up_to_the_end(samples: int, channels: int) -> None:
    made = log_spectrum(np.zeros((channels, samples), np.float32))
    assert made.shape == ((1 + samples // 441) if samples else 0, 84)
    assert not made.any()


@settings(deadline=None)
@given(st.integers(0, 40000))
def test_pieces_keep_every_frame_once_and_are_heard_with_what_is_around(frames: int) -> None:
    kept = 0
    for heard, inside in pieces(frames, 60, 7):
        assert heard.start + inside.start == kept
        assert inside.start >= min(kept, 7)
        kept = heard.start + inside.stop
        assert heard.stop >= min(frames, kept + 7)
    assert kept == frames


def test_a_long_recording_is_heard_in_pieces_as_it_is_heard_at_once(
    adtof: AdtofTranscriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = adtof.network(torch.from_numpy(levels(50))[None])[0].detach().numpy()
    monkeypatch.setattr(adtof_room, "_PIECE", 7)
    np.testing.assert_allclose(adtof.chances(levels(50)), whole, atol=1e-5)


@pytest.mark.parametrize("rate", [8000, 44100, 48000, 192000])
def test_every_rate_is_heard_and_nothing_is_changed(adtof: AdtofTranscriber, rate: int) -> None:
    audio = np.stack([wave(rate // 5), wave(rate // 5)])
    before = audio.copy()
    heard = adtof.hear(audio, rate)
    assert heard.groups.shape == (21, 5)
    assert heard.velocities is None
    assert heard.shares is None
    assert (audio == before).all()
    assert not len(adtof.hear(audio[:, :0], rate).groups)
    hits = transcribe_mixture(audio, rate, transcriber=adtof)
    assert all(0 <= hit.time <= 0.2 and 1 <= hit.velocity <= 127 for hit in hits)


def test_bad_recordings_are_named(adtof: AdtofTranscriber) -> None:
    with pytest.raises(InputError, match=r"\(channels, samples\)"):
        adtof.hear(wave(), RATE)
    with pytest.raises(InputError, match="8 kHz"):
        adtof.hear(wave()[None], 4000)
    with pytest.raises(NonFiniteError):
        adtof.hear(np.full((1, 100), np.nan, np.float32), RATE)


def half() -> dict[str, torch.Tensor]:
    return dict(list(tensors(state()).items())[::2])


def damaged() -> dict[str, torch.Tensor]:
    found = tensors(state())
    found["output_layer.bias"][0] = torch.nan
    return found


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (half(), "missing cnn_blocks.0.0.bias"),
        ({"model_weights": half()}, "missing cnn_blocks.0.0.bias"),
        (tensors(state() | {"extra": np.zeros(3)}), "unexpected extra"),
        (tensors(state() | {"output_layer.bias": np.zeros(6)}), "has shape"),
        (damaged(), "NaN or Inf"),
        ({"state_dict": {"conv.weight": torch.zeros(2)}}, "does not fit"),
        ({"model_weights": _Code()}, "not a safe checkpoint"),
        ([1, 2], "not a state dict"),
        (b"", "not a safe checkpoint"),
        (b"not a checkpoint at all" * 9, "not a safe checkpoint"),
    ],
)
def test_broken_files_are_told_of_in_one_line(content: Any, what: str, tmp_path: Path) -> None:
    with pytest.raises(ModelFormatError, match=what) as caught:
        load_transcriber(save(tmp_path / "mine", content))
    assert "\n" not in str(caught.value)
    assert "weights.pth" in str(caught.value)


def test_a_file_that_is_not_the_published_one_is_refused(tmp_path: Path) -> None:
    content = tensors(state())
    sha256 = hashlib.sha256(b"another").hexdigest()
    for wrong in ({"sha256": sha256}, {"size": 3617805}):
        with pytest.raises(ModelIntegrityError, match="not the published file"):
            load_transcriber(save(tmp_path / "mine", content, **wrong))


def test_without_weights_one_line_says_how_to_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LARS_CACHE", str(tmp_path))
    monkeypatch.delenv("LARS_MODELS_PATH", raising=False)
    with pytest.raises(ModelNotFoundError, match="run `lars models download adtof`") as caught:
        load_transcriber("adtof")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "architecture: adtof",
        "architecture: other\nthresholds: {kick: .2, snare: .2, toms: .2, hihat: .2, cymbals: .2}",
        "thresholds: {kick: 2, snare: .2, toms: .2, hihat: .2, cymbals: .2}",
        "thresholds: {kick: .2, snare: .2, toms: .2, hihat: .2, cymbals: .2}\nnetwork: 3",
        "thresholds: {kick: .2, snare: .2, toms: .2, hihat: .2, cymbals: .2}\nweights: {file: a/b}",
    ],
)
def test_broken_settings_name_their_file(text: str, tmp_path: Path) -> None:
    (tmp_path / "transcriber.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ModelError, match=r"transcriber\.yaml") as caught:
        load_transcriber(tmp_path)
    assert "\n" not in str(caught.value)


def heard_at(seconds: float, groups: Mapping[str, float]) -> Activations:
    """What ADTOF hears of one moment of a second."""
    found = np.zeros((101, len(GROUPS)), np.float32)
    strokes = np.zeros((101, len(STROKES)), np.float32)
    for group, chance in groups.items():
        found[round(100 * seconds), GROUPS.index(group)] = chance
    drums = ("kick", "snare", "toms", "hihat", "crash")
    kinds = ("kick", "center", "mid", "closed", "crash")
    strokes[:, [STROKES.index(pair) for pair in zip(drums, kinds, strict=True)]] = found
    return Activations(strokes, found, pick=standing_out, one_cymbal=True)


def test_its_classes_are_the_usual_strokes_and_cymbals_are_crashes() -> None:
    heard = heard_at(0.5, dict.fromkeys(GROUPS, 0.9))
    found = [(drum, kind) for _, drum, kind, _, _ in strokes_heard(heard, THRESHOLDS)]
    assert found == [
        *[("kick", "kick"), ("snare", "center"), ("toms", "mid")],
        *[("hihat", "closed"), ("crash", "crash")],
    ]


def test_the_network_fills_the_strokes_that_its_classes_stand_for(adtof: AdtofTranscriber) -> None:
    heard = adtof.hear(wave()[None], RATE)
    assert heard.one_cymbal
    assert heard.pick is standing_out
    for drum, kind, group in (("snare", "center", 1), ("toms", "mid", 2), ("crash", "crash", 4)):
        stroke = heard.strokes[:, STROKES.index((drum, kind))]
        assert (stroke == heard.groups[:, group]).all()
    assert np.count_nonzero(heard.strokes.any(axis=0)) == len(GROUPS)


def tick(seconds: float, level: float) -> Floats:
    """A second of silence but for a burst ``(1, samples)``."""
    made = np.zeros((1, RATE), np.float32)
    begin = round(seconds * RATE)
    burst = level * noise((2000,), 1) * np.exp(-np.arange(2000) / 500)
    made[0, begin : begin + 2000] = burst.astype(np.float32)
    return made


@pytest.mark.parametrize(("ride", "crash", "stem"), [(0.5, 0.1, "ride"), (0.1, 0.5, "crash")])
def test_the_louder_stem_gets_a_cymbal(ride: float, crash: float, stem: str) -> None:
    waves = np.stack([tick(0.5, ride), tick(0.5, crash)])
    heard = heard_at(0.5, {"cymbals": 0.9})
    (hit,) = hits_in_stems(waves, RATE, ("ride", "crash"), heard, THRESHOLDS)
    assert (hit.stem, hit.articulation) == (stem, {"ride": "bow", "crash": "crash"}[stem])
    assert abs(hit.time - 0.5) < 0.002


@pytest.mark.parametrize("name", ["ride", "crash", "cymbals"])
def test_the_only_stem_of_cymbals_gets_all_cymbals(name: str) -> None:
    waves = np.stack([tick(0.5, 0.5), tick(0.2, 0.5)])
    heard = heard_at(0.5, {"cymbals": 0.9})
    (hit,) = hits_in_stems(waves, RATE, (name, "kick"), heard, THRESHOLDS)
    assert hit.stem == name
    assert not hits_in_stems(waves, RATE, ("snare", "kick"), heard, THRESHOLDS)


def test_a_transcriber_that_tells_ride_from_crash_is_believed() -> None:
    strokes = heard_at(0.5, {"cymbals": 0.9}).strokes
    groups = heard_at(0.5, {"cymbals": 0.9}).groups
    waves = np.stack([tick(0.5, 0.5), tick(0.5, 0.1)])
    (hit,) = hits_in_stems(waves, RATE, ("ride", "crash"), Activations(strokes, groups), THRESHOLDS)
    assert hit.stem == "crash"


def test_velocities_that_it_does_not_hear_come_from_the_level_of_the_mixture() -> None:
    audio = tick(0.2, 0.5) + tick(0.5, 0.05)
    loud, soft = heard_at(0.2, {"snare": 0.9}), heard_at(0.5, {"snare": 0.9})
    both = Activations(
        loud.strokes + soft.strokes, loud.groups + soft.groups, pick=standing_out, one_cymbal=True
    )
    first, second = hits_in_mixture(audio, RATE, both, THRESHOLDS)
    assert first.velocity == 127
    assert second.velocity == pytest.approx(127 - 126 * 20 / 40, abs=2)
    assert second.level == pytest.approx(first.level - 20, abs=0.5)
