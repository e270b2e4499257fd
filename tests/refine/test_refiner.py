# SPDX-License-Identifier: GPL-3.0-or-later
"""Refinement of stems on the recording: its gain, its limits, and its stream."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lars_plugin.composites.composite import Cascade
from lars_plugin.evaluation.metrics import sdr
from lars_plugin.model import Chunking, Model, ModelConfig, Refinement
from lars_plugin.refine import refiner as refinement
from lars_plugin.refine.mnmf import MultichannelNMF
from lars_plugin.refine.refiner import Refiner
from lars_plugin.separation.separator import Separator
from lars_plugin.separation.streams.base import Steps, run_steps
from lars_plugin.separation.streams.chunked import StreamingSeparator
from lars_plugin.separation.streams.open import open_stream
from lars_plugin.separation.streams.windowed import RefinedStream, is_refined

Wave = NDArray[np.float32]

STEMS = ("kick", "snare")
SMALL = Refinement(window=16384, n_fft=1020, components=3, iterations=20)


def kit(samples: int = 60000, seed: int = 0, angles: tuple[float, ...] = (0.8, 0.3)) -> Wave:
    """Decaying noises that are struck again and again, ``(S, 2, samples)``, each at its place.

    Each has its own colour, but they overlap in time and in frequency.
    """
    rng = np.random.default_rng(seed)
    stems = np.zeros((len(angles), samples))
    for index in range(len(angles)):
        color = np.convolve(rng.standard_normal(2000), np.hanning(4 + 10 * index))[:2000]
        hit = color * np.exp(-np.arange(2000) / (300 + 400 * index))
        for at in rng.integers(0, samples - 2000, 25):
            stems[index, at : at + 2000] += hit * rng.uniform(0.5, 1)
    gains = np.array([(np.cos(a), np.sin(a)) for a in angles])
    return np.asarray(stems[:, None] * gains[:, :, None] * 0.1, np.float32)


def rough(stems: Wave, wrong: float = 0.25) -> Wave:
    """Estimates that hold a good part of everything else."""
    return np.asarray((1 - 2 * wrong) * stems + wrong * stems.sum(0), np.float32)


class Leaky:
    """A backend that knows the stems of a recording, and mixes them up."""

    name = "leaky"

    def __call__(self, batch: Wave) -> Wave:
        low = batch * 0.7
        return np.stack([low, batch - low], axis=1)


def model(refined: Refinement | None = SMALL, overlap: float = 1.25) -> Model:
    chunking = Chunking(4096, overlap, "msst")
    return Model(ModelConfig("leaky", STEMS, chunking, refinement=refined), Leaky())


@pytest.mark.parametrize(("places", "gain"), [("apart", 6.0), ("mono", 1.5)])
def test_what_repeats_itself_comes_apart_though_the_estimates_hold_much_of_each_other(
    places: str, gain: float
) -> None:
    stems = kit(angles=(0.8, 0.3) if places == "apart" else (np.pi / 4, np.pi / 4))
    guess = rough(stems)
    result = Refiner(SMALL, STEMS)(stems.sum(0), guess)
    for truth, before, after in zip(stems, guess, result, strict=True):
        assert sdr(truth, after) > sdr(truth, before) + gain


def test_more_iterations_make_the_mixture_more_likely() -> None:
    # - log p(X) up to a constant: log det Sigma + X^H Sigma^-1 X, summed over the bins. Rooms and
    # microphones make noise; without any, a perfect direction would be infinitely likely.
    stems = kit()
    stems += np.random.default_rng(1).standard_normal(stems.shape).astype(np.float32) * 2e-3
    costs = []
    for iterations in (1, 5, 20):
        chosen = dataclasses.replace(SMALL, iterations=iterations)
        costs.append(_cost(stems, chosen))
    assert costs[0] > costs[1] > costs[2]


def _cost(stems: Wave, chosen: Refinement) -> float:
    from lars_plugin.dsp.stft import Spectra

    spectra = Spectra(chosen.n_fft, chosen.n_fft // 3, "sine")
    _, mixture, guess = spectra.beside(stems.sum(0), rough(stems))
    model = MultichannelNMF(mixture, guess, components=chosen.components, places=[1] * len(stems))
    for _ in range(chosen.iterations):
        model.update()
    powers = model.spectra.transpose(1, 0, 2) @ model.gains
    seen = mixture.transpose(0, 2, 1)
    a, d, re, im = np.einsum("pfs,sft->pft", model.places, powers).astype(np.float64)
    a, d = a + 1e-4, d + 1e-4
    det = a * d - re**2 - im**2
    x, y = seen.astype(np.complex128)
    form = d * np.abs(x) ** 2 + a * np.abs(y) ** 2 - 2 * ((re - 1j * im) * x * y.conj()).real
    return float((np.log(det) + form / det).mean())


@settings(max_examples=15, deadline=None)
@given(
    angles=st.lists(st.floats(0, np.pi / 2), min_size=1, max_size=4),
    level=st.sampled_from([1e-4, 1.0, 30.0]),
    seed=st.integers(0, 99),
)
def test_stems_are_finite_and_add_up_to_the_mixture_and_nothing_that_went_in_is_changed(
    angles: list[float], level: float, seed: int
) -> None:
    stems = kit(9000, seed, tuple(angles)) * np.float32(level)
    mixture, guess = stems.sum(0), rough(stems)
    kept = mixture.copy(), guess.copy()
    names = ("kick", "snare", "toms", "hihat")[: len(stems)]
    result = Refiner(SMALL, names)(mixture, guess)
    assert np.isfinite(result).all()
    np.testing.assert_allclose(result.sum(0), mixture, atol=1e-5 * level)
    assert np.array_equal(mixture, kept[0])
    assert np.array_equal(guess, kept[1])


def test_a_stem_that_the_network_finds_silent_stays_far_below_the_others() -> None:
    stems = kit()
    guess = np.stack([stems.sum(0), np.zeros_like(stems[0])])
    result = Refiner(SMALL, STEMS)(stems.sum(0), guess)
    assert np.square(result[1]).sum() < 1e-3 * np.square(result[0]).sum()


@pytest.mark.parametrize("what", ["silence", "short", "not finite"])
def test_what_cannot_be_fitted_comes_as_the_network_made_it(what: str) -> None:
    stems = kit(9000) * np.float32(what != "silence")
    if what == "short":
        stems = stems[..., :800]
    guess = rough(stems)
    if what == "not finite":
        guess[1, 0, 7] = np.nan
    result = Refiner(SMALL, STEMS)(stems.sum(0), guess)
    assert np.array_equal(result, guess, equal_nan=True)


def test_mono_and_stereo_of_two_equal_channels_are_refined_alike() -> None:
    stems = kit(angles=(np.pi / 4, np.pi / 4))
    guess = rough(stems)
    both = Refiner(SMALL, STEMS)(stems.sum(0), guess)
    one = Refiner(SMALL, STEMS)(stems.sum(0)[:1], guess[:, :1])
    np.testing.assert_allclose(both[:, :1], one, atol=2e-4)


def test_several_places_of_a_stem_are_one_stem_again() -> None:
    stems = kit(angles=(0.1, 0.8, 1.4))
    two = np.stack([stems[0] + stems[2], stems[1]])
    guess = rough(two)
    places = MappingProxyType({"kick": 2})
    result = Refiner(dataclasses.replace(SMALL, places=places), STEMS)(two.sum(0), guess)
    assert result.shape == two.shape
    np.testing.assert_allclose(result.sum(0), two.sum(0), atol=1e-5)
    assert all(sdr(t, m) > sdr(t, g) + 3 for t, m, g in zip(two, result, guess, strict=True))


def test_stems_of_several_fits_are_their_mean() -> None:
    stems = kit()
    guess = rough(stems)

    def fit(**changes: Any) -> Wave:
        return Refiner(dataclasses.replace(SMALL, **changes), STEMS)(stems.sum(0), guess)

    mean = (fit(seed=4) + fit(seed=5)) / 2
    np.testing.assert_allclose(fit(seed=4, fits=2), mean, atol=1e-5)
    assert np.abs(fit(seed=4) - mean).max() > 1e-4


@pytest.mark.parametrize("table", ["trust", "mono_trust"])
def test_of_a_stem_that_is_trusted_more_of_the_networks_word_is_kept(table: Any) -> None:
    stems = kit(angles=(np.pi / 4, np.pi / 4))  # of one place: only powers tell them apart
    guess = rough(stems)
    away = []
    for share in (0.0, 0.5, 1.0):
        changes: Any = {table: MappingProxyType({"kick": share})}
        chosen = dataclasses.replace(SMALL, **changes)
        result = Refiner(chosen, STEMS)(stems.sum(0), guess)
        np.testing.assert_allclose(result.sum(0), stems.sum(0), atol=1e-5)
        away.append(float(np.square(result[0] - guess[0]).sum()))
    assert away[0] > 1.05 * away[1] > 1.05**2 * away[2]


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_what_a_trusted_stem_gets_is_the_geometric_mean_of_both_powers(share: float) -> None:
    rng = np.random.default_rng(0)
    stem = rng.standard_normal((2, 7, 5)) + 1j * rng.standard_normal((2, 7, 5))  # (C, T, n)
    heard = np.square(np.abs(stem)).mean(axis=0).T
    power = rng.uniform(0.1, 9, (5, 7)).astype(np.float32)
    result = power * refinement._agreed(stem.astype(np.complex64), power, share)
    np.testing.assert_allclose(result, heard**share * power ** (1 - share), rtol=1e-4)


def test_trust_in_mono_leaves_other_recordings_as_they_are() -> None:
    stems = kit()
    chosen = dataclasses.replace(SMALL, mono_trust=MappingProxyType({"kick": 0.5}))
    before, after = (Refiner(s, STEMS)(stems.sum(0), rough(stems)) for s in (SMALL, chosen))
    assert np.array_equal(before, after)


def test_the_number_of_threads_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    stems, result = kit(), []
    for threads in (1, 3):
        monkeypatch.setattr(refinement, "default_threads", lambda threads=threads: threads)
        result.append(Refiner(SMALL, STEMS)(stems.sum(0), rough(stems)))
    assert np.array_equal(result[0], result[1])


@settings(max_examples=12, deadline=None)
@given(
    length=st.integers(1, 70000),
    blocks=st.lists(st.integers(0, 20000), min_size=1, max_size=6),
    stems=st.sampled_from([None, ("snare",)]),
)
def test_streaming_equals_one_push_for_any_block_split(
    length: int, blocks: list[int], stems: tuple[str, ...] | None
) -> None:
    audio = kit(70000).sum(0)[:, :length]
    quick = model(dataclasses.replace(SMALL, iterations=2))

    def run(sizes: list[int]) -> Wave:
        stream = open_stream(quick, stems=stems)
        assert isinstance(stream, RefinedStream)
        at, parts = 0, []
        given_, returned = 0, 0
        for size in [*sizes, length]:
            block = audio[:, at : at + size].copy()
            at += block.shape[1]
            parts.append(stream.push(block))
            block[:] = 9  # the caller's again
            given_, returned = given_ + block.shape[1], returned + parts[-1].shape[2]
            assert given_ - returned <= stream.latency_samples
        parts.append(stream.flush())
        return np.concatenate(parts, axis=2)

    whole = run([])
    assert whole.shape == (1 if stems else 2, 2, length)
    assert np.array_equal(run(blocks), whole)


def test_the_fit_pauses_after_each_update_so_that_others_have_their_turn() -> None:
    audio = kit(50000).sum(0)
    stream = open_stream(model(dataclasses.replace(SMALL, iterations=5)))
    seen: list[int] = []

    def watched() -> Steps:
        steps, result = stream.push_steps(audio), None
        while True:
            try:
                run = steps.send(result)
            except StopIteration as stop:
                return np.asarray(stop.value)
            seen.append(run.chunks.shape[0])
            result = yield run

    assert run_steps(watched()).shape[2] > 0
    windows = (50000 - SMALL.window) // (SMALL.window - SMALL.window // 12)
    # A pause after the start, and after each update; the rest are runs of the network.
    assert seen.count(0) == windows * 6
    assert 1 in seen


@pytest.mark.parametrize("length", [5000, 16384, 31000, 32000, 70000])
def test_no_window_but_that_of_a_short_recording_is_shorter_or_twice_as_long(
    monkeypatch: pytest.MonkeyPatch, length: int
) -> None:
    # The network's chunks are longer than the windows, so much comes at once in the end.
    chunking = Chunking(24000, 1.25, "msst")
    long = Model(ModelConfig("leaky", STEMS, chunking, refinement=SMALL), Leaky())
    seen: list[int] = []

    def watched(
        _self: Refiner, mixture: Wave, stems: Wave, _strokes: object
    ) -> Generator[None, None, Wave]:
        yield
        seen.append(mixture.shape[1])
        return np.array(stems)

    monkeypatch.setattr(Refiner, "updates", watched)
    stems = Separator(long).separate(kit(70000).sum(0)[:, :length], 44100)
    assert stems.samples == length
    assert len(seen) == max(1, (length - SMALL.window // 12) // (SMALL.window * 11 // 12))
    assert all(SMALL.window <= one < 2 * SMALL.window for one in seen if length >= SMALL.window)


def test_a_stream_that_is_reset_is_as_new() -> None:
    audio = kit().sum(0)
    stream = open_stream(model(dataclasses.replace(SMALL, iterations=2)))
    first = stream.push(audio[:, :50000])
    stream.reset()
    again = stream.push(audio[:, :50000])
    assert first.shape[2] > 0
    assert np.array_equal(first, again)


def test_windows_fade_into_each_other_without_a_seam() -> None:
    audio = kit(80000).sum(0)
    stems = Separator(model()).separate(audio, 44100)
    np.testing.assert_allclose(stems["kick"] + stems["snare"], audio, atol=1e-5)
    # Windows of the same sound are refined alike, so where they meet nothing jumps.
    jumps = np.abs(np.diff(stems["kick"])).max(axis=0)
    seams = [SMALL.window - SMALL.window // 12, SMALL.window]
    assert max(jumps[at - 2 : at + 2].max() for at in seams) <= np.quantile(jumps, 0.999)


def test_presets_choose_the_fits_and_live_streams_are_not_refined() -> None:
    presets = MappingProxyType({"fast": 0, "best": 3})
    whole = model(dataclasses.replace(SMALL, presets=presets))
    chosen = {}
    for preset in (None, "fast", "balanced", "best"):
        settled = Separator(whole, preset=preset)._settled
        assert settled.config.refinement is not None
        chosen[preset] = settled.config.refinement.fits
    assert chosen == {None: 1, "fast": 0, "balanced": 1, "best": 3}
    assert isinstance(open_stream(Separator(whole, preset="fast")._settled), StreamingSeparator)
    live = Chunking(4096, 4.0, "live", lookahead=512, fade=128)
    assert is_refined(whole)
    assert not is_refined(whole, live)
    assert isinstance(open_stream(whole, chunking=live), StreamingSeparator)


class Song:
    """Two drums and music."""

    name = "song"

    def __call__(self, batch: Wave) -> Wave:
        return np.stack([batch * 0.5, batch * 0.3, batch * 0.2], axis=1)


def test_each_stage_of_a_cascade_is_refined() -> None:
    chosen = dataclasses.replace(
        SMALL,
        places=MappingProxyType({"other": 3}),
        trust=MappingProxyType({"kick": 0.4, "other": 0.1}),
        mono_trust=MappingProxyType({"snare": 0.4}),
        templates=MappingProxyType({"kick": 0.5, "snare": 0.5}),
        unstruck=MappingProxyType({"kick": 10.0}),
        louder=MappingProxyType({"kick": 30.0}),
    )
    config = ModelConfig("song", (*STEMS, "other"), Chunking(4096, 1.25, "msst"), refinement=chosen)
    cascade = Cascade(Model(config, Song()), model())
    assert not cascade.fused
    refined = [part.config.refinement for part in cascade.parts]
    assert refined[1] == SMALL
    # The sum of the drums comes from wherever one of them does.
    assert refined[0] is not None
    assert refined[0].places == {"other": 3, "drums": 2}
    # How well the kick was told says nothing of the sum.
    assert refined[0].trust == {"other": 0.1}
    assert refined[0].mono_trust == {}
    # Nor is their sum one sound.
    assert refined[0].templates == {}
    assert refined[0].unstruck == {}
    assert refined[0].louder == {}
    audio = kit(20000).sum(0)
    stems = Separator(cascade).separate(audio, 44100)
    assert list(stems) == ["other", *STEMS]
    total = stems["other"] + stems["kick"] + stems["snare"]
    np.testing.assert_allclose(total, audio, atol=1e-4)
    quick = dataclasses.replace(SMALL, fits=0)
    assert Cascade(Model(dataclasses.replace(config, refinement=None), Song()), model(quick)).fused
