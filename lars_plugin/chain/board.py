# SPDX-License-Identifier: GPL-3.0-or-later
"""StemBoard: a pedalboard with a separator in it, and a board for each stem."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, SupportsFloat, SupportsIndex

import numpy as np
from numpy.typing import NDArray

from lars_plugin.chain.layout import check_buffer_size, check_sample_rate
from lars_plugin.chain.node import StemSeparator
from lars_plugin.chain.plugins import PluginList
from lars_plugin.chain.processor import (
    DEFAULT_BUFFER_SIZE,
    Item,
    Processor,
    check_shared,
    open_items,
    run_items,
)
from lars_plugin.chain.stem_stream import StemStream
from lars_plugin.chain.strips import Strips
from lars_plugin.errors import InputError
from lars_plugin.model import AnyModel
from lars_plugin.separation.separator import Progress, Separator
from lars_plugin.separation.streams.base import Stream
from lars_plugin.stems import Stems

__all__ = ["StemBoard"]

Wave = NDArray[np.float32]


class StemBoard(Processor, PluginList):
    """Pedalboard plugins and :class:`StemSeparator` side by side in one list.

    Used as ``pedalboard.Pedalboard`` is, and written either as a list::

        StemBoard([HighpassFilter(30), StemSeparator("lars-mini"), Limiter()])

    or by its parts::

        StemBoard(
            pre=[HighpassFilter(30)],
            separator="lars-mini",
            stems={"kick": [Compressor(-18, 4)], "snare": [Reverb(0.2)]},
            gains={"hihat": -6},
            post=[Limiter()],
        )

    Args:
        plugins: the list.
        pre: plugins before the separation.
        separator: a :class:`StemSeparator`, or what it takes. ``lars-mini`` when any other
            part is given.
        stems: plugins per stem; they go into the separator's strips.
        gains: dB per stem.
        post: plugins after the mix.

    Raises:
        InputError: both forms at once, or an unknown stem.
        ArgumentTypeError: something that is not a plugin.
    """

    def __init__(
        self,
        plugins: Iterable[Item] | None = None,
        *,
        pre: Iterable[Item] | None = None,
        separator: StemSeparator | Separator | AnyModel | str | Path | None = None,
        stems: Mapping[str, Iterable[Item]] | None = None,
        gains: Mapping[str, float] | None = None,
        post: Iterable[Item] | None = None,
    ) -> None:
        Processor.__init__(self)
        parts: tuple[Any, ...] = (pre, separator, stems, gains, post)
        if all(part is None for part in parts):
            PluginList.__init__(self, () if plugins is None else plugins)
            return
        if plugins is not None:
            raise InputError("give either a list of plugins, or pre, separator, stems, post")
        if not isinstance(separator, StemSeparator):
            separator = StemSeparator("lars-mini" if separator is None else separator)
        for name, board in (stems or {}).items():
            separator.strips[name].plugins = board
        for name, gain in (gains or {}).items():
            separator.strips[name].gain_db = gain
        PluginList.__init__(self, [*PluginList(pre or ()), separator, *PluginList(post or ())])

    @property
    def separator(self) -> StemSeparator:
        """The one separator in the list.

        Raises:
            InputError: there is none, or more than one.
        """
        found = [item for item in self if isinstance(item, StemSeparator)]
        if len(found) != 1:
            raise InputError(f"this board holds {len(found)} separators; pick one from the list")
        return found[0]

    @property
    def strips(self) -> Strips:
        """Gain, mute, solo and plugins per stem, of the one separator."""
        return self.separator.strips

    def children(self) -> Iterator[Item]:
        return iter(list(self))

    def process_stems(
        self,
        input_array: NDArray[np.floating],
        sample_rate: SupportsFloat,
        buffer_size: SupportsIndex = DEFAULT_BUFFER_SIZE,
        *,
        progress: Progress | None = None,
    ) -> Stems:
        """The stems of a whole signal after their strips, before what follows the separator.

        See :meth:`StemSeparator.process_stems`.
        """
        rate, size = check_sample_rate(sample_rate), check_buffer_size(buffer_size)
        with self._lock:
            wave = self._layouts.read(input_array)
            self._open_stream = None
            check_shared(self)
            audio = run_items(self._before(), wave, rate, size)
            return self.separator.run_stems(audio, rate, size, progress)

    def stem_stream(
        self, sample_rate: float, channels: int, buffer_size: int = DEFAULT_BUFFER_SIZE
    ) -> StemStream:
        """A stream of the stems after their strips, before what follows the separator."""
        check_shared(self)
        before = open_items(self._before(), sample_rate, channels, buffer_size)
        return self.separator.open_stems(before, sample_rate, channels, buffer_size)

    def _before(self) -> list[Item]:
        return self[: self.index(self.separator)]

    def _run(self, audio: Wave, sample_rate: float, buffer_size: int) -> Wave:
        return run_items(list(self), audio, sample_rate, buffer_size)

    def _stream(self, sample_rate: float, channels: int, buffer_size: int) -> Stream:
        return open_items(list(self), sample_rate, channels, buffer_size)

    @reprlib.recursive_repr()
    def __repr__(self) -> str:
        plural = "" if len(self) == 1 else "s"
        return f"<{type(self).__name__} with {len(self)} plugin{plural}: {list(self)}>"
