# SPDX-License-Identifier: GPL-3.0-or-later
"""The one protocol of streams, and the base of those that separate.

A stream takes blocks of any size and gives what is finished. However the input is split, the output
is the same to the bit. Streams take streams: :mod:`lars_plugin.separation.streams.open` puts them
together.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from lars_plugin.audio.levels import without_denormals
from lars_plugin.errors import InputError, NonFiniteError
from lars_plugin.model import AnyModel, Wave, canonical_stem

__all__ = [
    "ModelStream",
    "Network",
    "Resettable",
    "Run",
    "Steps",
    "Stream",
    "check_block",
    "choose_stems",
    "pause",
    "run_steps",
]

Network = Callable[[Wave], Wave]


class Stream(Protocol):
    """Blocks ``(channels, n)`` in, what is finished out, float32.

    What separates, effects on one wave, and chains of both are all used like this.
    """

    @property
    def stems(self) -> tuple[str, ...]:
        """Names along the first axis of the output, ``(stems, channels, m)``; none where the
        output is one wave, ``(channels, m)``."""
        ...

    @property
    def latency_samples(self) -> int:
        """The most samples by which the output trails the input; constant."""
        ...

    def push(self, block: Wave, /) -> Wave:
        """Take a block, n >= 0, and return what is finished, m >= 0."""
        ...

    def flush(self) -> Wave:
        """End the input and return the rest; in all exactly as long as the input. A second flush
        returns nothing."""
        ...

    def reset(self) -> None:
        """Go back to the initial state."""
        ...


class Resettable(Protocol):
    """What goes on from where it stopped, for one stream."""

    def reset(self) -> None:
        """Start anew."""
        ...


class Run(NamedTuple):
    """What a network should see now.

    Attributes:
        chunks: ``(n, channels, samples)``; the network makes ``(n, stems, channels, samples)``.
            None of them, n = 0, is a pause: whoever has something more urgent to do may do it.
        network: what runs them: a model's backend, or one that keeps a stream's state.
        own: the same network where it keeps the stream's state: nobody else's chunks may be run
            with these, and it starts anew after chunks that it has not seen. None for others.
    """

    chunks: Wave
    network: Network
    own: Resettable | None = None


# A push or flush in steps: it yields runs, wants to be sent what the network made of each, and
# returns the finished stems.
Steps = Generator[Run, "Wave | None", Wave]


def run_steps(steps: Steps) -> Wave:
    """Run a push or flush to its end, the networks included."""
    result: Wave | None = None
    while True:
        try:
            run = steps.send(result)
        except StopIteration as stop:
            finished: Wave = stop.value
            return finished
        result = run.network(run.chunks)


def pause() -> Run:
    """A run of nothing."""
    return Run(np.empty((0, 0, 0), np.float32), _as_it_is)


def _as_it_is(chunks: Wave) -> Wave:
    return chunks


class ModelStream(ABC):
    """A stream of a model's stems; a :class:`Stream`.

    Args:
        stems: names along the first axis of the output.
        channels: of input and output.
        sample_rate: Hz, of input and output.
    """

    def __init__(self, stems: Sequence[str], channels: int, sample_rate: float) -> None:
        self._stems = tuple(stems)
        self._channels = channels
        self._sample_rate = sample_rate
        self._heard = 0  # samples that came in by push_steps; for messages

    @property
    def stems(self) -> tuple[str, ...]:
        """Names along the first axis of the output."""
        return self._stems

    @property
    def channels(self) -> int:
        """Channels of input and output."""
        return self._channels

    @property
    def sample_rate(self) -> float:
        """Hz, of input and output."""
        return self._sample_rate

    @property
    @abstractmethod
    def latency_samples(self) -> int:
        """The most samples by which the output trails the input; constant."""

    @property
    def model_latency(self) -> int:
        """The part of ``latency_samples`` that is the model's, in samples of this rate."""
        return self.latency_samples

    @abstractmethod
    def reset(self) -> None:
        """Go back to the initial state."""
        self._heard = 0

    def begin_at(self, sample: int) -> int | None:
        """Go to the initial state, but for output that begins at a sample of a recording.

        What is pushed then is the recording from the returned sample on; what comes out are its
        stems from ``sample`` on, the same to the bit as if it had been pushed from its start. The
        recording must go on well beyond ``sample``: by two of the latencies, at least.

        Args:
            sample: of the output, 0 or more.

        Returns:
            The sample of the input, at most ``sample``; None: this kind of stream cannot begin
            there, because what it makes depends on all that came before, and its state is
            undefined now.
        """
        self.reset()
        return 0 if sample == 0 else None

    def push_steps(self, block: NDArray[np.generic]) -> Steps:
        """``push`` with the networks left to the caller, who may run several streams' chunks
        together. It must be run to its end (or thrown away with a ``reset``) before the next."""
        wave = check_block(block, self.channels, self._heard, self.sample_rate)
        self._heard += wave.shape[1]
        return (yield from self.push_checked(wave))

    @abstractmethod
    def push_checked(self, wave: Wave) -> Steps:
        """``push_steps`` for a block that went through :func:`check_block`: what a stream passes on
        to the streams in it as it came is not checked again. It must not be changed."""

    @abstractmethod
    def flush_steps(self) -> Steps:
        """``flush`` with the networks left to the caller; see ``push_steps``."""

    def push(self, block: NDArray[np.generic]) -> Wave:
        """Take a block ``(channels, n)``, n >= 0, and return what is finished.

        Returns:
            ``(stems, channels, m)`` float32, m >= 0.

        Raises:
            InputError: wrong shape or dtype, or a push after ``flush`` without ``reset``.
            NonFiniteError: NaN or Inf in the input (nothing is taken then) or from the network.
            EngineError: the network failed; ``reset`` before going on.
        """
        return run_steps(self.push_steps(block))

    def flush(self) -> Wave:
        """End the input and return the rest, ``(stems, channels, m)``.

        All that was returned since the last ``reset`` is then exactly as long as the input. A
        second flush returns nothing.
        """
        return run_steps(self.flush_steps())

    def _joined(self, parts: Sequence[Wave]) -> Wave:
        """Parts ``(stems, channels, n)`` one after the other; none is nothing."""
        if len(parts) == 1:
            return parts[0]
        empty = np.empty((len(self._stems), self._channels, 0), np.float32)
        return np.concatenate([empty, *parts], axis=2)


