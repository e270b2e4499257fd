# SPDX-License-Identifier: GPL-3.0-or-later
"""How well models did, judged without references."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from lars_plugin.composites.blend import Blend
from lars_plugin.composites.confidence import confidences, scores, shares_of

Wave = NDArray[np.float32]

RATE = 44100
NAMES = ("kick", "snare", "hihat")
# Left and right of each stem.
PLACES = ((1.0, 0.3), (0.7, 0.7), (0.2, 1.0))


def kit(seconds: float = 2.0, places: tuple[tuple[float, float], ...] = PLACES) -> Wave:
    """Bursts of noise from three places, ``(3, 2, samples)``."""
    rng = np.random.default_rng(5)
    samples = round(seconds * RATE)
    stems = np.zeros((3, 2, samples), np.float32)
    for stem, place in zip(stems, places, strict=True):
        mono = np.zeros(samples)
        for start in rng.integers(0, samples, 12):
            length = min(8000, samples - start)
            decay = np.exp(-np.arange(length) / 1500)
            mono[start : start + length] += 0.2 * decay * rng.standard_normal(length)
        stem[:] = np.outer(place, mono)
    return stems


def smeared(stems: Wave, bleed: float) -> Wave:
    """Stems with so much of each other; they add up to the same."""
    mixture = stems.sum(axis=0)
    made: Wave = (1 - bleed) * stems + bleed * mixture / len(stems)
    return made.astype(np.float32)


def models(stems: Wave, *bleeds: float) -> Wave:
    return np.stack([smeared(stems, bleed) for bleed in bleeds])


def test_a_model_with_less_bleed_is_trusted_more_in_every_stem() -> None:
    stems = kit()
    sure = confidences(stems.sum(axis=0), models(stems, 0.05, 0.5), RATE)
    assert sure.shape == (2, 3)
    assert np.all((sure > 0) & (sure <= 1))
    assert np.all(sure[0] > sure[1])
    shares = shares_of(stems.sum(axis=0), models(stems, 0.05, 0.5), RATE)
    assert np.all(shares[0] > 0.6)
    np.testing.assert_allclose(shares.sum(axis=0), 1, atol=1e-6)


def test_one_stem_can_be_trusted_where_the_rest_is_not() -> None:
    stems = kit()
    good, bad = models(stems, 0.05, 0.6)
    # The second has a better hi-hat than it has anything else.
    swapped = np.stack([good, np.concatenate([bad[:2], good[2:]])])
    found = shares_of(stems.sum(axis=0), swapped, RATE)
    assert found[1, 2] > found[1, :2].max()


def test_equal_models_share_alike() -> None:
    stems = kit()
    shares = shares_of(stems.sum(axis=0), models(stems, 0.2, 0.2), RATE)
    np.testing.assert_allclose(shares, 0.5, atol=1e-6)


@pytest.mark.parametrize(
    "places",
    [
        ((1, 1), (0.5, 0.5), (2, 2)),
        ((1, 0), (0.5, 0), (2, 0)),
        ((1, -1), (0.5, -0.5), (2, -2)),
        ((1, 0.5), (0.5, 0.25), (2, 1)),
    ],
    ids=["mono", "left", "inverted", "one place"],
)
def test_without_directions_two_models_share_alike(
    places: tuple[tuple[float, float], ...],
) -> None:
    stems = kit(places=places)
    found = models(stems, 0.05, 0.6)
    np.testing.assert_array_equal(shares_of(stems.sum(axis=0), found, RATE), 0.5)


@pytest.mark.parametrize("samples", [0, 1, 4095])
def test_silence_and_the_shortest_windows_share_alike(samples: int) -> None:
    nothing = np.zeros((2, 3, 2, samples), np.float32)
    np.testing.assert_array_equal(shares_of(nothing[0, 0], nothing, RATE), 0.5)
    whole = kit(0.2)[..., :samples]
    np.testing.assert_array_equal(shares_of(whole.sum(axis=0), models(whole, 0, 0.5), RATE), 0.5)


def test_of_three_models_one_that_stands_apart_is_trusted_less_in_mono_too() -> None:
    stems = kit(places=((1, 1), (1, 1), (1, 1)))
    found = scores(stems.sum(axis=0), models(stems, 0.1, 0.12, 0.9), RATE)
    assert np.all(found[:2] > found[2])


def test_inputs_are_not_changed_and_the_level_does_not_matter() -> None:
    stems = kit()
    mixture, both = stems.sum(axis=0), models(stems, 0.1, 0.4)
    before = mixture.copy(), both.copy()
    shares = shares_of(mixture, both, RATE)
    np.testing.assert_array_equal(mixture, before[0])
    np.testing.assert_array_equal(both, before[1])
    quiet = shares_of(mixture * np.float32(0.01), both * np.float32(0.01), RATE)
    np.testing.assert_allclose(quiet, shares, atol=1e-3)


def test_a_blend_fades_from_one_judgement_to_the_next_and_keeps_the_sum() -> None:
    stems = kit(4.7)
    both = models(stems, 0.0, 0.4)
    judged: list[int] = []

    def judge(mixture: Wave, _stems: Wave, _rate: float) -> Wave:
        judged.append(mixture.shape[1])
        first = float(len(judged) % 2)
        return np.array([[first] * 3, [1 - first] * 3], np.float32)

    blend = Blend(2, NAMES, 2, RATE, judge)
    out = np.concatenate([blend.push(stems.sum(axis=0), both), blend.flush()], axis=2)
    assert out.shape == stems.shape
    # Windows of two seconds, one second apart; the last one is as long as what is left.
    assert judged == [2 * RATE] * 3 + [round(1.7 * RATE)]
    np.testing.assert_allclose(out.sum(axis=0), stems.sum(axis=0), atol=1e-5)
    # All for the first until the first middle, all for the second at the next one.
    np.testing.assert_allclose(out[..., :1000], both[0, ..., :1000], atol=1e-5)
    at = slice(2 * RATE - 50, 2 * RATE + 50)
    np.testing.assert_allclose(out[..., at], both[1, ..., at], atol=1e-3)
