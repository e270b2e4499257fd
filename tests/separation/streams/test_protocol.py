# SPDX-License-Identifier: GPL-3.0-or-later
"""Every stream keeps the one protocol, and any split of the input gives the same to the bit."""

from __future__ import annotations

import ast
import dataclasses
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pedalboard
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lars_plugin
from lars_plugin.audio.levels import without_denormals
from lars_plugin.bridge.engine.board import Board
from lars_plugin.chain import StemBoard, StemSeparator
from lars_plugin.chain.native import NativeRun
from lars_plugin.chain.serial import Serial
from lars_plugin.chain.stem_chains import StemChains
from lars_plugin.composites.auto import AutoEnsemble
from lars_plugin.composites.composite import Cascade, Ensemble
from lars_plugin.composites.settled import settled
from lars_plugin.errors import NonFiniteError
from lars_plugin.model import AnyModel, Chunking, Model, ModelConfig, Refinement, Wave
from lars_plugin.refine.gate import Gate
from lars_plugin.refine.postprocess import PostProcessing
from lars_plugin.refine.spectral import Redistribution, WienerFilter
from lars_plugin.separation.streams import base
from lars_plugin.separation.streams.auto import AutoStream
from lars_plugin.separation.streams.base import ModelStream, Stream
from lars_plugin.separation.streams.cascade import CascadeStream
from lars_plugin.separation.streams.causal import CausalStream
from lars_plugin.separation.streams.chunked import StreamingSeparator
from lars_plugin.separation.streams.composed import ComposedStream
from lars_plugin.separation.streams.ensemble import EnsembleStream
from lars_plugin.separation.streams.live_rate import LiveRateStream
from lars_plugin.separation.streams.mono import MonoStream
from lars_plugin.separation.streams.open import open_stream
from lars_plugin.separation.streams.post import PostStream
from lars_plugin.separation.streams.rate import RateStream
from lars_plugin.separation.streams.shifted import ShiftedStream
from lars_plugin.separation.streams.windowed import RefinedStream
from lars_plugin.testing import DelayModel, GainModel

MUSIC = ("vocals", "drums", "other")
KIT = ("kick", "snare", "ride")
POST = PostProcessing(wiener=1.0, gate=-20.0, redistribute=True)
RATE = 44100


class Late:
    """A causal network that scales, 16 samples late."""

    name = "late"

    def __call__(self, batch: Wave) -> Wave:
        return batch[:, None] * np.array([0.5, -0.25, 2], np.float32)[:, None, None]

    def initial_state(self) -> Wave:
        return np.zeros((2, 16), np.float32)

    def step(self, hops: Wave, state: Wave) -> tuple[Wave, Wave]:
        both = np.concatenate([state, hops], axis=1)
        return self(both[None, :, : hops.shape[1]])[0], both[:, hops.shape[1] :]


def chunked(chunk: int = 100, chunking: Chunking | None = None) -> Model:
    # Late within its chunk, so that what comes out depends on where chunks lie.
    return DelayModel(3, GainModel([0.5, -0.25, 2], KIT, chunk, chunking=chunking))


def causal() -> Model:
    return Model(ModelConfig("late", KIT, Chunking(64, 1, "causal", lookahead=16)), Late())


def refined() -> Model:
    model = chunked(512)
    fit = Refinement(window=1800, n_fft=120, components=1, iterations=1)
    return Model(dataclasses.replace(model.config, refinement=fit), model.backend)


def cascade() -> Cascade:
    return Cascade(GainModel([0.1, 0.6, 0.3], MUSIC, 256), chunked())


def ensemble() -> Ensemble:
    return Ensemble([chunked(256), GainModel([1, 2, 3], KIT, 90, sample_rate=22050)])


def auto() -> AutoEnsemble:
    return AutoEnsemble([chunked(256), GainModel([1, 2, 3], KIT, 90)])


MODELS: dict[str, Callable[[], AnyModel]] = {
    "chunked": chunked,
    "live": lambda: chunked(
        chunking=Chunking(128, 4, "live", lookahead=16, fade=8),
    ),
    "causal": causal,
    "refined": refined,
    "cascade": cascade,
    "fused": lambda: Cascade(GainModel([0.1, 0.6, 0.3], MUSIC, 100), chunked()),
    "ensemble": ensemble,
    "auto": auto,
    "cascade of an ensemble": lambda: Cascade(GainModel([0.5, 0.5], MUSIC[1:], 80), ensemble()),
    "cascade of a causal model": lambda: Cascade(GainModel([0.5, 0.5], MUSIC[1:], 80), causal()),
}


