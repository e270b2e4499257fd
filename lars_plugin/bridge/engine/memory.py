# SPDX-License-Identifier: GPL-3.0-or-later
"""How much memory streams may take: each of them, and all together."""

from __future__ import annotations

import threading
from typing import NamedTuple

from lars_plugin.bridge.engine.plan import chosen, live_chunking
from lars_plugin.bridge.protocol import limits
from lars_plugin.bridge.protocol.messages import Open
from lars_plugin.composites.auto import AutoEnsemble
from lars_plugin.composites.composite import Cascade, Composite
from lars_plugin.composites.confidence import WINDOW
from lars_plugin.composites.rechunk import rechunk
from lars_plugin.errors import InputError, LimitError
from lars_plugin.model import AnyModel, Chunking
from lars_plugin.separation.streams.chunking import latency_samples
from lars_plugin.separation.streams.windowed import is_refined

__all__ = ["Memory", "stream_bytes"]

# Samples of one wave in two converters and in what shares out the band that they lose, at most.
_CONVERTERS = 1 << 17


def stream_bytes(model: AnyModel, requested: Open) -> int:
    """Bytes of the buffers of the stream that an OPEN asks for, at most; nothing is allocated.

    The memory that a network or a fit works with is the model's matter: the network's is the same
    for all who use it, and grows with the chunks of a run, which ``MAX_BATCH`` and ``MAX_STEP``
    bound.

    Raises:
        InputError: a live step or lookahead that does not fit the model.
    """
    config = model.config
    live = None
    if requested.mode == Open.LIVE:
        live = live_chunking(config.chunking, chosen(requested.step), chosen(requested.lookahead))
    room = _room(model, requested, requested.sample_rate, live)
    return round(4 * config.channels * room.taken)


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


def _room(model: AnyModel, requested: Open, rate: float, live: Chunking | None) -> _Room:
    """The room of a model's stream at a rate; ``live`` is how it is cut, None offline."""
    config = model.config
    if isinstance(model, Composite):
        inner = _room_of_parts(model, requested, live)
    elif live is None:
        inner = _room_offline(model, requested)
    else:
        inner = _room_live(model, live)
    if rate == config.sample_rate:
        return inner
    # The recording waits at both rates for its stems, for what it loses on the way. What is
    # finished is converted, and both forms and the blocks that it is made of are there at a time.
    stems, both = len(config.stems), rate + config.sample_rate
    taken = inner.waits * both + inner.burst * (config.sample_rate * (1 + stems) + 2 * stems * rate)
    taken += _CONVERTERS * (1 + stems)
    return _Room(inner.taken + taken, inner.waits, inner.burst)


def _room_of_parts(model: Composite, requested: Open, live: Chunking | None) -> _Room:
    rate = model.config.sample_rate
    # As the stream cuts them.
    parts = model.parts if live is None else [rechunk(part, live) for part in model.parts]
    rooms = [_room(part, requested, rate, live and part.config.chunking) for part in parts]
    taken, waits, burst = (sum(values) for values in zip(*rooms, strict=True))
    counts = [len(part.config.stems) for part in parts]
    # Finished stems wait for those of the next stage, or of the slowest model.
    if isinstance(model, Cascade):
        held = (counts[0] - 1) * rooms[1].waits
    else:
        slowest = max(room.waits for room in rooms)
        held = sum(n * (slowest - room.waits) for n, room in zip(counts, rooms, strict=True))
    if isinstance(model, AutoEnsemble):
        # Mixture and all stems wait for a window, twice while it is put together; then the blend
        # of half of it is there.
        held += WINDOW * (2 * (1 + sum(counts)) + len(model.config.stems))
        waits, burst = waits + WINDOW, burst + WINDOW
    return _Room(taken + held * rate, waits, burst)


def _room_offline(model: AnyModel, requested: Open) -> _Room:
    config = model.config
    own = config.chunking
    batch = own.batch_size
    if requested.batch != limits.ENGINE_CHOICE:
        batch = requested.batch
    run = own.chunk_size * batch
    stems = len(config.stems)
    # What waits to be seen with its borders, what is added up, and a run: in, out, and a copy.
    waits, burst = 3 * own.chunk_size + run, run
    taken = waits + stems * run + run * (1 + 2 * stems)
    if is_refined(model) and config.refinement is not None:
        window = config.refinement.window
        taken += 3 * (1 + stems) * window
        # The last window is nearly as long as two.
        waits, burst = waits + 2 * window, 2 * window
    return _Room(taken, waits / config.sample_rate, burst / config.sample_rate)


def _room_live(model: AnyModel, chunking: Chunking) -> _Room:
    config = model.config
    stems = len(config.stems)
    causal = chunking.convention == "causal"
    run = chunking.chunk_size * chunking.batch_size
    late = run + chunking.lookahead if causal else latency_samples(chunking)
    # The same as offline, and what is still missing at the end; but only a step is finished at a
    # time, and nothing waits for longer than the stream is late.
    taken = 4 * run + stems * run + run * (1 + 2 * stems) + (1 + stems) * late
    return _Room(taken, late / config.sample_rate, (late + 1) / config.sample_rate)


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
