# SPDX-License-Identifier: GPL-3.0-or-later
"""Which recordings a command line means, with what is known of each before it is opened."""

from __future__ import annotations

import functools
import glob
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from lars_plugin.audio import EXTENSIONS, printable
from lars_plugin.batch.ledger import Item
from lars_plugin.batch.locations import (
    check_protocol,
    is_remote,
    list_files,
    literal_folder,
    local_form,
)
from lars_plugin.batch.manifest import MANIFESTS, read_manifest
from lars_plugin.batch.settings import Settings
from lars_plugin.cli.inputs import find_inputs
from lars_plugin.errors import InputError, LarsError, ModelError

__all__ = ["Missing", "check_apart", "find_items"]

log = logging.getLogger(__name__)


class Missing(NamedTuple):
    """A name that gave no recording, and why."""

    name: str
    error: str


def check_apart(names: Sequence[str], output: str) -> None:
    """Find out before the run whether the output folder is or holds an input folder, or holds all
    inputs: what lies in it is not an input.

    Args:
        names: as they were given; rows of manifests are not looked at.
        output: folder or URL of the outputs.

    Raises:
        InputError: says which.
    """
    if is_remote(output):
        return
    within = []
    for name in names:
        if is_remote(name) or Path(name).suffix.lower() in MANIFESTS:
            continue
        path = local_form(name)
        if not os.path.lexists(path) and glob.has_magic(path):
            path = os.path.abspath(literal_folder(path))
        folder = os.path.isdir(path)
        if _inside(path if folder else os.path.dirname(os.path.abspath(path)), output):
            within.append(name)
            if folder or len(within) == len(names):
                first = name if folder else within[0]
                raise InputError(
                    f"{printable(first)} lies in the output folder {printable(output)}, where"
                    " nothing is an input; choose another -o folder"
                )


def find_items(names: Sequence[str], output: str, settings: Settings) -> Iterator[Item | Missing]:
    """Files, folders, patterns, manifests and URLs, in their order.

    Args:
        names: as they were given.
        output: folder or URL of the outputs; what lies in it is not an input.
        settings: of the run.

    Raises:
        InputError: a manifest or settings that cannot be used.
        ModelError: a model is not on this machine.
    """
    plain: list[str] = []
    for name in names:
        if Path(name).suffix.lower() in MANIFESTS and not is_remote(name):
            yield from _local(plain, output, settings)
            plain = []
            yield from _of_manifest(Path(name), output, settings)
        elif is_remote(name):
            yield from _local(plain, output, settings)
            plain = []
            yield from _remote(name, settings)
        else:
            plain.append(local_form(name))
    yield from _local(plain, output, settings)


def _local(names: Sequence[str], output: str, settings: Settings) -> Iterator[Item | Missing]:
    if not names:
        return
    folder = Path("." if is_remote(output) else output)
    digest = settings.digest("{}")
    # What a pattern found keeps the folders that the pattern left open.
    patterns = [name for name in names if glob.has_magic(name) and not os.path.lexists(name)]
    roots = sorted({os.path.abspath(literal_folder(name)) for name in patterns}, key=len)
    left_out = 0
    for found in find_inputs(names, folder):
        if found.error:
            yield Missing(os.fspath(found.path), found.error)
            continue
        path = os.path.abspath(found.path)
        if not found.named and not is_remote(output) and _inside(os.path.dirname(path), output):
            left_out += 1  # a pattern finds stems of an earlier run, as a folder does not
            continue
        root = os.path.abspath(found.root or found.path.parent)
        if found.root is None and not found.named:
            root = next((r for r in roots[::-1] if path.startswith(os.path.join(r, ""))), root)
        yield _item(path, root, "{}", digest, output)
    if left_out:
        log.warning("%d files are left out: they lie in the output folder", left_out)


def _of_manifest(path: Path, output: str, settings: Settings) -> Iterator[Item | Missing]:
    folder = os.path.abspath(path.parent)
    count = 0
    for row in read_manifest(path):
        count += 1
        try:
            digest = settings.digest(row.overrides)
            if is_remote(row.location):
                check_protocol(row.location)
        except (InputError, ModelError) as error:
            raise type(error)(f"{row.where}: {error}") from error
        if is_remote(row.location):
            parent = row.location.rsplit("/", 1)[0]
            yield Item(row.location, parent, row.overrides, None, None, digest)
            continue
        place = os.path.abspath(row.location)
        # Paths below the manifest keep their folders in {path}.
        root = folder if place.startswith(folder + os.sep) else os.path.dirname(place)
        yield _item(place, root, row.overrides, digest, output)
    if not count:
        yield Missing(os.fspath(path), f"{printable(path)} lists no recordings")


def _item(path: str, root: str, overrides: str, digest: str, output: str) -> Item | Missing:
    if not is_remote(output) and _inside(os.path.dirname(path), output):
        return Missing(
            path, f"{printable(path)} lies in the output folder; choose another -o folder"
        )
    try:
        info = os.stat(path)
        size, changed = info.st_size, str(info.st_mtime_ns)
    except OSError:
        size, changed = -1, ""  # reading it will tell
    return Item(path, root, overrides, size, changed, digest)


@functools.lru_cache(maxsize=4096)
def _inside(folder: str, output: str) -> bool:
    inside = os.path.join(os.path.realpath(output), "")
    return os.path.join(os.path.realpath(folder), "").startswith(inside)


def _remote(name: str, settings: Settings) -> Iterator[Item | Missing]:
    def take(path: str) -> bool:
        last = path.rsplit("/", 1)[-1]
        return not last.startswith(".") and last.lower().endswith(EXTENSIONS)

    digest = settings.digest("{}")
    folder = literal_folder(name)
    count = 0
    try:
        for entry in list_files(name, take):
            count += 1
            root = folder if entry.location != name else name.rsplit("/", 1)[0]
            yield Item(entry.location, root, "{}", entry.size, entry.changed, digest)
    except LarsError as error:
        yield Missing(name, str(error))
        return
    if not count:
        yield Missing(name, f"{printable(name)} holds no audio file")
