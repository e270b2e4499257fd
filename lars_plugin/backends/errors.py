# SPDX-License-Identifier: GPL-3.0-or-later
"""What libraries raise while a network runs, as errors of ours."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager

from lars_plugin.errors import EngineError, InputError

__all__ = ["engine_errors", "has_torch", "require_torch"]


def has_torch() -> bool:
    """Whether PyTorch is installed; does not import it."""
    return importlib.util.find_spec("torch") is not None


def require_torch(what: str) -> None:
    """Say what to do where PyTorch is not installed.

    Args:
        what: needs it.

    Raises:
        InputError: it is not installed.
    """
    if not has_torch():
        raise InputError(
            f"{what} needs PyTorch: run `pip install torch`, or run `lars models prepare` where"
            " it is and copy the folder"
        )


@contextmanager
def engine_errors(name: str) -> Iterator[None]:
    """Turns what PyTorch and OpenVINO raise while a network runs into one-line EngineErrors.

    Args:
        name: the backend's name, for the message.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, EngineError):
            raise
        first = (str(error) or type(error).__name__).split("\n", 1)[0]
        lowered = str(error).lower()
        if (
            isinstance(error, MemoryError)
            or "out of memory" in lowered
            or "can't allocate memory" in lowered
        ):
            raise EngineError(
                f"out of memory on {name}: lower the batch size, or use another device ({first})"
            ) from error
        raise EngineError(f"the network failed on {name}: {first}") from error
