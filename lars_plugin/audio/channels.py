# SPDX-License-Identifier: GPL-3.0-or-later
"""Which channels of a file are separated: some by number, the front pair, or a downmix.

======================  ====================================================================
``1,2`` or ``3``        these channels, counted from 1, as they are
``front``               left and right; of mono and stereo files all there is
``downmix``             stereo by ITU-R BS.775: left and right, plus 0.7071 of the centre and of
                        the surround of their side, 0.5 of a rear centre; without the LFE channel
======================  ====================================================================

Nothing is scaled down: a downmix can be beyond full scale, and its stems add up to it.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lars_plugin.audio.riffchunks import riff_chunks
from lars_plugin.errors import InputError
from lars_plugin.files import printable

__all__ = ["ChannelChoice", "channel_places", "check_channel_names", "choose_channels"]

Wave = NDArray[np.float32]

_HALF = 0.5**0.5

# What a place gives to left and right.
_SHARES = {
    "FL": (1.0, 0.0), "FR": (0.0, 1.0), "FC": (_HALF, _HALF), "LFE": (0.0, 0.0),
    "BL": (_HALF, 0.0), "BR": (0.0, _HALF), "SL": (_HALF, 0.0), "SR": (0.0, _HALF),
    "BC": (0.5, 0.5),
}  # fmt: skip

# The bits of a channel mask in WAVE_FORMAT_EXTENSIBLE; those between are not of this world.
_MASK = {0: "FL", 1: "FR", 2: "FC", 3: "LFE", 4: "BL", 5: "BR", 8: "BC", 9: "SL", 10: "SR"}

_WAV_PLACES = {
    1: ("FC",),
    2: ("FL", "FR"),
    3: ("FL", "FR", "FC"),
    4: ("FL", "FR", "BL", "BR"),
    5: ("FL", "FR", "FC", "BL", "BR"),
    6: ("FL", "FR", "FC", "LFE", "BL", "BR"),
    7: ("FL", "FR", "FC", "LFE", "BC", "SL", "SR"),
    8: ("FL", "FR", "FC", "LFE", "BL", "BR", "SL", "SR"),
}

# Vorbis and Opus have an order of their own.
_OGG_PLACES = {
    **_WAV_PLACES,
    3: ("FL", "FC", "FR"),
    5: ("FL", "FC", "FR", "BL", "BR"),
    6: ("FL", "FC", "FR", "BL", "BR", "LFE"),
    7: ("FL", "FC", "FR", "SL", "SR", "BC", "LFE"),
    8: ("FL", "FC", "FR", "SL", "SR", "BL", "BR", "LFE"),
}

_EXTENSIBLE = 0xFFFE


def check_channel_names(channels: str) -> None:
    """Whether this is a choice of channels, of whatever file.

    Raises:
        InputError: it is none; says what is.
    """
    if channels not in ("front", "downmix"):
        _numbers(channels)


def _numbers(channels: str) -> list[int]:
    words = [word.strip() for word in channels.split(",")]
    if len(words) not in (1, 2) or not all(word.isdecimal() and int(word) for word in words):
        raise InputError(
            f"{channels!r} is not a choice of channels; use front, downmix, or one or two numbers"
            " from 1 on: 1,2"
        )
    return [int(word) for word in words]


def channel_places(path: str | os.PathLike[str], channels: int) -> tuple[str, ...] | None:
    """Where the loudspeakers of a file's channels stand, as ``FL``, ``FR``, ``FC``, ``LFE`` …

    From the file's channel mask, or else from their number in the usual order of its format.
    None: nobody knows.
    """
    try:
        if not Path(path).is_file():
            return _WAV_PLACES.get(channels)  # a pipe, of which nothing may be taken
        with Path(path).open("rb") as handle:
            start = handle.read(64)
            if start.startswith(b"OggS") and (b"\x01vorbis" in start or b"OpusHead" in start):
                return _OGG_PLACES.get(channels)
            form = next((data for name, data in riff_chunks(handle, {b"fmt "})), b"")
    except OSError:
        form = b""
    if len(form) >= 24 and struct.unpack("<H", form[:2])[0] == _EXTENSIBLE:
        mask = struct.unpack("<I", form[20:24])[0]
        bits = [bit for bit in range(32) if mask >> bit & 1]
        if mask:
            known = len(bits) == channels and all(bit in _MASK for bit in bits)
            return tuple(_MASK[bit] for bit in bits) if known else None
    return _WAV_PLACES.get(channels)


class ChannelChoice:
    """Makes mono or stereo of blocks with any number of channels.

    Args:
        channels: ``1,2``, ``3``, ``front``, ``downmix``; None: all, if they are one or two.
        count: how many channels there are.
        places: see :func:`channel_places`; None: not known.
        name: of the audio, for messages.

    Raises:
        InputError: more than two channels without a choice, or an invalid choice.
    """

    def __init__(
        self,
        channels: str | None,
        count: int,
        places: Sequence[str] | None = None,
        name: str | os.PathLike[str] = "the audio",
    ) -> None:
        self._pick: list[int] | None = None
        self._mix: Wave | None = None
        found = f"{printable(name)} has {count} channel{'s' if count != 1 else ''}"
        if channels is None:
            if count not in (1, 2):
                raise InputError(
                    f"{found}; mono or stereo is needed: choose with --channels 1,2 (or other"
                    " numbers), front or downmix"
                )
        elif channels not in ("front", "downmix"):
            numbers = _numbers(channels)
            if max(numbers) > count:
                raise InputError(f"{found}, no channel {max(numbers)}; choose other --channels")
            self._pick = [number - 1 for number in numbers]
        elif count > 2:
            places = list(places or ())
            if len(places) != count or not {"FL", "FR"} <= set(places):
                raise InputError(
                    f"{found}, and nothing tells what is where; choose by number: --channels 1,2"
                )
            if channels == "front":
                self._pick = [places.index("FL"), places.index("FR")]
            else:
                shares = [_SHARES[place] for place in places]
                self._mix = np.array(shares, np.float32).T.copy()
        self.count = len(self._pick) if self._pick is not None else min(count, 2)

    def __call__(self, block: Wave) -> Wave:
        """A block ``(channels, n)`` as mono or stereo; without a choice the block itself."""
        if self._pick is not None:
            return np.ascontiguousarray(block[self._pick])
        if self._mix is not None:
            return (self._mix @ block).astype(np.float32, copy=False)
        return block


def choose_channels(
    audio: NDArray[np.floating], channels: str, places: Sequence[str] | None = None
) -> Wave:
    """Mono or stereo of audio with any number of channels.

    Args:
        audio: ``(channels, samples)``; not changed.
        channels: ``1,2``, ``3``, ``front`` or ``downmix``.
        places: of the channels, as ``("FL", "FR", "FC", "LFE", "BL", "BR")``; None: those of a
            WAV file with as many.

    Returns:
        ``(1 or 2, samples)`` float32.

    Raises:
        InputError: an invalid choice.
    """
    wave = np.asarray(audio, np.float32)
    if wave.ndim != 2:
        raise InputError(f"audio must be (channels, samples), got shape {wave.shape}")
    count = wave.shape[0]
    result = ChannelChoice(channels, count, places or _WAV_PLACES.get(count))(wave)
    return result.copy() if result is audio else result
