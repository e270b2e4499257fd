# SPDX-License-Identifier: GPL-3.0-or-later
"""Templates in time: their algebra, what they recover, and the refinement that uses them."""

from __future__ import annotations

import dataclasses
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lars_plugin.errors import InputError
from lars_plugin.evaluation.metrics import sdr
from lars_plugin.model import Refinement
from lars_plugin.refine import refiner as refinement
from lars_plugin.refine.nmfd import Strokes, TemplateNMF
from lars_plugin.refine.refiner import Refiner

Wave = NDArray[np.float32]
Spectrum = NDArray[np.complex64]

STEMS = ("kick", "snare")
TEMPLATES = MappingProxyType({"kick": 0.05, "snare": 0.05})
SMALL = Refinement(
    window=16384, n_fft=1020, components=3, iterations=10, templates=TEMPLATES, template_fft=1020
)
FRAMES, BINS, LENGTH = 60, 130, 6
STARTS = ([-2, 5, 6, 20, 41, 57], [12, 13, 30, 48])


def struck(channels: int, seed: int = 0) -> tuple[Spectrum, Wave, list[Strokes]]:
    """Spectra of two stems ``(S, C, T, F)``, their templates ``(S, F, L)``, and their strokes."""
    rng = np.random.default_rng(seed)
    templates = rng.gamma(0.4, size=(2, BINS, LENGTH)) * 0.6 ** np.arange(LENGTH)
    stems = np.zeros((2, channels, FRAMES, BINS), np.complex64)
    for index, starts in enumerate(STARTS):
        power = np.full((FRAMES, BINS), 1e-6)
        for start in starts:
            for frame in range(LENGTH):
                if 0 <= start + frame < FRAMES:
                    power[start + frame] += templates[index, :, frame] * rng.uniform(0.5, 1)
        phase = np.exp(2j * np.pi * rng.random((FRAMES, BINS)))
        angle = (0.5, 1.2)[index]
        for channel, gain in enumerate((np.cos(angle), np.sin(angle))[:channels]):
            stems[index, channel] = np.sqrt(power) * phase * gain
    return stems, templates.astype(np.float32), [Strokes(np.array(s), LENGTH) for s in STARTS]


def fitted(channels: int, updates: int, threads: int = 1) -> TemplateNMF:
    stems, _, strokes = struck(channels)
    rough = 0.7 * stems + 0.3 * stems[::-1]
    model = TemplateNMF(stems.sum(0), rough, strokes, seed=3, threads=threads)
    for _ in range(updates):
        model.update()
    return model


def cost(model: TemplateNMF) -> float:
    """-log p(X) up to a constant: log det Sigma + X^H Sigma^-1 X, the mean over the bins."""
    whole = slice(0, BINS)
    sigma = model.sigma(whole, model.powers(whole)).astype(np.float64)
    x = model.seen.astype(np.float64)
    if len(sigma) == 1:
        power = np.square(x[0]) + np.square(x[1])
        return float((np.log(sigma[0]) + power / sigma[0]).mean())
    a, d, re, im = sigma
    det = a * d - re**2 - im**2
    left, right = x[0] + 1j * x[1], x[2] + 1j * x[3]
    form = d * np.abs(left) ** 2 + a * np.abs(right) ** 2
    form -= 2 * ((re - 1j * im) * left * right.conj()).real
    return float((np.log(det) + form / det).mean())


@pytest.mark.parametrize("channels", [1, 2])
def test_updates_make_the_mixture_more_likely(channels: int) -> None:
    costs = [cost(fitted(channels, updates)) for updates in (0, 2, 5, 10)]
    assert costs[0] > costs[1] > costs[2] > costs[3]


def test_a_stems_power_is_its_template_at_each_stroke_and_its_free_spectrum() -> None:
    model = fitted(2, 3)
    powers = model.powers(slice(0, BINS))
    first = 0
    for index, starts in enumerate(STARTS):
        w = model.spectra[:, first : first + LENGTH + 1]
        rows = model.rows[first : first + LENGTH + 1]
        expected = w[:, LENGTH:] * rows[LENGTH]
        for start in starts:
            inside = [frame for frame in range(LENGTH) if 0 <= start + frame < FRAMES]
            gains = [rows[frame, start + frame] for frame in inside]
            assert len(set(gains)) == 1  # tied
            for frame in inside:
                expected[:, start + frame] += gains[0] * w[:, frame]
        np.testing.assert_allclose(powers[index], expected, rtol=1e-4)
        first += LENGTH + 1