def choose_stems(model: AnyModel, stems: Sequence[str] | None) -> tuple[int, ...]:
    """Indices of the stems wanted, in the order of their names; all of them for None.

    Raises:
        InputError: a name that the model does not have, or that is named twice.
    """
    have = model.config.stems
    if stems is None:
        return tuple(range(len(have)))
    names = [name if name in have else canonical_stem(name) for name in stems]
    missing = [name for name in names if name not in have]
    if missing or not names:
        raise InputError(
            f"model {model.config.name!r} has no stem {', '.join(missing) or '(none asked for)'};"
            f" it has {', '.join(have)}"
        )
    if len(set(names)) != len(names):
        raise InputError(f"a stem is asked for twice: {', '.join(names)}")
    return tuple(have.index(name) for name in names)


def check_block(block: NDArray[np.generic], channels: int, position: int, rate: float) -> Wave:
    """A block as ``(channels, n)`` float32; ``position`` and ``rate`` only serve the message.

    Samples that count as silence (:mod:`lars_plugin.audio.levels`) are zero in it.

    Raises:
        InputError: wrong type or shape.
        NonFiniteError: NaN or Inf in it.
    """
    array = np.asarray(block)
    if array.dtype != np.float32 and not np.issubdtype(array.dtype, np.floating):
        raise InputError(f"audio must be floating point in +-1, got {array.dtype}; scale it first")
    if array.ndim != 2 or array.shape[0] != channels:
        raise InputError(f"audio must be ({channels}, samples), got shape {array.shape}")
    if array.dtype != np.float32:
        with np.errstate(over="ignore"):
            array = array.astype(np.float32, copy=False)
    finite = np.isfinite(array)
    if np.count_nonzero(finite) != finite.size:  # all() in a third of the time
        first = position + int(np.argmin(finite.all(axis=0)))
        raise NonFiniteError(
            f"the input holds NaN or Inf at sample {first} ({first / rate:.3f} s); repair it first"
        )
    return without_denormals(array)
