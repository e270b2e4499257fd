# SPDX-License-Identifier: GPL-3.0-or-later
"""How much memory streams may take: each of them, and all together."""

from __future__ import annotations

import threading
from typing import NamedTuple

from lars_plugin.bridge.protocol import limits
from lars_plugin.bridge.protocol.messages import Open
from lars_plugin.composites.auto import AutoEnsemble
from lars_plugin.composites.composite import Composite
from lars_plugin.composites.confidence import WINDOW
from lars_plugin.errors import InputError, LimitError
from lars_plugin.model import AnyModel
from lars_plugin.separation.streams.windowed import is_refined

__all__ = ["Memory", "stream_bytes"]

# Samples of one wave in two converters and in what shares out the band that they lose, at most.
_CONVERTERS = 1 << 17


def stream_bytes(model: AnyModel, requested: Open) -> int:
    """Bytes of the buffers of the stream that an OPEN asks for, at most; nothing is allocated.

    The memory that a network or a fit works with is the model's matter: the network's is the same
    for all who use it, and grows with the chunks of a run, which ``MAX_BATCH`` and ``MAX_STEP``
    bound.
    """
    return round(4 * model.config.channels * _room(model, requested, requested.sample_rate).taken)


class _Room(NamedTuple):
    """What a stream holds, in samples of each channel.

    Attributes:
        taken: of all buffers together.
        waits: seconds of the recording that are in it.
        burst: seconds of stems that are finished at once.
    """

    taken: float
    waits: float
    burst: float


def _room(model: AnyModel, requested: Open, rate: float) -> _Room:
    """The room of a model's stream at a rate."""
    config = model.config
    if isinstance(model, Composite):
        parts = [_room(part, requested, config.sample_rate) for part in model.parts]
        inner = _Room(*(sum(values) for values in zip(*parts, strict=True)))
        if isinstance(model, AutoEnsemble):
            # Mixture and all stems wait for a window, twice while it is put together; then the
            # blend of half of it is there.
            window = WINDOW * config.sample_rate
            rows = 1 + len(parts) * len(config.stems)
            taken = inner.taken + window * (2 * rows + len(config.stems))
            inner = _Room(taken, inner.waits + WINDOW, inner.burst + WINDOW)
    else:
        inner = _room_of_one(model, requested)
    if rate == config.sample_rate:
        return inner
    # The recording waits at both rates for its stems, for what it loses on the way. What is
    # finished is converted, and both forms and the blocks that it is made of are there at a time.
    stems, both = len(config.stems), rate + config.sample_rate
    taken = inner.waits * both + inner.burst * (config.sample_rate * (1 + stems) + 2 * stems * rate)
    taken += _CONVERTERS * (1 + stems)
    return _Room(inner.taken + taken, inner.waits, inner.burst)


def _room_of_one(model: AnyModel, requested: Open) -> _Room:
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
    waits, burst = 3 * own.chunk_size + run, run
    taken = waits + stems * run + run * (1 + 2 * stems)
    if not live and is_refined(model) and config.refinement is not None:
        window = config.refinement.window
        taken += 3 * (1 + stems) * window
        # The last window is nearly as long as two.
        waits, burst = waits + 2 * window, 2 * window
    return _Room(taken, waits / config.sample_rate, burst / config.sample_rate)


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
                f" {limits.MAX_STREAM_BYTES >> 20}; take a lower rate, or a smaller batch or step"
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
