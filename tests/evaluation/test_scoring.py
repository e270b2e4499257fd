# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from lars_plugin.errors import DatasetError, InputError
from lars_plugin.evaluation.baselines import mixture as mixture_baseline
from lars_plugin.evaluation.clips import Recording
from lars_plugin.evaluation.metrics import LIMIT_DB, sdr
from lars_plugin.evaluation.scoring import FIVE, Row, derived, pair, score

Wave = NDArray[np.float32]

SIX = ("kick", "snare", "toms", "hihat", "ride", "crash")


def waves(*names: str, seed: int = 0) -> dict[str, Wave]:
    rng = np.random.default_rng(seed)
    return {name: rng.uniform(-1, 1, (2, 50)).astype(np.float32) for name in names}


def rows(references: dict[str, Wave], estimates: dict[str, Wave]) -> list[Row]:
    mix = np.asarray(np.sum(list(references.values()), axis=0), np.float32)
    return score("c", "k", "m", "", mix, references, estimates, seconds=2, work=1)


def test_six_stems_are_also_scored_with_ride_and_crash_as_cymbals() -> None:
    references, estimates = waves(*SIX), waves(*SIX, seed=1)
    pairs = pair(references, estimates)
    assert list(pairs) == [*SIX, "cymbals"]
    np.testing.assert_array_equal(pairs["cymbals"][0], references["ride"] + references["crash"])
    np.testing.assert_array_equal(pairs["cymbals"][1], estimates["ride"] + estimates["crash"])


@pytest.mark.parametrize(("ours", "theirs"), [(SIX, FIVE), (FIVE, SIX)])
def test_five_stems_meet_six_as_cymbals(ours: tuple[str, ...], theirs: tuple[str, ...]) -> None:
    assert list(pair(waves(*ours), waves(*theirs))) == list(FIVE)


def test_the_drums_of_a_full_mix_are_the_sum_of_its_drum_stems() -> None:
    references = waves("vocals", "bass", "drums", "other")
    estimates = waves(*SIX, "other", seed=1)
    pairs = pair(references, estimates)
    assert list(pairs) == ["drums", "accompaniment"]
    total = np.sum([estimates[name] for name in SIX], axis=0)
    np.testing.assert_allclose(pairs["drums"][1], total, rtol=1e-6, atol=1e-6)


def test_drum_recordings_are_not_scored_as_drums() -> None:
    assert "drums" not in derived(waves(*SIX))


def test_other_is_compared_only_where_it_means_the_same() -> None:
    music = ("vocals", "bass", "drums", "other")
    assert list(pair(waves(*music), waves(*music))) == list(music)
    references, estimates = waves(*SIX, "other"), waves(*music, seed=1)
    pairs = pair(references, estimates)
    assert list(pairs) == ["drums", "other"]
    np.testing.assert_array_equal(pairs["other"][0], references["other"])
    rest = estimates["vocals"] + estimates["bass"] + estimates["other"]
    np.testing.assert_allclose(pairs["other"][1], rest, rtol=1e-6)


def test_a_system_that_adds_stems_is_compared_on_those_there_are() -> None:
    assert list(pair(waves("kick", "snare"), waves(*SIX))) == ["kick", "snare"]


def test_nothing_in_common_is_an_error_that_names_both_sides() -> None:
    with pytest.raises(DatasetError, match=r"vocals.*kick"):
        rows(waves("kick"), waves("vocals"))


def test_rows_hold_equation_2_and_levels() -> None:
    references, estimates = waves(*SIX), waves(*SIX, seed=1)
    result = {row.stem: row for row in rows(references, estimates)}
    assert result["kick"].sdr_db == pytest.approx(
        sdr(references["kick"], estimates["kick"]), abs=1e-4
    )
    assert all(row.of == 7 for row in result.values())
    assert result["kick"].reference_db < 0
    assert (result["kick"].seconds, result["kick"].work) == (2, 1)


def test_a_silent_reference_has_leakage_but_no_sdr() -> None:
    references = waves("kick") | {"snare": np.zeros((2, 50), np.float32)}
    snare = rows(references, waves("kick", "snare", seed=1))[1]
    assert snare.sdr_db is None
    assert snare.reference_db == -LIMIT_DB
    assert snare.leakage_db == pytest.approx(0, abs=1.5)


def test_scores_are_finite_even_for_perfect_and_silent_estimates() -> None:
    references = waves("kick", "snare")
    estimates = {"kick": references["kick"], "snare": np.zeros((2, 50), np.float32)}
    kick, snare = rows(references, estimates)
    assert kick.sdr_db == LIMIT_DB
    assert snare.leakage_db == -LIMIT_DB


def test_an_estimate_with_nan_is_no_score() -> None:
    estimates = waves("kick", seed=1)
    estimates["kick"][0, 3] = np.nan
    with pytest.raises(InputError, match="NaN"):
        rows(waves("kick"), estimates)


def test_the_mixture_baseline_is_the_mixture_for_sums_too() -> None:
    references = waves(*SIX)
    mix = np.asarray(np.sum(list(references.values()), axis=0), np.float32)
    result = pair(references, mixture_baseline(Recording(mix, references, 44100)))
    assert all(np.array_equal(estimate, mix) for _, estimate in result.values())
    assert "cymbals" in result
