# SPDX-License-Identifier: GPL-3.0-or-later
"""The reported figures from rows of scores: means, medians, leakage, real-time ratio.

Over clips, a stem's mean and median count the clips in which it sounds, that is, in which its
reference is above a threshold against the mixture. In all others the level of the estimate, its
leakage, counts instead. Over stems, ``mean`` is the mean of the stems' figures; each stem has the
same weight, however often it sounds. A sum of stems does not count beside its parts, so for six
stems there are two means: of the six, and of the five with ride and crash as cymbals. A full mix
has a third mean, with the rest beside the six.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lars_plugin.evaluation.clips import stem_order
from lars_plugin.evaluation.metrics import SILENCE_DB, real_time_ratio
from lars_plugin.evaluation.scoring import FIVE, Row

__all__ = ["Cell", "Summary", "summarise"]

SIX = ("kick", "snare", "toms", "hihat", "ride", "crash")

_PARTS = {"cymbals": ("ride", "crash"), "drums": FIVE}


@dataclass(frozen=True)
class Cell:
    """A stem of a system over some clips. Fields are None where no clip counts.

    Attributes:
        sdrs: of the clips in which the stem sounds, in order.
        leakages: of those in which it does not.
    """

    sdrs: tuple[float, ...] = ()
    leakages: tuple[float, ...] = ()

    @property
    def mean(self) -> float | None:
        """Mean SDR in dB."""
        return statistics.fmean(self.sdrs) if self.sdrs else None

    @property
    def median(self) -> float | None:
        """Median SDR in dB."""
        return statistics.median(self.sdrs) if self.sdrs else None

    @property
    def leakage(self) -> float | None:
        """Mean leakage in dB."""
        return statistics.fmean(self.leakages) if self.leakages else None


@dataclass(frozen=True)
class Summary:
    """The figures of a run, or of one kit of it.

    Attributes:
        systems: names, in the order given.
        stems: columns.
        cells: by (system, stem); only existing ones.
        clips: number of clips with rows.
        real_time: of each system: seconds of work per second of audio.
        threshold_db: at and below this level against its mixture a reference counts as silent.
        models: the systems that are not baselines.
    """

    systems: tuple[str, ...]
    stems: tuple[str, ...]
    cells: dict[tuple[str, str], Cell]
    clips: int
    real_time: dict[str, float]
    threshold_db: float
    models: tuple[str, ...]

    def cell(self, system: str, stem: str) -> Cell:
        """The cell, empty where the system has no such stem."""
        return self.cells.get((system, stem), Cell())

    @property
    def groupings(self) -> dict[str, tuple[str, ...]]:
        """Name of each mean over stems, and the stems that count for it."""
        sums = {name for name, parts in _PARTS.items() if set(parts) <= set(self.stems)}
        whole = tuple(stem for stem in self.stems if stem not in sums)
        result = {"mean": whole}
        if set(SIX) < set(whole):
            result["mean of 6"] = SIX  # the drums of a full mix
        if whole != FIVE and set(FIVE) <= set(self.stems):
            result["mean of 5"] = FIVE
        return result

    def over_stems(self, system: str, figure: str, stems: Sequence[str]) -> float | None:
        """Mean over these stems of ``mean``, ``median`` or ``leakage``.

        None unless the system has every stem that any system has, because means over different
        stems are not comparable. For a system of five stems, cymbals replace ride and crash.
        """
        values = []
        for stem in stems:
            value: float | None = getattr(self.cell(system, stem), figure)
            if value is not None:
                values.append(value)
            elif any(getattr(self.cell(s, stem), figure) is not None for s in self.systems):
                return None
        return statistics.fmean(values) if values else None


def summarise(
    rows: Iterable[Row],
    systems: Sequence[str],
    *,
    models: Sequence[str] = (),
    five: bool = False,
    threshold_db: float = SILENCE_DB,
) -> Summary:
    """Count rows together.

    Args:
        rows: of any clips and systems.
        systems: those wanted, in the order of the table.
        models: the systems that are not baselines.
        five: leave ride and crash out where there are cymbals.
        threshold_db: see :class:`Summary`.
    """
    rows = [row for row in rows if row.system in systems]
    stems = {row.stem for row in rows}
    if five and "cymbals" in stems:
        stems -= {"ride", "crash"}
    sdrs: dict[tuple[str, str], list[float]] = {}
    leakages: dict[tuple[str, str], list[float]] = {}
    times: dict[str, dict[str, tuple[float, float]]] = {}
    for row in rows:
        times.setdefault(row.system, {})[row.clip] = (row.work, row.seconds)
        if row.stem not in stems:
            continue
        if row.reference_db > threshold_db and row.sdr_db is not None:
            sdrs.setdefault((row.system, row.stem), []).append(row.sdr_db)
        else:
            leakages.setdefault((row.system, row.stem), []).append(row.leakage_db)
    keys = sdrs.keys() | leakages.keys()
    return Summary(
        systems=tuple(systems),
        stems=tuple(sorted(stems, key=stem_order)),
        cells={key: Cell(tuple(sdrs.get(key, ())), tuple(leakages.get(key, ()))) for key in keys},
        clips=len({row.clip for row in rows}),
        real_time={
            system: real_time_ratio(
                sum(work for work, _ in clips.values()),
                sum(seconds for _, seconds in clips.values()),
            )
            for system, clips in times.items()
        },
        threshold_db=threshold_db,
        models=tuple(models),
    )
