# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``lars evaluate`` writes: scores as JSON, figure 3, and the page to listen to."""

from __future__ import annotations

import argparse
import datetime as dt
import shlex
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lars_plugin.errors import LarsError

if TYPE_CHECKING:
    from lars_plugin.evaluation.clips import Clip
    from lars_plugin.evaluation.datasets import Layout
    from lars_plugin.evaluation.run import Outcome
    from lars_plugin.evaluation.summary import Summary
    from lars_plugin.evaluation.systems import System

__all__ = ["write_results"]


def write_results(
    args: argparse.Namespace,
    layout: Layout,
    clips: list[Clip],
    systems: list[System],
    outcome: Outcome,
    summary: Summary,
    say: Callable[[str], None],
) -> None:
    """Write the table, the figure and the page that the options ask for.

    ``say`` gets a line for each file.

    Raises:
        InputError, OSError: a file cannot be written.
    """
    from lars_plugin.audio import AtomicFiles
    from lars_plugin.evaluation.plots import figure_3, save_figure
    from lars_plugin.evaluation.report import report
    from lars_plugin.evaluation.results import document, to_json
    from lars_plugin.evaluation.systems import ModelSystem

    scores = document(
        outcome,
        summary,
        command=["lars", *map(shlex.quote, sys.argv[1:])],
        entries={
            "date": dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds"),
            "folder": args.folder.name,
            "layout": layout,
            "clips": len(clips),
            "jobs": args.jobs,
            "settings": {system.name: system.settings for system in systems},
            "backends": {s.name: s.backend for s in systems if isinstance(s, ModelSystem)},
        },
    )
    if args.figure:
        save_figure(figure_3(summary, args.folder.name), args.figure)
    with AtomicFiles() as files:
        if args.json:
            files.create(args.json).write(to_json(scores).encode())
        if args.html:
            excerpts = _excerpts(args, clips, systems, outcome, summary, say)
            page = report(outcome.rows, summary, excerpts, scores, audio=args.html_audio)
            files.create(args.html).write(page.encode())
    for path in (args.csv, args.json, args.figure, args.html):
        if path and not args.quiet:
            say(f"lars: wrote {path}")


def _excerpts(
    args: argparse.Namespace,
    clips: list[Clip],
    systems: list[System],
    outcome: Outcome,
    summary: Summary,
    say: Callable[[str], None],
) -> list[Any]:
    from lars_plugin.evaluation.listening import choose, make_excerpt

    by_name = {clip.name: clip for clip in clips}
    shown = [s for s in systems if s.is_model] or [s for s in systems if s.name != "mixture"]
    shown = [system for system in shown if system.name in summary.systems]
    excerpts = []
    for name, why in choose(outcome.rows, summary, max(0, args.html_clips)):
        try:
            excerpts.append(make_excerpt(by_name[name], why, shown, outcome.rows))
        except LarsError as error:
            say(f"lars: {name} is not in the page: {error}")
    return excerpts
