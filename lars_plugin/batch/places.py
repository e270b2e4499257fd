# SPDX-License-Identifier: GPL-3.0-or-later
"""Where outputs go, that no two go to the same place, and whether they are still there."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from lars_plugin.batch.ledger import Ledger
from lars_plugin.batch.locations import is_remote, pure_path
from lars_plugin.batch.settings import Settings
from lars_plugin.cli.naming import OutputNames
from lars_plugin.errors import InputError
from lars_plugin.files import printable

__all__ = ["check_outputs", "settle_places"]


def settle_places(ledger: Ledger, settings: Settings) -> None:
    """Say for each new file where its outputs go; those that cannot be named, or that want the
    place of another, fail."""
    names: dict[str, OutputNames] = {}
    found: list[tuple[str, int]] = []
    failed: list[tuple[int, str, str]] = []
    for key, location, root, overrides in ledger.unsettled():
        if overrides not in names:
            args = settings.of(json.loads(overrides))
            names[overrides] = OutputNames(args.work, args.filename, args.format, str(args.model))
        remote = is_remote(location)
        source = Path(pure_path(location)) if remote else Path(location)
        below = Path(pure_path(root)) if remote else Path(root)
        try:
            # A model's folder is not a name; the worker, who knows it, says the real one.
            text = os.fspath(names[overrides].record(source, below))
        except InputError as error:
            if "{model}" in error.args[0]:
                text = f"{location}:"
            else:
                failed.append((key, "input", str(error)))
                continue
        found.append((text.casefold() if sys.platform in ("win32", "darwin") else text, key))
    ledger.settle(found)
    for key, location, other in ledger.collisions():
        failed.append(
            (
                key,
                "refused",
                f"{printable(location)} and {printable(other)} would both be written to the same"
                " files; tell them apart with another --filename",
            )
        )
    for key, kind, text in failed:
        ledger.failed(key, None, kind, text, worker="", tries=1, wait=0)
    ledger.commit()


def check_outputs(ledger: Ledger, out: str) -> None:
    """Have files wait again whose outputs are gone, or are not as they were written.

    Of remote folders the ledger is believed: looking would be a request for each file.
    """
    if is_remote(out):
        return
    gone = []
    for key, outputs in ledger.finished():
        for output in json.loads(outputs).values():
            try:
                info = os.stat(os.path.join(out, output["file"]))
            except OSError:
                gone.append(key)
                break
            if info.st_size != output["size"]:
                gone.append(key)
                break
    ledger.lost_outputs(gone)
    ledger.commit()
