# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of the documentation site that has the help of every command, as Markdown.

    python scripts/reference_pages.py

It is what the commands print, 90 columns wide; the site's hooks run this.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
os.environ |= {"COLUMNS": "90", "NO_COLOR": "1"}

from lars_plugin.cli import COMMANDS  # of this checkout


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """A parser and those of its subcommands."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from parsers(below)


def page() -> str:
    """The page."""
    parts = ["# Command line", "Each section is what `lars COMMAND --help` prints."]
    for command in COMMANDS:
        root = argparse.ArgumentParser(prog="lars", allow_abbrev=False)
        add = getattr(import_module(command.module), f"add_{command.name}_parser")
        add(root.add_subparsers())
        action = next(a for a in root._actions if isinstance(a, argparse._SubParsersAction))
        for parser in parsers(action.choices[command.name]):
            level = "##" if parser.prog.count(" ") == 1 else "###"
            parts += [f"{level} {parser.prog}", f"```text\n{parser.format_help().rstrip()}\n```"]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    sys.stdout.buffer.write(page().encode())
