# SPDX-License-Identifier: GPL-3.0-or-later
"""Processor: what a StemSeparator and a StemBoard have in common with a pedalboard plugin."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, SupportsFloat, SupportsIndex, TypeAlias

import numpy as np
import pedalboard
from numpy.typing import NDArray

from lars_plugin.chain.errors import SharedPluginError
from lars_plugin.chain.layout import (
    Layout,
    LayoutMemory,
    check_buffer_size,
    check_channels,
    check_flag,
    check_sample_rate,
)
from lars_plugin.chain.native import NativeRun, nested, run_native
from lars_plugin.chain.serial import Serial
from lars_plugin.errors import InputError
from lars_plugin.separation.streams.base import Stream

__all__ = ["DEFAULT_BUFFER_SIZE", "Item", "Processor", "open_items", "run_items"]

Wave = NDArray[np.float32]

DEFAULT_BUFFER_SIZE = 8192  # pedalboard's

# A long block is streamed in slices, so that what lies between the streams stays small.
_SLICE = 1 << 16


class Processor(ABC):
    """An effect that is called as pedalboard's plugins are.

    ``process(audio, sample_rate)`` returns an array of the same shape, float32. With
    ``reset=False`` calls continue a stream: what they return trails what they were given by
    ``latency_samples``, so the first ones return fewer samples, and ``flush`` returns the rest.

    Where pedalboard gives no sense there is an error here: for a buffer size of 0, with which it
    never returns, for a sample rate of NaN, and for NaN or Inf in the audio. All errors are
    ``LarsError``, and of the built-in type that pedalboard raises in the same case.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._layouts = LayoutMemory()
        self._open_stream: Stream | None = None
        self._format: tuple[float, int] = (0.0, 0)

    def __getstate__(self) -> dict[str, Any]:
        """Settings only: pickles and copies have no open stream."""
        kept = dict(vars(self))
        for name in ("_lock", "_layouts", "_open_stream", "_format"):
            del kept[name]
        return kept

    def __setstate__(self, state: dict[str, Any]) -> None:
        Processor.__init__(self)
        vars(self).update(state)

    @property
    def is_effect(self) -> bool:
        """True: it takes audio."""
        return True

    @property
    def is_instrument(self) -> bool:
        """False: it makes no sound of its own."""
        return False

    def process(
        self,
        input_array: NDArray[np.floating],
        sample_rate: SupportsFloat,
        buffer_size: SupportsIndex = DEFAULT_BUFFER_SIZE,
        reset: bool | None = True,
    ) -> Wave:
        """Run audio through.

        Args:
            input_array: ``(samples,)``, ``(channels, samples)`` or ``(samples, channels)``,
                float32 or float64; not changed.
            sample_rate: Hz.
            buffer_size: samples per block handed to pedalboard's plugins. In a stream the call
                that opens it decides, from 64 to 8192, and each run of plugins adds that much
                to the latency: pass a small one where that matters.
            reset: True: this is a whole signal, and any stream is dropped. False: the next
                block of a stream.

        Returns:
            float32 in the input's layout: with ``reset=True`` of its shape, otherwise with as
            many samples as are ready, at most as many as went in.

        Raises:
            ArgumentTypeError, LayoutError, InputError: see their docstrings.
            SharedPluginError: a plugin stands in two places.
            NonFiniteError: NaN or Inf in the input, or from the network or a plugin.
            EngineError: running the network failed.
            Errors of pedalboard's plugins come through as they are. Any of these ends the stream.
        """
        rate, size = check_sample_rate(sample_rate), check_buffer_size(buffer_size)
        whole = check_flag("reset", reset)
        with self._lock:
            wave = self._layouts.read(input_array)
            if whole:
                self._open_stream = None
                check_shared(self)
                out = self._run(wave, rate, size)
            else:
                out = self._continue(wave, rate, size)
            return self._write(out)

    def __call__(
        self,
        input_array: NDArray[np.floating],
        sample_rate: SupportsFloat,
        buffer_size: SupportsIndex = DEFAULT_BUFFER_SIZE,
        reset: bool | None = True,
    ) -> Wave:
        """The same as :meth:`process`."""
        return self.process(input_array, sample_rate, buffer_size, reset)

    def prepare(
        self,
        sample_rate: SupportsFloat,
        channels: SupportsIndex = 2,
        buffer_size: SupportsIndex = DEFAULT_BUFFER_SIZE,
    ) -> int:
        """Open a stream before its first block, and return its latency in samples.

        Any open stream is dropped. Calls with ``reset=False`` go on from here, and arrays are
        read as having that many channels where their shape leaves a choice.
        """
        rate, size = check_sample_rate(sample_rate), check_buffer_size(buffer_size)
        count = check_channels(channels)
        with self._lock:
            self._open_stream = None
            if self._layouts.last is None or self._layouts.last.channels != count:
                self._layouts.last = Layout(count)
            return self._open(rate, count, size).latency_samples

    @property
    def latency_samples(self) -> int:
        """Samples by which the open stream's output trails its input; 0 without a stream."""
        stream = self._open_stream
        return 0 if stream is None else stream.latency_samples

    def flush(self) -> Wave:
        """End the stream and return what it still holds, in the layout of its last block.

        All that the stream returned is then exactly as long as what it was given. Without an
        open stream the result is empty.
        """
        with self._lock:
            stream, self._open_stream = self._open_stream, None
            channels = self._layouts.last.channels if self._layouts.last else self._format[1]
            rest = np.empty((channels, 0), np.float32) if stream is None else stream.flush()
            return self._write(rest)

    def reset(self) -> None:
        """Drop the stream and what is known about the caller's layout. Settings stay."""
        with self._lock:
            self._open_stream = None
            self._layouts = LayoutMemory()

    def stream(
        self, sample_rate: float, channels: int, buffer_size: int = DEFAULT_BUFFER_SIZE
    ) -> Stream:
        """A stream of its own, for ``(channels, n)`` float32 blocks.

        Lists of plugins are taken as they are now; gains, mute, solo and the plugins' own
        parameters act at once. The plugins' state belongs to the last stream opened.
        """
        check_shared(self)
        return self._stream(sample_rate, channels, buffer_size)

    @abstractmethod
    def children(self) -> Iterator[Item]:
        """The plugins and processors directly inside this one."""

    @abstractmethod
    def _run(self, audio: Wave, sample_rate: float, buffer_size: int) -> Wave:
        """A whole signal ``(channels, n)``."""

    @abstractmethod
    def _stream(self, sample_rate: float, channels: int, buffer_size: int) -> Stream: ...

    def _open(self, sample_rate: float, channels: int, buffer_size: int) -> Stream:
        self._open_stream = self.stream(sample_rate, channels, buffer_size)
        self._format = (sample_rate, channels)
        return self._open_stream

    def _continue(self, wave: Wave, sample_rate: float, buffer_size: int) -> Wave:
        channels, samples = wave.shape
        stream = self._open_stream or self._open(sample_rate, channels, buffer_size)
        if self._format != (sample_rate, channels):
            self._open_stream = None
            rate, count = self._format
            raise InputError(
                f"the stream has {count} channels at {rate:g} Hz, this block {channels} at"
                f" {sample_rate:g} Hz; call flush() or reset() between them"
            )
        self._open_stream = None  # until this has gone well
        parts = [stream.push(wave[:, :_SLICE])]
        for start in range(_SLICE, samples, _SLICE):
            parts.append(stream.push(wave[:, start : start + _SLICE]))
        self._open_stream = stream
        return np.concatenate(parts, axis=1)

    def _write(self, wave: Wave) -> Wave:
        return self._layouts.last.write(wave) if self._layouts.last else wave


