# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables of scores, as data, as aligned text, and as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from lars_plugin.evaluation.clips import stem_order
from lars_plugin.evaluation.scoring import Row
from lars_plugin.evaluation.summary import Summary, summarise
from lars_plugin.evaluation.variants import variant_of

__all__ = [
    "Table",
    "all_tables",
    "clip_table",
    "kit_table",
    "leakage_table",
    "sdr_table",
    "variant_tables",
]

NOTHING = "-"


@dataclass(frozen=True)
class Table:
    """Strings in rows; the first column holds names, the others figures."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def text(self) -> str:
        """Columns aligned with spaces, under the title."""
        widths = [max(map(len, column)) for column in zip(self.header, *self.rows, strict=True)]
        lines = [self.title, ""]
        for row in (self.header, *self.rows):
            cells = [row[0].ljust(widths[0])]
            cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
            lines.append("  ".join(cells).rstrip())
        return "\n".join(lines) + "\n"

    def markdown(self) -> str:
        """A table of GitHub's Markdown, under the title in bold."""
        rule = ["---", *["---:"] * (len(self.header) - 1)]
        lines = [f"**{_escape(self.title)}**", ""]
        for row in (self.header, rule, *self.rows):
            lines.append("| " + " | ".join(_escape(cell) for cell in row) + " |")
        return "\n".join(lines) + "\n"


def sdr_table(summary: Summary, figure: str = "mean") -> Table:
    """Systems by stems, with the means over stems and the real-time ratio.

    Args:
        summary: the figures.
        figure: ``mean`` or ``median`` over clips.
    """
    groupings = summary.groupings
    header = ["", *summary.stems, *groupings]
    if figure == "mean" and summary.models:
        header.append("RTR")
    rows = []
    for system in summary.systems:
        cells = [getattr(summary.cell(system, stem), figure) for stem in summary.stems]
        cells += [summary.over_stems(system, figure, stems) for stems in groupings.values()]
        row = [system, *map(_decibels, cells)]
        if len(row) < len(header):
            ratio = summary.real_time.get(system) if system in summary.models else None
            row.append(NOTHING if ratio is None else f"{ratio:.2f}")
        rows.append(tuple(row))
    counts = [str(max(len(summary.cell(s, stem).sdrs) for s in summary.systems)) for stem in
              summary.stems]  # fmt: skip
    blank = [""] * (len(header) - 1 - len(counts))
    rows.append(("clips", *counts, *blank))
    title = (
        f"SDR in dB, {figure} over the clips in which the stem sounds"
        f" (above {summary.threshold_db:g} dB against the mixture)"
    )
    return Table(title, tuple(header), tuple(rows))


def leakage_table(summary: Summary) -> Table | None:
    """Leakage into silent stems, systems by stems; None if no stem was ever silent."""
    stems = [s for s in summary.stems if any(summary.cell(y, s).leakages for y in summary.systems)]
    if not stems:
        return None
    rows = [
        (system, *(_decibels(summary.cell(system, stem).leakage) for stem in stems))
        for system in summary.systems
    ]
    counts = [str(max(len(summary.cell(y, s).leakages) for y in summary.systems)) for s in stems]
    rows.append(("clips", *counts))
    return Table(
        "Leakage in dB against the mixture, mean over the clips in which the stem is silent"
        " (lower is better)",
        ("", *stems),
        tuple(rows),
    )


def kit_table(rows: Iterable[Row], summary: Summary, figure: str = "mean") -> Table | None:
    """Kits and systems by stems; None for fewer than two kits."""
    rows = list(rows)
    kits = sorted({row.kit for row in rows})
    if len(kits) < 2:
        return None
    groupings = summary.groupings
    lines = []
    for kit in kits:
        part = summarise(
            [row for row in rows if row.kit == kit and row.stem in summary.stems],
            summary.systems,
            threshold_db=summary.threshold_db,
        )
        for system in summary.systems:
            cells = [getattr(part.cell(system, stem), figure) for stem in summary.stems]
            cells += [part.over_stems(system, figure, stems) for stems in groupings.values()]
            lines.append((f"{kit or NOTHING}: {system}", *map(_decibels, cells)))
    header = ("", *summary.stems, *groupings)
    return Table(f"SDR in dB by kit, {figure} over clips", header, tuple(lines))


def clip_table(rows: Iterable[Row], summary: Summary) -> Table:
    """Every clip and system by stems; leakage is in brackets where a stem is silent."""
    lines: dict[tuple[str, str], dict[str, str]] = {}
    for row in rows:
        if row.system in summary.systems and row.stem in summary.stems:
            sounding = row.reference_db > summary.threshold_db and row.sdr_db is not None
            cell = _decibels(row.sdr_db) if sounding else f"({_decibels(row.leakage_db)})"
            lines.setdefault((row.clip, row.system), {})[row.stem] = cell
    stems = sorted(summary.stems, key=stem_order)
    return Table(
        "SDR in dB by clip; in brackets the leakage of stems that are silent",
        ("", *stems),
        tuple(
            (f"{clip}: {system}", *(cells.get(stem, NOTHING) for stem in stems))
            for (clip, system), cells in lines.items()
        ),
    )


def variant_tables(rows: Iterable[Row], summary: Summary) -> list[Table]:
    """Systems by variants: the mean over stems (of five, where there are five), then each stem.

    Args:
        rows: of clips named by :func:`~lars_plugin.evaluation.variants.spread_over_variants`.
        summary: of all of them; decides which systems and stems are shown.
    """
    parts: dict[str, list[Row]] = {}
    for row in rows:
        if row.stem in summary.stems:
            parts.setdefault(variant_of(row.clip), []).append(row)
    figures = {
        name: summarise(part, summary.systems, threshold_db=summary.threshold_db)
        for name, part in parts.items()
    }
    groupings = summary.groupings
    of_five = "mean of 5" if "mean of 5" in groupings else "mean"
    shown = groupings[of_five]

    def table(title: str, value: Callable[[Summary, str], float | None]) -> Table:
        lines = [
            (system, *(_decibels(value(part, system)) for part in figures.values()))
            for system in summary.systems
        ]
        return Table(title, ("", *figures), tuple(lines))

    result = [
        table(
            f"SDR in dB by variant, {of_five} stems" if of_five != "mean" else
            "SDR in dB by variant, mean over stems",
            lambda part, system: part.over_stems(system, "mean", shown),
        )
    ]  # fmt: skip
    for stem in shown:
        result.append(
            table(
                f"SDR in dB by variant, {stem}",
                lambda part, system, stem=stem: part.cell(system, stem).mean,  # type: ignore[misc]
            )
        )
    return result


def _decibels(value: float | None) -> str:
    if value is None:
        return NOTHING
    # No "-0.0", and a sign that is as wide as a digit.
    return f"{round(value, 1) + 0.0:.1f}"


def _escape(cell: str) -> str:
    return cell.replace("\\", "\\\\").replace("|", "\\|")


def all_tables(rows: Sequence[Row], summary: Summary, *, clips: bool = False) -> list[Table]:
    """All tables that are not empty, in the order of printing."""
    tables = [
        sdr_table(summary),
        sdr_table(summary, "median"),
        leakage_table(summary),
        kit_table(rows, summary),
    ]
    if clips:
        tables.append(clip_table(rows, summary))
    return [table for table in tables if table is not None]
