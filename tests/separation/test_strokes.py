# SPDX-License-Identifier: GPL-3.0-or-later
"""Strokes for the refinement: what is heard, and the stream that is refined with it."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lars_plugin.demo import perform
from lars_plugin.errors import CancelledError, ModelNotFoundError
from lars_plugin.midi.transcribe import transcribe_mixture
from lars_plugin.model import Chunking, Model, ModelConfig, Refinement
from lars_plugin.separation import strokes as module
from lars_plugin.separation.separator import Separator
from lars_plugin.separation.streams.open import open_stream
from lars_plugin.separation.streams.windowed import RefinedStream
from lars_plugin.separation.strokes import StrokeListener

Wave = NDArray[np.float32]

STEMS = ("kick", "snare")
RATE = 44100
SMALL = Refinement(
    window=32768,
    n_fft=1020,
    components=2,
    iterations=2,
    templates=MappingProxyType({"kick": 0.2, "snare": 0.2}),
    template_fft=2040,
    template_updates=2,
)


class Leaky:
    """A backend that gives each stem a share of everything."""

    name = "leaky"

    def __call__(self, batch: Wave) -> Wave:
        low = batch * np.float32(0.7)
        return np.stack([low, batch - low], axis=1)


def model(refined: Refinement = SMALL, architecture: str = "") -> Model:
    """With an architecture it is shown views, as trained networks are."""
    chunking = Chunking(4096, 1.25, "msst")
    config = ModelConfig("leaky", STEMS, chunking, architecture=architecture, refinement=refined)
    return Model(config, Leaky())


@pytest.fixture(scope="module")
def song() -> Wave:
    """Two bars of a drummer, ``(2, samples)``."""
    whole: Wave = np.sum(list(perform().values()), axis=0)
    return whole[:, : 4 * RATE]


def onsets(wave: Wave) -> NDArray[np.float64]:
    """Seconds at which a dry stem becomes loud."""
    level = np.abs(wave).max(axis=0)
    frames = level[: len(level) // 441 * 441].reshape(-1, 441).max(axis=1)
    before = np.concatenate([[0, 0, 0], frames])[: len(frames)]
    found = np.flatnonzero((frames > 0.3 * frames.max()) & (frames > 3 * before))
    kept: NDArray[np.float64] = found[np.diff(found, prepend=-99) > 8] / 100
    return kept


def test_most_kicks_of_a_drummer_are_heard_where_they_are() -> None:
    stems = perform()
    found = StrokeListener(tuple(stems), RATE)(np.sum(list(stems.values()), axis=0))
    assert found is not None
    assert len(found) == len(stems)
    heard = found[tuple(stems).index("kick")] / RATE
    assert (np.diff(heard) > 0).all()
    kicks = onsets(stems["kick"])
    assert len(kicks) > 5
    near = [np.abs(heard - kick).min(initial=1) < 0.04 for kick in kicks]
    assert np.mean(near) > 0.7


def test_strokes_are_those_that_a_transcription_of_the_mixture_finds() -> None:
    stems = perform()
    mixture = np.sum(list(stems.values()), axis=0)
    found = StrokeListener(tuple(stems), RATE)(mixture)
    hits = transcribe_mixture(mixture, RATE)
    assert found is not None
    for name, samples in zip(stems, found, strict=True):
        wanted = sorted(round(hit.time * RATE) for hit in hits if hit.stem == name)
        assert samples.tolist() == wanted


def test_rides_and_crashes_count_as_cymbals_where_those_are_one_stem() -> None:
    mixture = np.sum(list(perform().values()), axis=0)
    apart = StrokeListener(("ride", "crash"), RATE)(mixture)
    one = StrokeListener(("cymbals", "other"), RATE)(mixture)
    assert apart is not None
    assert one is not None
    assert np.array_equal(one[0], np.sort(np.concatenate(apart)))
    assert len(one[0]) > 0
    assert len(one[1]) == 0


@pytest.mark.parametrize("what", ["silence", "not finite", "empty"])
def test_nothing_is_heard_where_there_is_nothing_to_hear(what: str) -> None:
    wave = np.zeros((2, 0 if what == "empty" else 9000), np.float32)
    if what == "not finite":
        wave[0, 5] = np.inf
    assert StrokeListener(STEMS, RATE)(wave) is None


def test_a_missing_transcriber_is_told_when_a_stream_is_opened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "DEFAULT", "no-such-transcriber")
    with pytest.raises(ModelNotFoundError, match="no-such-transcriber"):
        open_stream(model())
    without = dataclasses.replace(SMALL, templates=MappingProxyType({}))
    assert isinstance(open_stream(model(without)), RefinedStream)


@settings(max_examples=6, deadline=None)
@given(
    length=st.integers(1, 100000),
    blocks=st.lists(st.integers(0, 40000), min_size=1, max_size=4),
    channels=st.sampled_from([1, 2]),
)
def test_stems_with_templates_are_the_same_for_any_block_split(
    song: Wave, length: int, blocks: list[int], channels: int
) -> None:
    audio = song[:channels, :length]

    def run(sizes: list[int]) -> Wave:
        stream = open_stream(model(), channels=channels)
        at, parts = 0, []
        for size in [*sizes, length]:
            parts.append(stream.push(audio[:, at : at + size]))
            at += size
        parts.append(stream.flush())
        return np.concatenate(parts, axis=2)

    whole = run([])
    assert whole.shape == (2, channels, length)
    np.testing.assert_allclose(whole.sum(0), audio, atol=1e-5)
    assert np.array_equal(run(blocks), whole)


def test_templates_change_the_stems_and_one_channel_alone_is_separated_as_mono(song: Wave) -> None:
    with_, without = (
        Separator(model(one)).separate(song, RATE)
        for one in (SMALL, dataclasses.replace(SMALL, templates=MappingProxyType({})))
    )
    assert np.abs(with_["kick"] - without["kick"]).max() > 1e-3
    left = song * np.array([[1], [0]], np.float32)
    separator = Separator(model(architecture="x"))
    one = separator.separate(left, RATE)
    mono = separator.separate(song[:1], RATE)
    for name in STEMS:
        assert not one[name][1].any()
        np.testing.assert_allclose(one[name][0], mono[name][0], atol=2e-3)


def test_a_separation_with_templates_can_be_cancelled(song: Wave) -> None:
    with pytest.raises(CancelledError):
        Separator(model()).separate(song, RATE, progress=lambda done, _total: done == 0)


@pytest.mark.parametrize(("backend", "imported"), [("torch", "False"), ("openvino", "True")])
def test_what_runs_the_model_runs_the_transcriber(
    backend: str, imported: str, tmp_path: Path
) -> None:
    code = (
        "import sys, numpy as np; from lars_plugin import Separator;"
        f"separator = Separator('lars-mini', backend={backend!r}, precision='float32');"
        "wave = np.random.default_rng(0).standard_normal((1, 9000)).astype(np.float32) / 9;"
        "separator.separate(wave, 44100); print('openvino' in sys.modules)"
    )
    env = {**os.environ, "LARS_CACHE": str(tmp_path)}
    said = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == imported
