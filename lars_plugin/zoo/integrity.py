# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights files on disk: whether they are the ones that were published."""

from __future__ import annotations

from pathlib import Path

from lars_plugin.errors import ModelFormatError, ModelIntegrityError
from lars_plugin.files import sha256_of
from lars_plugin.model import WeightsFile

__all__ = ["check_file", "difference", "weights_sha256"]


def weights_sha256(path: Path) -> str:
    """SHA-256 of a weights file, lower-case hexadecimal.

    Raises:
        ModelFormatError: it cannot be read.
    """
    try:
        return sha256_of(path)
    except OSError as error:
        raise ModelFormatError(f"{path}: cannot be read: {error.strerror}") from error


def difference(path: Path, expected: WeightsFile) -> str | None:
    """How a file differs from the published one, as far as size and SHA-256 are known."""
    size = path.stat().st_size
    if expected.size and size != expected.size:
        return f"it has {size:,} bytes, the published file {expected.size:,}"
    if expected.sha256:
        found = weights_sha256(path)
        if found != expected.sha256:
            return f"its SHA-256 is {found[:16]}..., the published one {expected.sha256[:16]}..."
    return None


def check_file(path: Path, expected: WeightsFile) -> None:
    """Check that a file is the published one, as far as size and SHA-256 are known.

    A folder of checkpoints has neither; only its content is checked, when it is read.

    Raises:
        ModelIntegrityError: it is another file.
    """
    if expected.format == "checkpoints":
        return
    problem = difference(path, expected)
    if problem:
        raise ModelIntegrityError(
            f"{path} is not the published file ({problem}): delete it and download it again"
        )
