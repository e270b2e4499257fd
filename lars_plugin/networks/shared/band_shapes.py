# SPDX-License-Identifier: GPL-3.0-or-later
"""Bands of bins, in numbers alone; without PyTorch, which a converted network does not need."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["band_groups", "check_bands", "level_count"]


def band_groups(widths: Sequence[int]) -> list[tuple[int, int]]:
    """Runs of equal width as (number of bands, width), low to high."""
    groups: list[tuple[int, int]] = []
    for width in widths:
        if groups and groups[-1][1] == width:
            groups[-1] = (groups[-1][0] + 1, width)
        else:
            groups.append((1, width))
    return groups


def level_count(audio_channels: int) -> int:
    """Levels a network may see of each bin: of each channel, and of the middle and side of two."""
    return 4 if audio_channels == 2 else audio_channels


def check_bands(widths: Sequence[int], n_fft: int, scales: int) -> None:
    """Raises ValueError unless the bands fill the spectrum and halve ``scales - 1`` times."""
    if sum(widths) != n_fft // 2:
        raise ValueError(f"band_widths sum to {sum(widths)}, but n_fft // 2 is {n_fft // 2}")
    if len(widths) % (1 << (scales - 1)):
        raise ValueError("the number of bands must be divisible by 2 per downscaling")
