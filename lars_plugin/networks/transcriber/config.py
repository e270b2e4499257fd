# SPDX-License-Identifier: GPL-3.0-or-later
"""The shape of a transcriber, and what its outputs are; without PyTorch."""

from __future__ import annotations

from dataclasses import dataclass

from lars_plugin.errors import InputError

__all__ = ["CONTEXT", "GROUPS", "GROUP_OF", "LEVEL_STEMS", "STROKES", "TranscriberConfig"]

# What can be struck, as (stem, articulation). Two crashes differ by their sound only, so the
# network has one class for both.
STROKES: tuple[tuple[str, str], ...] = (
    ("kick", "kick"),
    ("snare", "center"),
    ("snare", "sidestick"),
    ("toms", "high"),
    ("toms", "mid"),
    ("toms", "low"),
    ("hihat", "closed"),
    ("hihat", "pedal"),
    ("hihat", "open"),
    ("ride", "bow"),
    ("ride", "bell"),
    ("crash", "crash"),
)

# What is decided together: whether a drum of a group is struck at all.
GROUPS = ("kick", "snare", "toms", "hihat", "cymbals")
GROUP_OF = {
    stem: GROUPS.index("cymbals" if stem in ("ride", "crash") else stem) for stem, _ in STROKES
}

# Whose shares of the level the network estimates.
LEVEL_STEMS = ("kick", "snare", "toms", "hihat", "ride", "crash", "other")


# Frames on either side that the convolutions can hear: one for each of them.
CONTEXT = 4


@dataclass(frozen=True)
class TranscriberConfig:
    """Shape of a :class:`~lars_plugin.networks.transcriber.network.Transcriber`.

    Attributes:
        bands: mel bands of its input.
        channels: feature channels of the two halves of the convolutions.
        hidden: width of each recurrent layer, per direction.
        layers: how many recurrent layers.
        level_bands: bands in which it estimates the stems' shares of the level.
        causal: whether its memory is of the past only, as live use needs.
        lookahead: frames of 10 ms of the future that the convolutions hear, 0 to 4.

    Raises:
        InputError: a size is not positive, the bands do not divide, or the look-ahead is out of
            range.
    """

    bands: int = 84
    channels: tuple[int, int] = (24, 48)
    hidden: int = 96
    layers: int = 2
    level_bands: int = 12
    causal: bool = False
    lookahead: int = CONTEXT

    def __post_init__(self) -> None:
        sizes = (self.bands, *self.channels, self.hidden, self.layers, self.level_bands)
        whole = all(isinstance(size, int) and not isinstance(size, bool) for size in sizes)
        if len(self.channels) != 2 or not whole or min(sizes) < 1:
            raise InputError(f"the sizes of a transcriber must be whole and positive, got {sizes}")
        if self.lookahead not in range(CONTEXT + 1):
            raise InputError(f"lookahead must be 0 to {CONTEXT}, got {self.lookahead}")
        if self.bands % self.level_bands:
            raise InputError(
                f"{self.bands} bands cannot be shared out among {self.level_bands}:"
                " choose a divisor as level_bands"
            )