def noise(*shape: int) -> Wave:
    return np.random.default_rng(shape[-1]).uniform(-0.5, 0.5, shape).astype(np.float32)


def through(stream: Stream, audio: Wave, blocks: list[int]) -> Wave:
    parts, taken, given_ = [], 0, 0
    for size in [*blocks, audio.shape[-1]]:
        block = audio[..., taken : taken + size].copy()
        parts.append(stream.push(block).copy())
        block[:] = 9  # the caller's again
        taken, given_ = min(taken + size, audio.shape[-1]), given_ + parts[-1].shape[-1]
        assert taken - given_ <= stream.latency_samples
    made = np.concatenate([*parts, stream.flush()], axis=-1)
    assert stream.flush().shape[-1] == 0
    assert made.dtype == np.float32
    return made


@settings(max_examples=120, deadline=None)
@given(
    name=st.sampled_from(sorted(MODELS)),
    rate=st.sampled_from([RATE, RATE, 48000, 47999.5]),
    channels=st.sampled_from([1, 2]),
    live=st.booleans(),
    post=st.sampled_from([None, POST]),
    some=st.booleans(),
    samples=st.integers(0, 5000),
    blocks=st.lists(st.integers(0, 1500), max_size=7),
)
def test_any_split_gives_the_same_to_the_bit_through_every_stream_that_can_be_opened(
    name: str,
    rate: float,
    channels: int,
    live: bool,
    post: PostProcessing | None,
    some: bool,
    samples: int,
    blocks: list[int],
) -> None:
    model = MODELS[name]()
    stems = ("ride", "kick") if some else model.config.stems
    stream = open_stream(model, rate, channels, stems=stems, post=post, live=live)
    assert (stream.stems, stream.channels, stream.sample_rate) == (stems, channels, rate)
    audio = noise(channels, samples)
    whole = through(stream, audio, [])
    assert whole.shape == (len(stems), channels, samples)
    stream.reset()
    assert np.array_equal(through(stream, audio, blocks), whole)
    again = open_stream(model, rate, channels, stems=stems, post=post, live=live)
    assert np.array_equal(through(again, audio, blocks), whole)


def live_rate() -> ModelStream:
    return open_stream(MODELS["live"](), 48000, live=True)


# Every class of streams that separate, as the function that opens them makes it.
SEPARATING: dict[type[ModelStream], Callable[[], ModelStream]] = {
    StreamingSeparator: lambda: open_stream(chunked()),
    CausalStream: lambda: open_stream(causal()),
    RefinedStream: lambda: open_stream(refined()),
    MonoStream: lambda: open_stream(chunked(), channels=1),
    RateStream: lambda: open_stream(chunked(), 48000),
    LiveRateStream: live_rate,
    PostStream: lambda: open_stream(chunked(), post=POST),
    CascadeStream: lambda: open_stream(cascade()),
    EnsembleStream: lambda: open_stream(ensemble()),
    ShiftedStream: lambda: open_stream(settled(chunked(), None, None, None, shifts=3)),
    AutoStream: lambda: open_stream(auto()),
}

# What else is used as a stream, with the shape of what it takes before its last axis.
OTHERS: dict[str, tuple[Callable[[], Stream], tuple[int, ...]]] = {
    "a wire": (lambda: Serial((), 2), (2,)),
    "plugins": (lambda: NativeRun([pedalboard.Gain(3)], RATE, 2, 64), (2,)),
    "chains": (
        lambda: StemChains({"kick": Serial((), 2), "ride": Serial((native(),), 2)}, 2),
        (2, 2),
    ),
    "no board": (lambda: Board("", KIT, RATE, 2), (3, 2)),
    "a node": (lambda: StemSeparator(chunked()).stream(RATE, 2, 64), (2,)),
    "a board": (
        lambda: StemBoard([pedalboard.Gain(3), StemSeparator(chunked())]).stream(RATE, 2, 64),
        (2,),
    ),
    "a node's stems": (lambda: StemSeparator(chunked()).stem_stream(RATE, 2, 64), (2,)),
    "a filter": (lambda: WienerFilter(1, KIT, 2, RATE), (4, 2)),
    "a redistribution": (lambda: Redistribution(KIT, 2, RATE), (4, 2)),
    "a gate": (
        lambda: Gate(-20, KIT, 2, RATE, attack=0.005, hold=0.01, release=0.01),
        (4, 2),
    ),
}


def native() -> NativeRun:
    return NativeRun([pedalboard.Gain(-3)], RATE, 2, 64)


