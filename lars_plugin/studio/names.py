# SPDX-License-Identifier: GPL-3.0-or-later
"""Names that come from a browser, made into names of files that can do no harm."""

from __future__ import annotations

import unicodedata
from collections.abc import Container
from pathlib import PurePosixPath

__all__ = ["safe_name", "unique_name"]

_BYTES = 120
_FORBIDDEN = set('<>:"|?*')
_DEVICES = {"con", "prn", "aux", "nul", *(f"{n}{i}" for n in ("com", "lpt") for i in range(10))}


def safe_name(name: str) -> str:
    """The last part of a name as a file name that every system takes; never empty.

    Folders, control characters, characters that some systems forbid and dots at either end go.
    A long name keeps its extension.
    """
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    last = unicodedata.normalize("NFC", last)
    kept = "".join(
        "_" if char in _FORBIDDEN else char for char in last if char.isprintable()
    ).encode("utf-8", "ignore")
    text = kept.decode("utf-8").strip(" .")
    path = PurePosixPath(text or "recording")
    suffix = path.suffix if len(path.suffix.encode()) <= 10 else ""
    stem = text[: len(text) - len(suffix)] if suffix else text or "recording"
    stem = stem.encode()[: _BYTES - len(suffix.encode())].decode("utf-8", "ignore").strip(" .")
    if not stem or stem.split(".")[0].lower() in _DEVICES:
        stem = f"recording {stem}".strip()
    return stem + suffix


def unique_name(name: str, taken: Container[str]) -> str:
    """The name, with a number if it is taken.

    Args:
        name: wanted.
        taken: casefolded names.
    """
    candidate, number = name, 1
    while candidate.casefold() in taken:
        number += 1
        candidate = f"{name} {number}"
    return candidate
