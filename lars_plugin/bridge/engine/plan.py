# SPDX-License-Identifier: GPL-3.0-or-later
"""What an OPEN means for a model: how the stream is cut, and the latency term by term."""

from __future__ import annotations

import dataclasses
import math

from lars_plugin.bridge.protocol import limits
from lars_plugin.bridge.protocol.messages import Open
from lars_plugin.composites.rechunk import overlap_of
from lars_plugin.errors import InputError
from lars_plugin.model import AnyModel, Chunking
from lars_plugin.separation.separator import Separator
from lars_plugin.separation.streams.base import ModelStream
from lars_plugin.separation.streams.open import open_stream

__all__ = [
    "Latency",
    "check_overlap",
    "check_position",
    "check_requested",
    "chosen",
    "late_slack",
    "live_chunking",
    "plan_latency",
    "plan_stream",
]

# A chunked model that goes live steps by an eighth of its chunk, with as much lookahead: it is
# then run eight times as often as at overlap 1, and trails by a quarter of a chunk and a bit.
_PARTS = 8
# A live chunk is given up once its output is this much past its deadline.
_SLACK_SECONDS = 0.1


@dataclasses.dataclass(frozen=True)
class Latency:
    """Terms in samples of the stream's rate; ``total`` is what a host must compensate."""

    model: int
    resampling: int
    buffering: int
    board: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.model + self.resampling + self.buffering + self.board


def check_overlap(overlap: float) -> None:
    """An overlap that an engine allows; 0 is the preset's.

    Raises:
        InputError: it is not.
    """
    if overlap and not 1 <= overlap <= limits.MAX_OVERLAP:
        raise InputError(f"overlap must be from 1 to {limits.MAX_OVERLAP}, got {overlap:g}")


def check_requested(requested: Open) -> None:
    """The bounds of an OPEN that hold for any model.

    Raises:
        InputError: a number is beyond them.
    """
    if not 1 <= requested.max_block <= limits.MAX_BLOCK:
        raise InputError(
            f"max_block must be from 1 to {limits.MAX_BLOCK}, got {requested.max_block}"
        )
    check_position(requested.position)
    # That they are not too small depends on the model, and is checked with it.
    bounds = (
        ("buffering", requested.buffering, limits.MAX_BUFFERING),
        ("step", requested.step, limits.MAX_STEP),
        ("batch", requested.batch, limits.MAX_BATCH),
    )
    for name, value, most in bounds:
        if value != limits.ENGINE_CHOICE and value > most:
            raise InputError(f"{name} must be at most {most}, got {value}")
    check_overlap(requested.overlap)


def check_position(position: int) -> None:
    """A position where a stream may begin, or a block end.

    Raises:
        InputError: it is not.
    """
    if position > limits.MAX_STREAM_END:
        raise InputError(f"a stream ends at position {limits.MAX_STREAM_END}, got {position}")


def live_chunking(own: Chunking, step: int | None, lookahead: int | None) -> Chunking:
    """How a model is cut live: its own way if it is made for it, else in eighths of its chunk.

    Args:
        own: the model's chunking.
        step: samples, at the model's rate, from one run of the network to the next.
        lookahead: samples of future that each output sample gets to see.

    Raises:
        InputError: they do not fit the model.
    """
    size = own.chunk_size
    if own.convention == "causal":
        hops, rest = divmod(size if step is None else step, size)
        if rest or hops < 1:
            raise InputError(
                f"this model goes by hops of {size} samples: step must be a multiple, got {step}"
            )
        if lookahead not in (None, own.lookahead):
            raise InputError(f"this model's lookahead is {own.lookahead}, and nothing else")
        return dataclasses.replace(own, batch_size=hops)
    if step is None:
        step = own.step if own.convention == "live" else max(1, size // _PARTS)
    # A shorter step is more work than a machine can do, and a stream that takes all of it.
    least = -(-size // limits.MAX_OVERLAP)
    if own.convention == "live":
        least = min(least, own.step)
    if not least <= step <= size:
        raise InputError(f"step must be from {least} to {size} samples for this model, got {step}")
    fade = min(own.fade, step) if own.convention == "live" else step // 4
    fade = min(fade, size - step)
    if lookahead is None:
        lookahead = own.lookahead if own.convention == "live" else size // _PARTS
        lookahead = min(lookahead, size - step - fade)
    return Chunking(
        size, overlap_of(size, step), "live", batch_size=1, lookahead=lookahead, fade=fade
    )


def plan_stream(model: AnyModel, requested: Open) -> tuple[ModelStream, Chunking]:
    """The stream that an OPEN asks for.

    Raises:
        InputError: settings that do not fit the model.
    """
    stems = requested.stems or None
    if requested.mode == Open.OFFLINE:
        separator = Separator(
            model,
            preset=requested.preset or None,
            overlap=requested.overlap or None,
            batch_size=chosen(requested.batch),
            stems=stems,
        )
        return separator.stream(requested.sample_rate, requested.channels), separator.chunking
    chunking = live_chunking(
        model.config.chunking, chosen(requested.step), chosen(requested.lookahead)
    )
    stream = open_stream(
        model, requested.sample_rate, requested.channels, chunking=chunking, stems=stems, live=True
    )
    return stream, chunking


def plan_latency(
    requested: Open,
    stream: ModelStream,
    chunking: Chunking,
    model_rate: int,
    board: int,
) -> Latency:
    """The latency of a stream, term by term.

    Live buffering is the time the engine has for its work: unless asked otherwise one block or
    one step, whichever is longer, so that a network that runs in real time is in time.
    """
    ratio = requested.sample_rate / model_rate
    model_samples = stream.model_latency
    buffering = 0
    if requested.mode == Open.LIVE:
        wanted = chosen(requested.buffering)
        step = math.ceil(chunking.batch_size * chunking.step * ratio)
        buffering = max(requested.max_block, step) if wanted is None else wanted
    return Latency(
        model=model_samples,
        resampling=stream.latency_samples - model_samples,
        buffering=buffering,
        board=board,
    )


def late_slack(requested: Open, largest: int) -> int:
    """Samples past its deadline after which a live chunk is not computed any more.

    A client that waits for its output is never this far behind: it has at most a block on its
    way. One that does not wait has heard the fallback long since.

    Args:
        largest: samples of the largest block so far.
    """
    return max(
        2 * requested.max_block, 2 * largest, math.ceil(_SLACK_SECONDS * requested.sample_rate)
    )


def chosen(value: int) -> int | None:
    """An integer of an OPEN; None where it leaves the choice to the engine."""
    return None if value == limits.ENGINE_CHOICE else value
