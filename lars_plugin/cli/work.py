# SPDX-License-Identifier: GPL-3.0-or-later
"""One recording separated, with its record and its MIDI file: what every command does with it."""

from __future__ import annotations

import argparse
import dataclasses
import logging
import sys
from typing import TYPE_CHECKING

from lars_plugin.audio import AtomicFiles
from lars_plugin.cli.records import Source
from lars_plugin.cli.report import Outcome
from lars_plugin.errors import CancelledError, LarsError
from lars_plugin.separation.files import separate_file

if TYPE_CHECKING:
    from lars_plugin.cli.plan import Task
    from lars_plugin.model import AnyModel
    from lars_plugin.separation.separator import Progress, Separator

log = logging.getLogger(__name__)

__all__ = ["separate_one", "share_cores", "with_midi"]


def separate_one(
    args: argparse.Namespace, separator: Separator, task: Task, progress: Progress
) -> Outcome:
    """Separate a recording, by the options of ``lars separate``. Raises nothing but interrupts.

    Args:
        args: the options.
        separator: that they lead to.
        task: the recording and its outputs, which are replaced.
        progress: called with (frames done, frames in all); returning False cancels.
    """
    path = task.path
    try:
        source = Source.of(path)
        with AtomicFiles() as files:
            # First, so that it gets its name first: no stem without a record.
            record = files.create(task.record) if source is not None else None
            result = separate_file(
                separator,
                path,
                task.outputs.__getitem__,
                bits=args.bits,
                residual=args.residual,
                rescale=args.rescale,
                progress=progress,
                files=files,
                channels=args.channels,
                metadata=args.metadata,
            )
            if record is not None and source is not None:
                written = {output: files.stat(output) for output in task.outputs.values()}
                record.write(task.recorded(source.hashed(), written))
    except CancelledError:
        return Outcome(path, "cancelled")
    except Exception as error:
        return _failed(Outcome(path, "failed"), error)
    return with_midi(args, task, Outcome(path, "done", result=result))


def with_midi(args: argparse.Namespace, task: Task, outcome: Outcome) -> Outcome:
    """With ``--midi``, the MIDI file of stems that are there. Raises nothing but interrupts."""
    if task.midi is None:
        return outcome
    from lars_plugin.cli.midi_options import write_midi_of

    try:
        source = Source.of(task.path)
        write_midi_of(args, task.outputs, task.midi)
        if source is not None:
            task.record_midi(source.hashed())
    except Exception as error:
        return _failed(outcome, error)
    outputs = {**task.outputs, "midi": task.midi}
    if outcome.result is None:
        return dataclasses.replace(outcome, outputs=outputs)
    return dataclasses.replace(outcome, result=dataclasses.replace(outcome.result, outputs=outputs))


def _failed(outcome: Outcome, error: Exception) -> Outcome:
    """Say why. A bug, or memory that ran out, is told as such: the other files need not suffer
    from it."""
    text = str(error)
    if not isinstance(error, LarsError):
        log.debug("while working on %s", outcome.path, exc_info=error)
        text = f"internal error: {error!r}"
    return dataclasses.replace(outcome, status="failed", error=text, cause=error)


def share_cores(model: AnyModel, jobs: int) -> None:
    """Give each of several files its part of the cores, instead of all of them to each."""
    if jobs == 1:
        return
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(max(1, torch.get_num_threads() // jobs))
    _share(model, jobs)


def _share(model: AnyModel, jobs: int) -> None:
    """Tell backends that have threads of their own."""
    parts: tuple[AnyModel, ...] = getattr(model, "parts", ())
    for part in parts:
        _share(part, jobs)
    if parts:
        return
    share = getattr(model.backend, "share", None)
    if share is not None:
        share(jobs)
