# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an input is to be separated, is done already, or must not be begun."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lars_plugin.audio import printable
from lars_plugin.cli.records import Making, Record, Run, Source, Written

__all__ = ["Verdict", "judge"]

_REMEDY = "; use --overwrite, or another -o folder or --filename"


@dataclass(frozen=True)
class Verdict:
    """What to do, and for ``refuse`` why: one line."""

    what: Literal["do", "skip", "refuse"]
    reason: str = ""


def judge(
    record: Record,
    source: Source | None,
    making: Mapping[str, Making],
    outputs: Mapping[str, Path],
) -> Verdict:
    """Hold outputs that are there already against the record of what they were made from.

    What is known to be the same is skipped. What was made from an older state of the same file
    is made again. What was made from another file or in another way, what was changed since,
    and what nothing is known of, stays, and so does the input that would replace it.

    Args:
        record: beside the outputs.
        source: the input as it is; None: it cannot be told from others.
        making: by output, how it is to be made.
        outputs: by stem.
    """
    there = [stem for stem, path in outputs.items() if os.path.lexists(path)]
    fresh: dict[int, bool] = {}  # by run: whether its input is what the input is now

    def is_fresh(run: Run) -> bool:
        if id(run) not in fresh:
            fresh[id(run)] = source is not None and run.source.same_as(source)
        return fresh[id(run)]

    def is_older(run: Run) -> bool:
        return source is not None and run.source.path == source.path

    known: dict[str, tuple[Run, Written]] = {}
    for stem in there:
        found = record.find(stem, outputs[stem])
        name = printable(outputs[stem])
        if found is None or not found[1].is_there(outputs[stem], untouched=False):
            what = "what it was made from" if found is None else "by whom it was changed since"
            return _refuse(f"{name} is there already, and nothing tells {what}")
        known[stem] = found
        if not is_fresh(found[0]):
            if not is_older(found[0]):
                return _refuse(
                    f"{name} is there already, made from {printable(found[0].source.path)}"
                )
        elif difference := found[0].making.differences(making[stem]):
            return _refuse(f"{name} is there already, made in another way ({difference})")
    if len(there) == len(outputs) and all(is_fresh(run) for run, _ in known.values()):
        return Verdict("skip")
    for stem, (_, written) in known.items():
        if not written.is_there(outputs[stem], untouched=True):
            return _refuse(f"{printable(outputs[stem])} is there already, and was changed since")
    # Stems of two recordings, or of two states of one, must not lie side by side as if of one.
    for run in record.runs:
        for stem, written in run.outputs.items():
            path = record.file(written)
            if stem not in outputs and os.path.lexists(path) and not is_fresh(run):
                of = "an older state of it" if is_older(run) else printable(run.source.path)
                return _refuse(f"{printable(path)} lies in the same place, made from {of}")
    return Verdict("do")


def _refuse(reason: str) -> Verdict:
    return Verdict("refuse", reason + _REMEDY)
