# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights files on disk: hashing, checking, and writing them whole or not at all."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lars_plugin.errors import ModelError, ModelFormatError, ModelIntegrityError
from lars_plugin.model import WeightsFile

__all__ = ["check_file", "difference", "replacing", "sha256_of"]

_BLOCK = 1 << 20


def sha256_of(path: Path) -> str:
    """SHA-256 of a whole file, lower-case hexadecimal.

    Raises:
        ModelFormatError: it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as handle:
            while block := handle.read(_BLOCK):
                digest.update(block)
    except OSError as error:
        raise ModelFormatError(f"{path}: cannot be read: {error.strerror}") from error
    return digest.hexdigest()


def difference(path: Path, expected: WeightsFile) -> str | None:
    """How a file differs from the published one, as far as size and SHA-256 are known."""
    size = path.stat().st_size
    if expected.size and size != expected.size:
        return f"it has {size:,} bytes, the published file {expected.size:,}"
    if expected.sha256:
        found = sha256_of(path)
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


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside ``path`` that becomes it when the block ends well.

    Missing folders are made. When the block fails, ``path`` stays as it was.

    Raises:
        ModelError: it cannot be written there.
    """
    temporary = path.with_name(f".{path.name}-{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise ModelError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        # Not there when all went well, and not to be reached where nothing can be written.
        with suppress(OSError):
            temporary.unlink()
