# SPDX-License-Identifier: GPL-3.0-or-later
"""StemSeparator: a separation that is called as a pedalboard plugin is, and remixes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, SupportsFloat, SupportsIndex

import numpy as np
from numpy.typing import NDArray

from lars_plugin.chain.layout import check_buffer_size, check_sample_rate
from lars_plugin.chain.processor import (
    DEFAULT_BUFFER_SIZE,
    Item,
    Processor,
    check_shared,
    open_items,
    run_items,
)
from lars_plugin.chain.serial import Serial
from lars_plugin.chain.stem_chains import StemChains
from lars_plugin.chain.stem_stream import MixedStream, StemStream
from lars_plugin.chain.strips import Strips
from lars_plugin.errors import InputError
from lars_plugin.model import AnyModel
from lars_plugin.separation.separator import Progress, Separator
from lars_plugin.separation.streams.base import Stream
from lars_plugin.stems import Stems

__all__ = ["StemSeparator"]

Wave = NDArray[np.float32]


class StemSeparator(Processor):
    """Separates, sends each stem through its strip, and returns the mix.

    With the strips as they are at first, the mix is the sum of the stems: for a model whose
    stems add up, the input itself.

    Args:
        separator: a separator; or what :class:`Separator` takes: a model's name, a model
            folder, or a loaded model.
        stems: those wanted, one name or several; the others are left out of the mix.
        gains: dB per stem, to start with.
        settings: ``preset``, ``overlap``, ``batch_size``, ``device``, ``precision``: see
            :class:`Separator`. Not together with a separator that is already made.

    Raises:
        InputError: settings that do not fit, or a stem that the model does not have.
        ModelError: the model cannot be found or loaded.
    """

    def __init__(
        self,
        separator: Separator | AnyModel | str | Path = "lars-mini",
        *,
        stems: str | Sequence[str] | None = None,
        gains: Mapping[str, float] | None = None,
        **settings: Any,
    ) -> None:
        super().__init__()
        if isinstance(separator, Separator):
            if settings or stems is not None:
                raise InputError(
                    "this separator is already made; give it its stems and settings, or pass"
                    " the model"
                )
        else:
            wanted = [stems] if isinstance(stems, str) else stems
            separator = Separator(separator, stems=wanted, **settings)
        self._separator = separator
        self._strips = Strips(separator.stems)
        for name, gain in (gains or {}).items():
            self._strips[name].gain_db = gain

    @property
    def separator(self) -> Separator:
        """What does the work."""
        return self._separator

    @property
    def strips(self) -> Strips:
        """Gain, mute, solo and plugins per stem."""
        return self._strips

    def children(self) -> Iterator[Item]:
        for strip in self._strips.values():
            yield from strip.plugins

    def process_stems(
        self,
        input_array: NDArray[np.floating],
        sample_rate: SupportsFloat,
        buffer_size: SupportsIndex = DEFAULT_BUFFER_SIZE,
        *,
        progress: Progress | None = None,
    ) -> Stems:
        """The stems of a whole signal as they go into the mix, which is their sum.

        Args:
            input_array: see :meth:`process`.
            sample_rate: likewise.
            buffer_size: likewise.
            progress: see :meth:`Separator.separate`.

        Returns:
            ``(channels, samples)`` each, whatever layout the input had.

        Raises:
            As :meth:`process`; CancelledError when the progress callback asks for it.
        """
        rate, size = check_sample_rate(sample_rate), check_buffer_size(buffer_size)
        with self._lock:
            wave = self._layouts.read(input_array)
            self._open_stream = None
            check_shared(self)
            return self.run_stems(wave, rate, size, progress)

    def run_stems(
        self,
        audio: Wave,
        sample_rate: float,
        buffer_size: int,
        progress: Progress | None = None,
    ) -> Stems:
        """:meth:`process_stems` for checked arguments and ``(channels, n)``; opens no stream."""
        stems = self._separator.separate(audio, sample_rate, progress=progress)
        mixed: dict[str, Wave] = {}
        for (name, strip), factor in zip(self._strips.items(), self._strips.factors(), strict=True):
            if factor == 0:
                mixed[name] = np.zeros_like(audio)
            else:
                wave = run_items(list(strip.plugins), stems[name], sample_rate, buffer_size)
                mixed[name] = wave if factor == 1 else wave * np.float32(factor)
        return Stems(mixed, sample_rate)

    def stem_stream(
        self, sample_rate: float, channels: int, buffer_size: int = DEFAULT_BUFFER_SIZE
    ) -> StemStream:
        """A stream of the stems as they go into the mix; see :meth:`stream`."""
        check_shared(self)
        return self.open_stems(Serial((), channels), sample_rate, channels, buffer_size)

    def open_stems(
        self, before: Stream, sample_rate: float, channels: int, buffer_size: int
    ) -> StemStream:
        """:meth:`stem_stream` behind another stream."""
        chains = {
            name: open_items(list(strip.plugins), sample_rate, channels, buffer_size)
            for name, strip in self._strips.items()
        }
        stream = self._separator.stream(sample_rate, channels)
        return StemStream(before, stream, StemChains(chains, channels), self._strips)

    def _run(self, audio: Wave, sample_rate: float, buffer_size: int) -> Wave:
        return self.run_stems(audio, sample_rate, buffer_size).sum()

    def _stream(self, sample_rate: float, channels: int, buffer_size: int) -> Stream:
        before = Serial((), channels)
        return MixedStream(self.open_stems(before, sample_rate, channels, buffer_size))

    def __repr__(self) -> str:
        model = self._separator.model.config.name
        return f"<lars_plugin.StemSeparator model={model} stems={','.join(self._strips)}>"
