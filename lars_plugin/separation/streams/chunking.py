# SPDX-License-Identifier: GPL-3.0-or-later
"""Where chunks lie and how they weigh: the arithmetic of overlap-add, without any state.

Positions count samples of the padded input: `left` samples of padding, the input, `right`
samples of padding. Chunk k starts at ``k * step``. After chunk k is added, every position
before ``k * step + settled`` is final.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lars_plugin.model import Chunking

__all__ = [
    "begin_before",
    "chunk_weights",
    "is_padded",
    "is_triangular",
    "latency_samples",
    "lead",
    "left_padding",
    "pad_chunk",
    "padding",
    "right_padding",
    "settled",
]

Wave = NDArray[np.float32]


def chunk_weights(chunking: Chunking, *, first: bool, last: bool) -> Wave:
    """Weight of each sample of a chunk, ``(chunk_size,)`` float32.

    ``first`` and ``last`` tell whether nothing comes before or after; only ``msst`` minds. A
    chunk that is both keeps its fade at the end, as the field's own implementation has it.
    """
    size = chunking.chunk_size
    weights = np.ones(size, np.float32)
    if chunking.convention == "msst":
        fade = size // 10
        if fade:
            if not first:
                weights[:fade] = np.linspace(0, 1, fade, dtype=np.float32)
            if first or not last:
                weights[-fade:] = np.linspace(1, 0, fade, dtype=np.float32)
    elif chunking.convention == "hann":
        # Half-sample steps: no weight is zero, so the ends of a recording have one too.
        weights = np.square(np.sin(np.pi / size * (np.arange(size) + 0.5))).astype(np.float32)
    elif is_triangular(chunking):
        rise = np.arange(1, size // 2 + 1, dtype=np.float32)
        fall = np.arange(size - size // 2, 0, -1, dtype=np.float32)
        weights = np.concatenate([rise, fall]) / np.float32(size - size // 2)
    elif chunking.convention == "live":
        end = size - chunking.lookahead
        begin = end - chunking.step - chunking.fade
        # Half-sample steps: rising and falling ramps of neighbouring chunks sum to one.
        ramp = (np.arange(chunking.fade, dtype=np.float32) + 0.5) / max(chunking.fade, 1)
        weights[:begin] = 0
        weights[end:] = 0
        weights[begin : begin + chunking.fade] = ramp
        weights[end - chunking.fade : end] = ramp[::-1]
    return weights


def is_triangular(chunking: Chunking) -> bool:
    """Whether this is one of Demucs' conventions: no padding, and no other weights at the ends."""
    return chunking.convention in ("demucs", "demucs-short")


def padding(chunking: Chunking) -> int:
    """Samples of padding on either side, where there is padding at all."""
    return 0 if is_triangular(chunking) else chunking.border


def lead(chunking: Chunking, length: int) -> int:
    """Where in the chunk that the network sees a last, partial chunk of this length begins."""
    return (chunking.chunk_size - length) // 2 if chunking.convention == "demucs" else 0


def is_padded(chunking: Chunking, samples: int) -> bool:
    """Whether an input of this length gets padding: known once it is longer than 2 borders."""
    if chunking.convention == "live":
        return True
    return padding(chunking) > 0 and samples > 2 * chunking.border


def left_padding(chunking: Chunking, head: Wave) -> Wave:
    """What stands before a padded input, ``(channels, border)``.

    Args:
        head: the input so far; longer than the border unless the convention is ``live``.
    """
    if chunking.convention == "live":
        return np.zeros((head.shape[0], chunking.border), np.float32)
    return head[:, chunking.border : 0 : -1]


def right_padding(chunking: Chunking, tail: Wave) -> Wave:
    """What stands after a padded input, ``(channels, border)``; not for ``live``.

    Args:
        tail: at least ``border + 1`` samples, the input's last.
    """
    return tail[:, -2 : -2 - chunking.border : -1]


def settled(chunking: Chunking) -> int:
    """How far into the newest chunk every position is final."""
    if chunking.convention == "live":
        return chunking.chunk_size - chunking.lookahead - chunking.fade
    return chunking.step


def begin_before(chunking: Chunking, sample: int) -> int:
    """The first chunk of the last batch that begins before every chunk which covers an output
    sample; 0 where the recording's start must be known."""
    if sample <= 2 * chunking.border:
        return 0  # whether there is padding is not known yet
    # Demucs' last chunk also looks back by half of its size.
    past = chunking.chunk_size // 2 if is_triangular(chunking) else 0
    position = sample + padding(chunking) - chunking.chunk_size - past
    first = max(0, position // chunking.step)
    begin = first - first % chunking.batch_size
    return begin if begin * chunking.step >= padding(chunking) else 0


def latency_samples(chunking: Chunking) -> int:
    """The most samples by which finished output ever trails the input.

    ``live``: a step is waited for (its first sample waits ``step - 1``), then lookahead and
    fade. Offline conventions: a batch of steps plus the border, and at the start the two borders
    of input that decide about padding.
    """
    if chunking.convention == "live":
        return chunking.batch_size * chunking.step - 1 + chunking.lookahead + chunking.fade
    stride = chunking.batch_size * chunking.step
    if is_triangular(chunking):
        return stride + chunking.border
    return max(2 * chunking.border, stride + chunking.border)


def pad_chunk(chunking: Chunking, part: Wave, past: Wave) -> Wave:
    """A last, partial chunk ``(channels, n)`` filled up to ``(channels, chunk_size)``.

    Reflected when it is longer than half a chunk (``lars``: by more than one sample), else
    followed by silence; Demucs' conventions have their own way.

    Args:
        part: the chunk.
        past: ``(channels, chunk_size // 2)`` before it; only ``demucs`` minds.
    """
    size, length = chunking.chunk_size, part.shape[1]
    if length == size or chunking.convention == "demucs-short":
        return part
    if chunking.convention == "demucs":
        before = lead(chunking, length)
        seen = np.concatenate([past[:, past.shape[1] - before :], part], axis=1)
        return np.pad(seen, ((0, 0), (0, size - seen.shape[1])))
    half = size // 2 + (chunking.convention == "lars")
    missing = ((0, 0), (0, size - length))
    if length > half and chunking.convention != "live":
        return np.pad(part, missing, mode="reflect")
    return np.pad(part, missing)
