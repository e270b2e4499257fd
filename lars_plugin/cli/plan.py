# SPDX-License-Identifier: GPL-3.0-or-later
"""Which file becomes which, settled before any work is done."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lars_plugin.audio import printable
from lars_plugin.cli.inputs import Found
from lars_plugin.cli.naming import OutputNames, check_plan
from lars_plugin.cli.report import Outcome
from lars_plugin.errors import InputError
from lars_plugin.separation.files import RESIDUAL
from lars_plugin.separation.separator import Separator

__all__ = ["Plan", "make_plan"]


@dataclass(frozen=True)
class Plan:
    """Inputs with their outputs (stem to file), and inputs whose fate is known already."""

    work: list[tuple[Path, dict[str, Path]]]
    settled: list[Outcome]


def make_plan(args: argparse.Namespace, separator: Separator, found: Sequence[Found]) -> Plan:
    """Name all outputs.

    A file that was found in a folder, and that is an output of another input, is left out: it
    comes from an earlier run.

    Raises:
        InputError: a template that cannot be used, or outputs that collide.
    """
    names = OutputNames(args.out, args.filename, args.format, separator.model.config.name)
    stems = (*separator.stems, *([RESIDUAL] if args.residual else []))
    outputs: dict[Path, dict[str, Path]] = {}
    settled: list[Outcome] = []
    for item in found:
        try:
            outputs[item.path] = {stem: names.path(item.path, stem) for stem in stems}
        except InputError as error:
            settled.append(Outcome(item.path, "failed", error=str(error)))
    made = {os.path.realpath(path) for paths in outputs.values() for path in paths.values()}
    for item in found:
        if not item.named and os.path.realpath(item.path) in made:
            outputs.pop(item.path, None)
    check_plan(list(outputs), {path: list(paths.values()) for path, paths in outputs.items()})
    work = []
    for path, paths in outputs.items():
        there = [output for output in paths.values() if os.path.lexists(output)]
        if not there or args.overwrite:
            work.append((path, paths))
        elif len(there) == len(paths):
            settled.append(Outcome(path, "skipped", outputs=paths))
        else:
            message = (
                f"{printable(there[0])} is there already, though not all outputs are;"
                " use --overwrite, or another -o folder"
            )
            settled.append(Outcome(path, "failed", error=message))
    return Plan(work, settled)
