# SPDX-License-Identifier: GPL-3.0-or-later
"""What libraries raise while a network runs, as errors of ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lars_plugin.errors import EngineError

__all__ = ["engine_errors"]


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