@pytest.mark.parametrize("channels", [1, 2])
def test_stems_of_a_synthetic_score_come_apart_with_the_updates(channels: int) -> None:
    stems, _, strokes = struck(channels)
    rough = 0.55 * stems + 0.45 * stems[::-1]  # half of each is the other
    model = TemplateNMF(stems.sum(0), rough, strokes)

    def apart() -> Spectrum:
        out = np.empty_like(stems)
        whole = slice(0, BINS)
        mixture = stems.sum(0) if channels == 1 else None
        model.filter(whole, model.powers(whole), out, mixture)
        return out

    def decibels(found: Spectrum) -> float:
        error = np.square(np.abs(found - stems)).sum(axis=(1, 2, 3))
        power = np.square(np.abs(stems)).sum(axis=(1, 2, 3))
        return float(10 * np.log10(power / error).min())

    before = decibels(apart())
    for _ in range(7):
        model.update()
    after = decibels(apart())
    assert after > before + 3
    assert after > decibels(rough)


def test_the_number_of_threads_changes_nothing() -> None:
    one, three = fitted(2, 4), fitted(2, 4, threads=3)
    for name in ("spectra", "rows", "places"):
        assert np.array_equal(getattr(one, name), getattr(three, name))


def test_strokes_outside_are_left_out_and_each_has_two_starts() -> None:
    found = Strokes.at(np.array([-500, 0, 1000, 1010, 99999]), 4000, 1000, 50, lead=1000)
    assert found.starts.tolist() == [-1, 0, 1]
    assert found.length == 4
    assert Strokes.at(np.array([], np.int64), 4000, 1000, 50).length == 0
    without = Strokes.at(np.array([100]), 0, 1000, 50, free=3)
    assert (len(without.starts), without.length, without.free) == (0, 0, 3)


def kit(
    samples: int = 60000, seed: int = 0, angles: tuple[float, ...] = (0.8, 0.3)
) -> tuple[Wave, list[NDArray[np.int64]]]:
    """Decaying noises that are struck again and again, ``(S, 2, samples)``, and when."""
    rng = np.random.default_rng(seed)
    stems = np.zeros((len(angles), samples))
    strokes = []
    for index in range(len(angles)):
        color = np.convolve(rng.standard_normal(2000), np.hanning(4 + 10 * index))[:2000]
        hit = color * np.exp(-np.arange(2000) / (300 + 400 * index))
        at = np.sort(rng.integers(0, samples - 2000, 25))
        for start in at:
            stems[index, start : start + 2000] += hit * rng.uniform(0.5, 1)
        strokes.append(at)
    gains = np.array([(np.cos(a), np.sin(a)) for a in angles])
    return np.asarray(stems[:, None] * gains[:, :, None] * 0.1, np.float32), strokes


def rough_of(stems: Wave) -> Wave:
    """Estimates that hold a good part of everything else."""
    return np.asarray(0.5 * stems + 0.25 * stems.sum(0), np.float32)


@pytest.mark.parametrize("fits", [1, 2])
@pytest.mark.parametrize("where", ["apart", "mono"])
def test_known_strokes_bring_stems_apart_that_hold_much_of_each_other(
    where: str, fits: int
) -> None:
    stems, strokes = kit(angles=(0.8, 0.3) if where == "apart" else (np.pi / 4, np.pi / 4))
    guess = rough_of(stems)
    chosen = dataclasses.replace(SMALL, fits=fits)
    without = Refiner(chosen, STEMS)(stems.sum(0), guess)
    result = Refiner(chosen, STEMS)(stems.sum(0), guess, strokes)
    np.testing.assert_allclose(result.sum(0), stems.sum(0), atol=1e-5)
    pairs = list(zip(stems, guess, without, result, strict=True))
    assert all(sdr(truth, after) > sdr(truth, before) + 3 for truth, before, _, after in pairs)
    gains = [sdr(truth, after) - sdr(truth, plain) for truth, _, plain, after in pairs]
    assert np.mean(gains) > 0.5


@settings(max_examples=15, deadline=None)
@given(
    length=st.integers(1, 12000),
    channels=st.sampled_from([1, 2]),
    level=st.sampled_from([1e-4, 1.0, 30.0]),
    strokes=st.lists(st.lists(st.integers(-5000, 20000), max_size=8), min_size=2, max_size=2),
    fits=st.integers(1, 2),
)
def test_any_strokes_give_finite_stems_that_add_up_and_nothing_that_went_in_is_changed(
    length: int, channels: int, level: float, strokes: list[list[int]], fits: int
) -> None:
    stems = kit(12000)[0][:, :channels, :length] * np.float32(level)
    mixture, guess = stems.sum(0), rough_of(stems)
    given_ = [np.array(one, np.int64) for one in strokes]
    kept = mixture.copy(), guess.copy(), [one.copy() for one in given_]
    chosen = dataclasses.replace(SMALL, iterations=2, fits=fits)
    result = Refiner(chosen, STEMS)(mixture, guess, given_)
    assert result.shape == stems.shape
    assert np.isfinite(result).all()
    np.testing.assert_allclose(result.sum(0), mixture, atol=2e-5 * level)
    assert np.array_equal(mixture, kept[0])
    assert np.array_equal(guess, kept[1])
    assert all(np.array_equal(a, b) for a, b in zip(given_, kept[2], strict=True))


