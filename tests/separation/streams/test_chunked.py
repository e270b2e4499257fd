# SPDX-License-Identifier: GPL-3.0-or-later
"""StreamingSeparator: claims that hold for every chunking, length and way of cutting."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lars_plugin.errors import EngineError, InputError, NonFiniteError
from lars_plugin.model import Chunking, Convention, Model, ModelConfig
from lars_plugin.separation.streams.chunked import StreamingSeparator
from lars_plugin.separation.streams.chunking import chunk_weights

Wave = NDArray[np.float32]


class Wobble:
    """A network that is not linear and not shift-invariant, so that nothing cancels by luck."""

    name = "wobble"

    def __call__(self, batch: Wave) -> Wave:
        place = np.linspace(0.5, 1.5, batch.shape[2], dtype=np.float32)
        return np.stack([np.tanh(batch) * place, batch**2 - batch * place], axis=1)


class Halves:
    """The identity, shared out over two stems."""

    name = "halves"

    def __call__(self, batch: Wave) -> Wave:
        return np.stack([batch * np.float32(0.25), batch * np.float32(0.75)], axis=1)


def make(chunking: Chunking, backend: object | None = None) -> Model:
    config = ModelConfig("test", ("kick", "snare"), chunking)
    return Model(config, backend or Wobble())  # type: ignore[arg-type]


@st.composite
def chunkings(draw: st.DrawFn) -> Chunking:
    size = draw(st.integers(2, 90))
    overlap = draw(st.floats(1, min(9, size)))
    convention: Convention = draw(
        st.sampled_from(["msst", "lars", "hann", "demucs", "demucs-short", "live"])
    )
    batch = draw(st.integers(1, 4))
    plain = Chunking(size, overlap, convention, batch)
    if convention != "live":
        return plain
    fade = draw(st.integers(0, min(plain.step, plain.border)))
    lookahead = draw(st.integers(0, plain.border - fade))
    return dataclasses.replace(plain, fade=fade, lookahead=lookahead)


@st.composite
def cuts(draw: st.DrawFn, samples: int) -> list[int]:
    edges = draw(st.lists(st.integers(0, samples), max_size=12))
    points = [0, *sorted(edges), samples]
    return [b - a for a, b in itertools.pairwise(points)]


def wave_of(samples: int) -> Wave:
    return np.random.default_rng(samples).standard_normal((2, samples)).astype(np.float32)


def run(stream: StreamingSeparator, wave: Wave, blocks: list[int]) -> Wave:
    parts, start = [], 0
    for length in blocks:
        parts.append(stream.push(wave[:, start : start + length]))
        start += length
    parts.append(stream.flush())
    return np.concatenate(parts, axis=2)


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_output_is_bit_identical_for_any_block_split(data: st.DataObject) -> None:
    chunking = data.draw(chunkings())
    samples = data.draw(st.integers(0, 300))
    wave = wave_of(samples)
    whole = run(StreamingSeparator(make(chunking)), wave, [samples])
    parted = run(StreamingSeparator(make(chunking)), wave, data.draw(cuts(samples)))
    assert whole.shape == (2, 2, samples)
    assert np.array_equal(whole, parted)


@settings(max_examples=60, deadline=None)
@given(chunkings(), st.integers(0, 400))
def test_identity_network_reconstructs_the_input(chunking: Chunking, samples: int) -> None:
    if chunking.convention == "msst" and chunking.border < 2 * (chunking.chunk_size // 10):
        # The fades reach zero where nothing overlaps them: the next test's subject.
        chunking = dataclasses.replace(chunking, convention="lars")
    wave = wave_of(samples)
    stems = run(StreamingSeparator(make(chunking, Halves())), wave, [samples])
    np.testing.assert_allclose(stems.sum(axis=0), wave, atol=1e-5)


def test_msst_without_overlap_is_silent_only_where_its_fades_reach_zero() -> None:
    wave = wave_of(350)
    chunking = Chunking(100, 1, "msst")
    stems = run(StreamingSeparator(make(chunking, Halves())), wave, [350])
    off = np.abs(stems.sum(axis=0) - wave).max(axis=0) > 1e-5
    assert list(np.flatnonzero(off)) == [99, 100, 199, 200, 299, 300]
    assert not stems[..., off].any()


@settings(max_examples=60, deadline=None)
@given(chunkings())
def test_latency_is_exactly_the_worst_lag_of_output_behind_input(chunking: Chunking) -> None:
    stream = StreamingSeparator(make(chunking))
    samples = 4 * stream.latency_samples + 2 * chunking.chunk_size
    returned, worst = 0, 0
    for position, sample in enumerate(wave_of(samples).T):
        returned += stream.push(sample[:, None]).shape[2]
        worst = max(worst, position + 1 - returned)
    assert worst == stream.latency_samples


@settings(max_examples=60, deadline=None)
@given(chunkings(), st.integers(2, 5), st.integers(1, 400))
def test_batch_size_changes_nothing_but_the_grouping(
    chunking: Chunking, batch: int, samples: int
) -> None:
    wave = wave_of(samples)
    one = dataclasses.replace(chunking, batch_size=1)
    many = dataclasses.replace(chunking, batch_size=batch)
    a = run(StreamingSeparator(make(one)), wave, [samples])
    b = run(StreamingSeparator(make(many)), wave, [samples])
    np.testing.assert_allclose(a, b, atol=1e-5)


def test_live_output_never_depends_on_input_beyond_the_latency() -> None:
    chunking = Chunking(64, 4, "live", lookahead=5, fade=3)
    wave = wave_of(600)
    other = wave.copy()
    other[:, 400:] += 1
    a = run(StreamingSeparator(make(chunking)), wave, [600])
    b = run(StreamingSeparator(make(chunking)), other, [600])
    safe = 400 - StreamingSeparator(make(chunking)).latency_samples
    assert np.array_equal(a[..., :safe], b[..., :safe])
    assert not np.array_equal(a[..., safe:], b[..., safe:])


def test_reset_starts_afresh() -> None:
    stream = StreamingSeparator(make(Chunking(50, 2)))
    wave = wave_of(333)
    first = run(stream, wave, [100, 233])
    stream.reset()
    stream.push(wave[:, :77])
    stream.reset()
    assert np.array_equal(run(stream, wave, [333]), first)


def test_push_after_flush_asks_for_reset() -> None:
    stream = StreamingSeparator(make(Chunking(50, 2)))
    stream.flush()
    with pytest.raises(InputError, match="reset"):
        stream.push(wave_of(5))


def test_stems_are_chosen_and_ordered_by_name() -> None:
    wave = wave_of(120)
    both = run(StreamingSeparator(make(Chunking(50, 2))), wave, [120])
    picked = StreamingSeparator(make(Chunking(50, 2)), stems=["snare", "kick"])
    assert picked.stems == ("snare", "kick")
    assert np.array_equal(run(picked, wave, [120]), both[::-1])
    with pytest.raises(InputError, match="no stem toms; it has kick, snare"):
        StreamingSeparator(make(Chunking(50, 2)), stems=["tom"])
    with pytest.raises(InputError, match="twice"):
        StreamingSeparator(make(Chunking(50, 2)), stems=["kick", "kick"])


def test_input_is_not_changed() -> None:
    wave = wave_of(200)
    before = wave.copy()
    run(StreamingSeparator(make(Chunking(50, 2))), wave, [200])
    assert np.array_equal(wave, before)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_block_with_nan_or_inf_is_refused_whole_and_the_stream_goes_on(bad: float) -> None:
    stream = StreamingSeparator(make(Chunking(50, 2)))
    wave = wave_of(300)
    first = stream.push(wave[:, :100])
    broken = wave[:, 100:200].copy()
    broken[1, 7] = bad
    with pytest.raises(NonFiniteError, match="sample 107"):
        stream.push(broken)
    rest = [stream.push(wave[:, 100:]), stream.flush()]
    fine = run(StreamingSeparator(make(Chunking(50, 2))), wave, [300])
    assert np.array_equal(np.concatenate([first, *rest], axis=2), fine)


def test_nan_from_the_network_is_an_error_not_silence() -> None:
    class Broken(Halves):
        def __call__(self, batch: Wave) -> Wave:
            out = super().__call__(batch)
            out[0, 1, 0, 3] = np.nan
            return out

    with pytest.raises(NonFiniteError, match="returned NaN"):
        StreamingSeparator(make(Chunking(50, 2), Broken())).push(wave_of(500))


def test_a_network_of_the_wrong_shape_is_named() -> None:
    class Short:
        name = "short"

        def __call__(self, batch: Wave) -> Wave:
            return batch[:, None]

    with pytest.raises(EngineError, match="does not fit"):
        StreamingSeparator(make(Chunking(50, 2), Short())).push(wave_of(500))


@pytest.mark.parametrize(
    "block",
    [np.zeros(5, np.float32), np.zeros((3, 5), np.float32), np.zeros((2, 5), np.int16)],
    ids=["flat", "three channels", "integers"],
)
def test_wrong_shapes_and_types_are_refused(block: NDArray[np.generic]) -> None:
    with pytest.raises(InputError):
        StreamingSeparator(make(Chunking(50, 2))).push(block)


@pytest.mark.parametrize(
    "settings_",
    [
        {"chunk_size": 0},
        {"chunk_size": 10, "overlap": 0.5},
        {"chunk_size": 10, "overlap": 11},
        {"chunk_size": 10, "batch_size": 0},
        {"chunk_size": 10, "fade": 1},
        {"chunk_size": 10, "convention": "live", "overlap": 2, "lookahead": 6},
        {"chunk_size": 10, "convention": "other"},
    ],
)
def test_impossible_chunkings_are_refused(settings_: dict[str, object]) -> None:
    with pytest.raises(InputError):
        Chunking(**settings_)  # type: ignore[arg-type]


@pytest.mark.parametrize("overlap", [2.0, 4.0, 8.0])
def test_hann_windows_of_whole_overlaps_add_up_to_a_constant(overlap: float) -> None:
    chunking = Chunking(chunk_size=64, overlap=overlap, convention="hann")
    weights = chunk_weights(chunking, first=False, last=False)
    assert weights.min() > 0
    total = weights.reshape(int(overlap), -1).sum(axis=0)
    np.testing.assert_allclose(total, overlap / 2, rtol=1e-5)
