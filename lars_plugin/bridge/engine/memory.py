# SPDX-License-Identifier: GPL-3.0-or-later
"""How much memory streams may take: each of them, and all together."""

from __future__ import annotations

import threading

from lars_plugin.bridge.protocol import limits
from lars_plugin.bridge.protocol.messages import Open
from lars_plugin.composites.composite import Composite
from lars_plugin.errors import InputError, LimitError
from lars_plugin.model import Model
from lars_plugin.separation.streams.windowed import is_refined

__all__ = ["Memory", "stream_bytes"]


def stream_bytes(model: Model, requested: Open) -> int:
    """Bytes of the buffers of the stream that an OPEN asks for, at most; nothing is allocated.

    The network's own memory is the model's matter: it is the same for all who use it, and grows
    with the chunks of a run, which ``MAX_BATCH`` and ``MAX_STEP`` bound.
    """
    if isinstance(model, Composite):
        return sum(stream_bytes(part, requested) for part in model.parts)
    config = model.config
    own, live = config.chunking, requested.mode == Open.LIVE
    batch = 1 if live else own.batch_size
    if not live and requested.batch != limits.ENGINE_CHOICE:
        batch = requested.batch
    run = own.chunk_size * batch
    if live and own.convention == "causal" and requested.step != limits.ENGINE_CHOICE:
        run = max(run, requested.step)
    stems = len(config.stems)
    # What waits to be seen with its borders, what is added up, and a run: in, out, and a copy.
    samples = 3 * own.chunk_size + run + stems * run + run * (1 + 2 * stems)
    if not live and is_refined(model) and config.refinement is not None:
        samples += 3 * (1 + stems) * config.refinement.window
    return 4 * config.channels * samples


class Memory:
    """The account of all streams' buffers. Any thread may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: dict[int, int] = {}

    def take(self, session: int, count: int) -> None:
        """Book so many bytes for a stream.

        Raises:
            InputError: more than one stream may have.
            LimitError: more than there is left for all.
        """
        if count > limits.MAX_STREAM_BYTES:
            raise InputError(
                f"such a stream needs {count >> 20} MiB of buffers, allowed are"
                f" {limits.MAX_STREAM_BYTES >> 20}; take a smaller batch or step"
            )
        with self._lock:
            if sum(self._taken.values()) + count > limits.MAX_TOTAL_BYTES:
                raise LimitError(
                    f"all streams together would need more than {limits.MAX_TOTAL_BYTES >> 20} MiB"
                    " of buffers; close one of them first"
                )
            self._taken[session] = count

    def give(self, session: int) -> None:
        """The stream has ended; may be called twice."""
        with self._lock:
            self._taken.pop(session, None)