def subclasses(kind: Any) -> set[Any]:
    found: set[Any] = set(kind.__subclasses__())
    return found.union(*(subclasses(one) for one in found))


def test_every_class_of_streams_that_separate_is_opened_here() -> None:
    assert subclasses(ModelStream) - {ComposedStream} == set(SEPARATING)
    for kind, make in SEPARATING.items():
        assert type(make()) is kind


MEMBERS = [name for name, _ in inspect.getmembers(Stream) if not name.startswith("_")]


@pytest.mark.parametrize("name", [*(kind.__name__ for kind in SEPARATING), *OTHERS])
def test_every_stream_keeps_the_protocol(name: str) -> None:
    assert MEMBERS == ["flush", "latency_samples", "push", "reset", "stems"]
    made = {kind.__name__: make for kind, make in SEPARATING.items()}
    make, shape = OTHERS.get(name) or (made[name], (1 if name == "MonoStream" else 2,))
    stream = make()
    assert isinstance(stream.stems, tuple)
    assert stream.latency_samples >= 0
    audio = noise(*shape, 9000)
    whole = through(stream, audio, [])
    # The axis of stems is there where stems are named, and the length is the input's.
    assert whole.shape[:-2] == ((len(stream.stems),) if stream.stems else ())
    assert whole.shape[-2:] == audio.shape[-2:]
    stream.reset()
    assert np.array_equal(through(stream, audio, [1, 70, 0, 3333, 64]), whole)


# Streams with more signals than one: what was converted, and the drum stem of a cascade, are
# signals that nobody has looked at yet.
SIGNALS = {"RateStream": 2, "LiveRateStream": 2, "CascadeStream": 2, "EnsembleStream": 2}


@pytest.mark.parametrize("name", [*(kind.__name__ for kind in SEPARATING), "PostStream in mono"])
def test_a_block_is_checked_once_and_not_by_each_stream_that_it_comes_through(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    made = {kind.__name__: make for kind, make in SEPARATING.items()}
    made["PostStream in mono"] = lambda: open_stream(refined(), channels=1, post=POST)
    stream = made[name]()
    checks: list[int] = []

    def counted(wave: Wave) -> Wave:
        checks.append(wave.shape[1])
        return without_denormals(wave)

    # Every check ends with it.
    monkeypatch.setattr(base, "without_denormals", counted)
    stream.push(noise(stream.channels, 700))
    assert len(checks) == SIGNALS.get(name, 1)
    bad = noise(stream.channels, 100)
    bad[-1, 7] = np.nan
    with pytest.raises(NonFiniteError, match=r"at sample 707 \("):
        stream.push(bad)
    # Nothing of it was taken.
    assert sum(part.shape[2] for part in (stream.push(bad[:, :5]), stream.flush())) <= 705
    stream.reset()
    with pytest.raises(NonFiniteError, match=r"at sample 7 \("):
        stream.push(bad)


def test_only_open_knows_which_stream_takes_which() -> None:
    package = Path(lars_plugin.__file__).parent
    common = {"base", "chunking", "views", "causal_views", "lost_band"}
    allowed = {"live_rate": {"rate"}, "cascade": {"composed"}, "ensemble": {"composed"}}
    allowed["auto"] = {"composed"}
    allowed["shifted"] = {"ensemble"}  # which it is, of one model
    for path in (package / "separation" / "streams").glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        inside = [
            node
            for function in ast.walk(tree)
            if isinstance(function, ast.FunctionDef)
            for node in ast.walk(function)
            if isinstance(node, ast.ImportFrom) and "separation" in (node.module or "")
        ]
        assert inside == [], f"{path.name} imports a stream inside of a function"
        streams = {
            node.module.split(".")[3]
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            and (node.module or "").startswith("lars_plugin.separation.streams.")
            and node.module is not None
        }
        if path.stem != "open":
            assert streams <= common | allowed.get(path.stem, set()), path.name


def test_there_is_one_fifo_and_one_protocol_of_streams() -> None:
    package = Path(lars_plugin.__file__).parent
    classes = [
        node
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    ]
    assert [node.name for node in classes if "Fifo" in node.name] == ["Fifo"]
    members = {"push", "flush", "reset", "latency_samples"}
    protocols = [
        node.name
        for node in classes
        if any(isinstance(one, ast.Name) and one.id == "Protocol" for one in node.bases)
        and members <= {one.name for one in node.body if isinstance(one, ast.FunctionDef)}
    ]
    assert protocols == ["Stream"]
