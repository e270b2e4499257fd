# SPDX-License-Identifier: GPL-3.0-or-later
"""Converted networks on disk: found by what they were made of, used only when whole."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lars_plugin.errors import EngineError

__all__ = ["GRAPH", "cached", "key_of"]

log = logging.getLogger(__name__)

GRAPH = "model.xml"
_FILES = (GRAPH, "model.bin")
_DIGESTS = "sha256.json"


def key_of(facts: Mapping[str, Any]) -> str:
    """A name for a conversion: a digest of all that its result depends on."""
    text = json.dumps(facts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def cached(root: Path, key: str, make: Callable[[Path], None]) -> Path:
    """The folder of a conversion, made now unless it is there and whole.

    It gets its name when it is complete, so neither an interrupted conversion nor a second
    process is ever seen half-way. One that does not have the digests it was written with is
    made again.

    Args:
        root: where conversions lie; made if missing.
        key: see :func:`key_of`.
        make: writes ``model.xml`` and ``model.bin`` into the folder it is given.

    Raises:
        EngineError: the folder cannot be written.
    """
    folder = root / key
    if folder.is_dir():
        problem = _problem(folder)
        if problem is None:
            return folder
        log.warning("%s: %s; converting again", folder, problem)
    temporary = root / f".{key}-{secrets.token_hex(4)}.part"
    try:
        temporary.mkdir(parents=True)
        make(temporary)
        digests = {name: _digest(temporary / name) for name in _FILES}
        (temporary / _DIGESTS).write_text(json.dumps(digests), encoding="utf-8")
        _replace(temporary, folder)
    except OSError as error:
        raise EngineError(
            f"cannot write the converted network to {root} ({error.strerror or error}): make"
            " room, set LARS_CACHE to another folder, or use --backend torch"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def _replace(temporary: Path, folder: Path) -> None:
    """Give a complete folder its name, in place of a broken one or of another process's."""
    if folder.exists():
        # A folder in use elsewhere stays readable there: its files are only unlinked.
        old = folder.with_name(f".{folder.name}-{secrets.token_hex(4)}.old")
        os.replace(folder, old)
        shutil.rmtree(old, ignore_errors=True)
    try:
        os.replace(temporary, folder)
    except OSError:
        # Another process was faster. What it made is as good as ours, if it is whole.
        if not folder.is_dir() or _problem(folder) is not None:
            raise


def _problem(folder: Path) -> str | None:
    """What is wrong with a conversion, or None."""
    try:
        digests = json.loads((folder / _DIGESTS).read_text(encoding="utf-8"))
        for name in _FILES:
            if digests[name] != _digest(folder / name):
                return f"{name} is not what was written"
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"it is not complete ({type(error).__name__})"
    return None


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        while block := handle.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
