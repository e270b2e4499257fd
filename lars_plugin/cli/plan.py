# SPDX-License-Identifier: GPL-3.0-or-later
"""Which file becomes which, settled before any work is done."""

from __future__ import annotations

import argparse
import dataclasses
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lars_plugin.audio import printable
from lars_plugin.cli.inputs import Found
from lars_plugin.cli.makings import MIDI, makings, runs_of
from lars_plugin.cli.naming import OutputNames, conflicts
from lars_plugin.cli.records import Making, Record, Source, Written
from lars_plugin.cli.report import Outcome
from lars_plugin.cli.verdicts import judge
from lars_plugin.errors import AudioFileError, InputError
from lars_plugin.leftovers import remove_leftovers
from lars_plugin.separation.files import RESIDUAL
from lars_plugin.separation.separator import Separator

__all__ = ["Plan", "Task", "fate_of", "make_plan", "make_task"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Task:
    """One input and what is to be made of it.

    Attributes:
        path: the input.
        outputs: stem to file.
        midi: the MIDI file; None: none is to be written.
        record: of what the outputs are made from.
        making: by output, ``midi`` among them, how it is made.
        named: where the input came from, if ``path`` is a copy; empty: from there.
    """

    path: Path
    outputs: dict[str, Path]
    midi: Path | None
    record: Path
    making: Mapping[str, Making]
    named: str = ""

    def source(self) -> Source | None:
        """The input as it is, under the name that the record has.

        Raises:
            AudioFileError: it is a copy, and cannot be read.
        """
        source = Source.of(self.path)
        if source is None or not self.named:
            return source
        return self._named(source.hashed())  # while it can be found by its path

    def recorded(self, source: Source, written: Mapping[Path, os.stat_result]) -> bytes:
        """The record's content when these outputs have been written."""
        record = Record(self.record)
        source = self._named(source)
        return record.with_runs(runs_of(source, self.making, self._written(record, written)))

    def record_midi(self, source: Source) -> None:
        """Add the MIDI file to the record.

        Raises:
            AudioFileError: the record cannot be written.
        """
        assert self.midi is not None
        record = Record(self.record)
        written = self._written(record, {self.midi: self.midi.stat()})
        record.add(runs_of(self._named(source), self.making, written))

    def _named(self, source: Source) -> Source:
        return dataclasses.replace(source, path=self.named) if self.named else source

    def _written(
        self, record: Record, written: Mapping[Path, os.stat_result]
    ) -> dict[str, Written]:
        named = {**self.outputs, **({MIDI: self.midi} if self.midi is not None else {})}
        return {
            stem: record.written(path, written[path])
            for stem, path in named.items()
            if path in written
        }


@dataclass(frozen=True)
class Plan:
    """Inputs to separate, inputs whose stems are there and lack only their MIDI file, and
    inputs whose fate is known already."""

    work: list[Task]
    midi_only: list[Task]
    settled: list[Outcome]


def make_plan(args: argparse.Namespace, separator: Separator, found: Sequence[Found]) -> Plan:
    """Name all outputs and see which of them are there.

    A file that was found in a folder, and that is an output of another input, is left out: it
    comes from an earlier run.

    Raises:
        InputError: a template that cannot be used, or nothing can be done for outputs that
            collide.
    """
    names = OutputNames(args.out, args.filename, args.format, separator.model.config.name)
    stems = (*separator.stems, *([RESIDUAL] if args.residual else []))
    making = makings(args, separator, [*stems, *([MIDI] if args.midi else [])])
    tasks: dict[Path, Task] = {}
    settled: list[Outcome] = []
    for item in found:
        try:
            tasks[item.path] = make_task(names, item, stems, making)
        except InputError as error:
            settled.append(Outcome(item.path, "failed", error=str(error)))
    outputs = {os.path.realpath(path) for task in tasks.values() for path in task.outputs.values()}
    own = [i.path for i in found if not i.named and os.path.realpath(i.path) in outputs]
    for path in own:
        tasks.pop(path, None)
        # This command does not read its own stems; a second run over a folder finds them all.
        log.info("%s: left out, a stem of another input", printable(path))
    tasks, failed = _apart(names, [item for item in found if item.path in tasks], tasks)
    if failed and not tasks and not settled:
        raise InputError(failed[0].error)
    plan = Plan([], [], settled + failed)
    cleared: set[Path] = set()
    for task in tasks.values():
        for folder in {path.parent for path in task.outputs.values()} - cleared:
            cleared.add(folder)
            remove_leftovers(folder)
        _sort(args, task, plan)
    return plan


def make_task(
    names: OutputNames, item: Found, stems: Sequence[str], making: Mapping[str, Making]
) -> Task:
    """What is to be made of an input.

    Raises:
        InputError: its name cannot be used in the names of outputs.
    """
    outputs = {stem: names.path(item.path, stem, item.root) for stem in stems}
    midi = None
    if MIDI in making:
        from lars_plugin.cli.midi_options import midi_path

        midi = midi_path(item.path, outputs)
    return Task(item.path, outputs, midi, names.record(item.path, item.root), making)


def _apart(
    names: OutputNames, found: Sequence[Found], tasks: dict[Path, Task]
) -> tuple[dict[Path, Task], list[Outcome]]:
    """The tasks whose outputs are theirs alone, and the failures of the others."""

    def clashes(names: OutputNames | None) -> dict[Path, tuple[Path | None, Path]]:
        outputs = {}
        for item in found:
            task = tasks[item.path]
            if names is not None:
                task = make_task(names, item, list(task.outputs), task.making)
            outputs[item.path] = [*task.outputs.values(), *([task.midi] if task.midi else [])]
        return conflicts(list(tasks), outputs)

    found_clashes = clashes(None)
    if not found_clashes:
        return tasks, []
    advice = _advice(names, clashes)
    failed = []
    for path, (other, output) in found_clashes.items():
        if other is None:
            error = (
                f"{printable(output)} would overwrite an input;"
                " choose another -o folder or --filename"
            )
        elif other == path:
            error = (
                f"two outputs of {printable(path)} would be written to {printable(output)};"
                " choose another --filename"
            )
        else:
            first, second = sorted((path, other), key=list(tasks).index)
            error = (
                f"{printable(first)} and {printable(second)} would both be written to"
                f" {printable(output)}; {advice}"
            )
        failed.append(Outcome(path, "failed", error=error))
    return {path: task for path, task in tasks.items() if path not in found_clashes}, failed


def _advice(names: OutputNames, clashes: Callable[[OutputNames], Mapping[Path, object]]) -> str:
    """The shortest change of the template after which all outputs have names of their own."""
    template = names.template
    suffixed = (
        template.replace("{track}", "{track}.{suffix}")
        if "{track}" in template
        else "{track}.{suffix}/" + template
    )

    def below(*fields: str) -> str:
        """Folders of these fields, without those that are in the template."""
        return "".join(f"{{{name}}}/" for name in fields if f"{{{name}}}" not in template)

    for candidate in (
        below("folder") + template,
        suffixed,
        below("folder") + suffixed,
        below("path") + template,
        below("root", "path") + template,
        below("path") + suffixed,
        below("root", "path") + suffixed,
        "{root}/{path}/{track}.{suffix}/{stem}.{ext}",
    ):
        try:
            if not clashes(names.with_template(candidate)):
                return f'tell them apart with --filename "{candidate}"'
        except InputError:
            continue
    return "separate them one after the other, each with an -o folder of its own"


def _sort(args: argparse.Namespace, task: Task, plan: Plan) -> None:
    """Into the plan, by what is there already."""
    fate = fate_of(task, overwrite=args.overwrite)
    if isinstance(fate, Outcome):
        plan.settled.append(fate)
    elif fate == "midi":
        plan.midi_only.append(task)
    else:
        plan.work.append(task)


def fate_of(task: Task, *, overwrite: bool) -> Literal["do", "midi"] | Outcome:
    """Whether a task is to be done, or its MIDI file alone, or why nothing is to be done: it is
    done already, or what is there must not be replaced."""
    if overwrite:
        return "do"
    record = Record(task.record)
    try:
        source = task.source()
        verdict = judge(record, source, task.making, task.outputs)
        midi = verdict
        if task.midi is not None and verdict.what != "refuse":
            midi = judge(record, source, task.making, {**task.outputs, MIDI: task.midi})
    except AudioFileError as error:
        return Outcome(task.path, "failed", error=str(error), cause=error)
    if "refuse" in (verdict.what, midi.what):
        reason = verdict.reason or midi.reason
        return Outcome(task.path, "failed", error=f"{printable(task.path)}: {reason}")
    if verdict.what == "do":
        return "do"
    if midi.what == "do":
        return "midi"
    outputs = {**task.outputs, **({MIDI: task.midi} if task.midi else {})}
    return Outcome(task.path, "skipped", outputs=outputs)