def test_without_a_stroke_stems_are_refined_as_without_templates() -> None:
    stems, _ = kit()
    guess, none = rough_of(stems), [np.array([], np.int64), np.array([-3, 99999])]
    plain = Refiner(dataclasses.replace(SMALL, templates=MappingProxyType({})), STEMS)
    wanted = plain(stems.sum(0), guess)
    for strokes in (None, none):
        assert np.array_equal(Refiner(SMALL, STEMS)(stems.sum(0), guess, strokes), wanted)


@pytest.mark.parametrize("what", ["silence", "short", "not finite"])
def test_what_cannot_be_fitted_comes_as_the_network_made_it(what: str) -> None:
    stems, strokes = kit(9000)
    stems = stems * np.float32(what != "silence")
    if what == "short":
        stems = stems[..., :800]
    guess = rough_of(stems)
    if what == "not finite":
        guess[1, 0, 7] = np.nan
    result = Refiner(SMALL, STEMS)(stems.sum(0), guess, strokes)
    assert np.array_equal(result, guess, equal_nan=True)


def test_shorter_than_the_templates_window_only_the_other_model_is_fitted() -> None:
    stems, strokes = kit(9000)
    chosen = dataclasses.replace(SMALL, template_fft=9216, window=20000)
    plain = dataclasses.replace(chosen, templates=MappingProxyType({}))
    mixture, guess = stems.sum(0), rough_of(stems)
    wanted = Refiner(plain, STEMS)(mixture, guess)
    assert np.array_equal(Refiner(chosen, STEMS)(mixture, guess, strokes), wanted)


def test_a_stem_that_the_network_finds_silent_stays_far_below_the_others() -> None:
    stems, strokes = kit()
    guess = np.stack([stems.sum(0), np.zeros_like(stems[0])])
    for seen in (strokes, [strokes[0], np.array([], np.int64)]):
        result = Refiner(SMALL, STEMS)(stems.sum(0), guess, seen)
        assert np.square(result[1]).sum() < 1e-2 * np.square(result[0]).sum()


def test_mono_and_stereo_of_two_equal_channels_are_refined_alike() -> None:
    stems, strokes = kit(angles=(np.pi / 4, np.pi / 4))
    guess = rough_of(stems)
    both = Refiner(SMALL, STEMS)(stems.sum(0), guess, strokes)
    one = Refiner(SMALL, STEMS)(stems.sum(0)[:1], guess[:, :1], strokes)
    np.testing.assert_allclose(both[:, :1], one, atol=2e-4)


def test_a_stem_without_a_template_is_modelled_all_the_same() -> None:
    stems, strokes = kit(angles=(0.8, 0.3, 1.3))
    chosen = dataclasses.replace(SMALL, templates=TEMPLATES)
    guess = rough_of(stems)
    strokes[2] = np.array([], np.int64)
    result = Refiner(chosen, (*STEMS, "other"))(stems.sum(0), guess, strokes)
    for truth, before, after in zip(stems, guess, result, strict=True):
        assert sdr(truth, after) > sdr(truth, before) + 2


def test_a_fit_is_the_same_each_time_and_for_any_number_of_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stems, strokes = kit()
    result = []
    for threads in (1, 3, 1):
        monkeypatch.setattr(refinement, "default_threads", lambda threads=threads: threads)
        result.append(Refiner(SMALL, STEMS)(stems.sum(0), rough_of(stems), strokes))
    assert np.array_equal(result[0], result[1])
    assert np.array_equal(result[0], result[2])


def test_the_fit_pauses_after_each_start_and_each_update() -> None:
    stems, strokes = kit()
    steps = Refiner(SMALL, STEMS).updates(stems.sum(0), rough_of(stems), strokes)
    assert len(list(steps)) == 1 + SMALL.template_updates + 1 + SMALL.iterations


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"templates": {"kick": 0.0}}, "templates must lie between"),
        ({"templates": {"kick": 60.0}}, "templates must lie between"),
        ({"template_updates": 0}, "must be positive"),
        ({"template_fft": 1000}, "template_fft must be a multiple of 6"),
    ],
)
def test_invalid_settings_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Refinement(**changes)
