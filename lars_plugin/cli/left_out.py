# SPDX-License-Identifier: GPL-3.0-or-later
"""Files in a folder that are not taken: which, and why."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from lars_plugin.audio import EXTENSIONS, printable

__all__ = ["reason", "tell_left_out"]

log = logging.getLogger(__name__)

# Names that a message lists.
_NAMES = 8


def reason(path: Path) -> str:
    """Why this file is not taken for audio by its name, or by what it is; empty if it is."""
    if path.name.startswith("."):
        return "hidden"
    if path.suffix.lower() not in EXTENSIONS:
        return "no audio by name"
    if path.exists() and not path.is_file() and not path.is_dir():
        return "a pipe or device"  # it might be waited for without an end
    return ""


def tell_left_out(
    place: Path, paths: Sequence[Path], why_not: Callable[[Path], str] = reason
) -> None:
    """Log a line about files in a folder, or of a pattern, that are not taken, if there are any.

    Args:
        place: the folder, or the pattern.
        paths: that were found; those that are taken may be among them.
        why_not: says why a file is not taken; empty for those that are.
    """
    names: dict[str, list[str]] = {}
    # Our own records beside stems are nobody's recordings.
    for path in (path for path in paths if not path.name.startswith(".lars-")):
        if why := why_not(path):
            below = path.relative_to(place) if path.is_relative_to(place) else path
            names.setdefault(why, []).append(printable(below))
    groups = []
    for why, there in names.items():
        more = f" and {len(there) - _NAMES} more" if len(there) > _NAMES else ""
        groups.append(f"{why}: {', '.join(there[:_NAMES])}{more}")
    if groups:
        log.warning("%s: left out: %s", printable(place), "; ".join(groups))
