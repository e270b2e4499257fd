# SPDX-License-Identifier: GPL-3.0-or-later
"""The network that names articulations: it learns, and it is the same in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from lars_plugin.midi.scorer import Scorer
from lars_plugin.training.midi.fit_scorer import fit_scorer


@pytest.fixture(scope="module")
def known() -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Features of which the first two decide by the sign of their product, and the labels."""
    drawn = np.random.default_rng(1).standard_normal((600, 5)).astype(np.float32)
    return drawn, drawn[:, 0] * drawn[:, 1] > 0


def test_a_scorer_learns_what_is_not_a_line_and_survives_being_stored(
    known: tuple[NDArray[np.float32], NDArray[np.bool_]],
) -> None:
    features, labels = known
    scorer = fit_scorer(features[:400], labels[:400], decay=1e-4)
    guessed = scorer(features[400:])
    assert ((guessed > 0.5) == labels[400:]).mean() > 0.85
    again = Scorer.from_arrays(scorer.to_arrays(), 5)
    assert np.array_equal(again(features), scorer(features))


def test_training_a_scorer_twice_gives_the_same_and_leaves_the_random_state_alone(
    known: tuple[NDArray[np.float32], NDArray[np.bool_]],
) -> None:
    state = torch.random.get_rng_state()
    one, two = (fit_scorer(*known, hidden=3, steps=5) for _ in range(2))
    assert all(np.array_equal(one.to_arrays()[k], a) for k, a in two.to_arrays().items())
    assert torch.equal(torch.random.get_rng_state(), state)
    other = fit_scorer(*known, hidden=3, steps=5, seed=1)
    assert not np.array_equal(one.inner, other.inner)


def test_the_fit_is_a_minimum_of_the_penalised_likelihood(
    known: tuple[NDArray[np.float32], NDArray[np.bool_]],
) -> None:
    features, labels = known
    decay, weight = 1e-2, 3.0
    scorer = fit_scorer(features, labels, hidden=3, decay=decay, weight=weight)
    share = np.where(labels, weight, 1.0)
    share /= share.sum()

    def loss(one: Scorer) -> float:
        chances = one(features)
        right = np.where(labels, chances, 1 - chances)
        penalty = (one.inner**2).sum() + (one.outer**2).sum()
        return float(-(share * np.log(right)).sum() + decay / 2 * penalty)

    least = loss(scorer)
    rng = np.random.default_rng(0)
    for name in ("inner", "bias", "outer", "offset"):
        arrays = scorer.to_arrays()
        step = rng.standard_normal(arrays[name].shape)
        step *= 0.01 / np.linalg.norm(step)
        for sign in (-1, 1):
            moved = Scorer.from_arrays(arrays | {name: arrays[name] + sign * step}, 5)
            assert loss(moved) > least
