# SPDX-License-Identifier: GPL-3.0-or-later
"""A progress bar per file at work, with the time left, on stderr when that is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from lars_plugin.audio import printable

__all__ = ["Display"]

# (done, total) -> None
Step = Callable[[int, int], None]


class Display:
    """Bars for several files at once; may be used from several threads.

    Args:
        files: how many there are; from two on, one more bar is for all of them.
        shown: False, or stderr being no terminal: there is nothing to see.
    """

    def __init__(self, files: int, shown: bool = True) -> None:
        self._files = files
        self._shown = shown and sys.stderr.isatty()
        self._stack = ExitStack()

    def __enter__(self) -> Display:
        if self._shown:
            # Here, because it takes a tenth of a second that a script need not wait.
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                Progress,
                TaskProgressColumn,
                TextColumn,
                TimeRemainingColumn,
            )

            self._bars = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                TaskProgressColumn(),
                TimeRemainingColumn(compact=True),
                TextColumn("left"),
                console=Console(stderr=True),
                # What is printed meanwhile appears above the bars; a piped stdout stays as it is.
                redirect_stdout=sys.stdout.isatty(),
                redirect_stderr=True,
                transient=True,
            )
            self._stack.enter_context(self._bars)
            if self._files > 1:
                self._all = self._bars.add_task("all files", total=self._files)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @contextmanager
    def file(self, path: Path) -> Iterator[Step]:
        """A bar for one file; gives the function that moves it."""
        if not self._shown:
            yield lambda _done, _total: None
            return
        task = self._bars.add_task(printable(path.name), total=None)
        counted = 0.0  # of this file, in the bar of all

        def step(done: int, total: int) -> None:
            nonlocal counted
            self._bars.update(task, completed=done, total=total)
            if self._files > 1:
                self._bars.advance(self._all, done / total - counted)
                counted = done / total

        try:
            yield step
        finally:
            self._bars.remove_task(task)
            if self._files > 1:
                self._bars.advance(self._all, 1 - counted)
