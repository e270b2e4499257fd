# SPDX-License-Identifier: GPL-3.0-or-later
"""Scoring one clip: the pairs of estimate and reference, and the numbers for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lars_plugin.errors import DatasetError
from lars_plugin.evaluation.clips import stem_order
from lars_plugin.evaluation.metrics import leakage_db, level_db, limited, sdr

__all__ = ["FIVE", "Row", "derived", "pair", "score"]

Wave = NDArray[np.float32]

# The grouping of LARS 2.0 and LarsNet.
FIVE = ("kick", "snare", "toms", "hihat", "cymbals")

_REST = ("vocals", "bass", "other")


@dataclass(frozen=True)
class Row:
    """The score of one stem of one clip by one system.

    Attributes:
        clip: the clip's name.
        kit: the clip's kit, or empty.
        system: a model's name or a baseline's.
        settings: other settings that determine the estimate ("overlap 8"), or empty.
        stem: canonical name.
        of: how many rows this clip and system have.
        reference_db: level of the reference against the mixture.
        sdr_db: signal-to-distortion ratio; None for a reference without a single sound.
        leakage_db: level of the estimate against the mixture.
        seconds: duration of the clip.
        work: seconds the system took for the clip, all stems together.

    Decibels are limited to +-:data:`~lars_plugin.evaluation.metrics.LIMIT_DB` and have four
    decimals, seconds six, so that a row is the same when it comes back from a table.
    """

    clip: str
    kit: str
    system: str
    settings: str
    stem: str
    of: int
    reference_db: float
    sdr_db: float | None
    leakage_db: float
    seconds: float
    work: float


def derived(stems: Mapping[str, Wave]) -> dict[str, Wave]:
    """The stems and their sums: cymbals, and the drums of a full mix."""
    result = dict(stems)
    if "cymbals" not in result and {"ride", "crash"} <= result.keys():
        result["cymbals"] = result["ride"] + result["crash"]
    if "drums" not in result and result.keys() & set(_REST) and set(FIVE) <= result.keys():
        result["drums"] = np.sum([result[name] for name in FIVE], axis=0, dtype=np.float32)
    return result


def pair(
    references: Mapping[str, Wave], estimates: Mapping[str, Wave]
) -> dict[str, tuple[Wave, Wave]]:
    """Reference and estimate of each stem that both sides have, sums included.

    "other" is what remains beside the other stems, so it is compared only if both sides have the
    same other stems. Otherwise everything except drums is added up on both sides. That sum is
    called "other" if it is the reference's "other", and "accompaniment" if it holds more.
    """
    ours, theirs = derived(references), derived(estimates)
    rest_ours = [name for name in _REST if name in references]
    rest_theirs = [name for name in _REST if name in estimates]
    names = sorted(ours.keys() & theirs.keys(), key=stem_order)
    pairs = {name: (ours[name], theirs[name]) for name in names}
    if rest_ours != rest_theirs and "other" in rest_ours and "other" in rest_theirs:
        del pairs["other"]
        name = "other" if rest_ours == ["other"] else "accompaniment"
        pairs[name] = (
            np.sum([ours[rest] for rest in rest_ours], axis=0, dtype=np.float32),
            np.sum([theirs[rest] for rest in rest_theirs], axis=0, dtype=np.float32),
        )
    return pairs


def score(
    clip: str,
    kit: str,
    system: str,
    settings: str,
    mixture: Wave,
    references: Mapping[str, Wave],
    estimates: Mapping[str, Wave],
    *,
    seconds: float,
    work: float,
) -> list[Row]:
    """One row per stem; see :class:`Row` for what the arguments mean.

    Raises:
        DatasetError: the clip and the system have no stem in common.
        InputError: an estimate of another shape, or a score that is NaN.
    """
    pairs = pair(references, estimates)
    if not pairs:
        raise DatasetError(
            f"{system} gives {', '.join(estimates)}, but {clip} holds {', '.join(references)}:"
            " there is nothing to compare"
        )
    rows = []
    for stem, (reference, estimate) in pairs.items():
        rows.append(
            Row(
                clip=clip,
                kit=kit,
                system=system,
                settings=settings,
                stem=stem,
                of=len(pairs),
                reference_db=_decibels(level_db(reference, mixture)),
                sdr_db=_decibels(sdr(reference, estimate)) if reference.any() else None,
                leakage_db=_decibels(leakage_db(estimate, mixture)),
                seconds=round(seconds, 6),
                work=round(work, 6),
            )
        )
    return rows


def _decibels(value: float) -> float:
    return round(limited(value), 4)