Item: TypeAlias = "pedalboard.Plugin | Processor | None"


def check_shared(processor: Processor) -> None:
    """
    Raises:
        SharedPluginError: something stands in two places inside the processor.
    """
    seen: set[int] = set()

    def visit(item: Item) -> None:
        members = [item] if isinstance(item, Processor) else list(nested([item]))
        for member in members:
            if id(member) in seen:
                raise SharedPluginError(
                    f"{member!r} stands in two places of this chain, which would mix up its"
                    " state; make one for each place"
                )
            seen.add(id(member))
        if isinstance(item, Processor):
            for child in item.children():
                visit(child)

    visit(processor)


def _grouped(
    items: Sequence[Item],
) -> Iterator[Processor | list[pedalboard.Plugin]]:
    """Processors one by one, and the plugins between them together; without the Nones."""
    run: list[pedalboard.Plugin] = []
    for item in items:
        if isinstance(item, Processor):
            if run:
                yield run
            yield item
            run = []
        elif item is not None:
            run.append(item)
    if run:
        yield run


def run_items(items: Sequence[Item], audio: Wave, sample_rate: float, buffer_size: int) -> Wave:
    """A whole signal ``(channels, n)`` through the items."""
    for group in _grouped(items):
        if isinstance(group, Processor):
            audio = group._run(audio, sample_rate, buffer_size)
        else:
            audio = run_native(group, audio, sample_rate, buffer_size)
    return audio


def open_items(
    items: Sequence[Item], sample_rate: float, channels: int, buffer_size: int
) -> Serial:
    """The items as one stream."""
    streams = [
        group._stream(sample_rate, channels, buffer_size)
        if isinstance(group, Processor)
        else NativeRun(group, sample_rate, channels, buffer_size)
        for group in _grouped(items)
    ]
    return Serial(streams, channels)
