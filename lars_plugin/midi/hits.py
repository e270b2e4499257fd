# SPDX-License-Identifier: GPL-3.0-or-later
"""DrumHit: one stroke on one drum."""

from __future__ import annotations

from dataclasses import dataclass

from lars_plugin.errors import InputError

__all__ = ["ARTICULATIONS", "DEFAULT_ARTICULATION", "DRUMS", "DrumHit"]

# Stems that hits can come from. A five-stem model has "cymbals" instead of ride and crash.
DRUMS = ("kick", "snare", "toms", "hihat", "ride", "crash", "cymbals")

# The articulations of each. "crash2" is the second crash of a kit that has two.
ARTICULATIONS: dict[str, tuple[str, ...]] = {
    "kick": ("kick",),
    "snare": ("center", "sidestick"),
    "toms": ("high", "mid", "low"),
    "hihat": ("closed", "pedal", "open"),
    "ride": ("bow", "bell"),
    "crash": ("crash", "crash2"),
    "cymbals": ("bow", "bell", "crash", "crash2"),
}

# The articulation of a stroke if its sound does not decide.
DEFAULT_ARTICULATION = {
    "kick": "kick",
    "snare": "center",
    "toms": "mid",
    "hihat": "closed",
    "ride": "bow",
    "crash": "crash",
    "cymbals": "crash",
}


@dataclass(frozen=True, order=True)
class DrumHit:
    """One stroke.

    Attributes:
        time: seconds from the start of the recording to the attack.
        stem: one of :data:`DRUMS`.
        articulation: one of the stem's :data:`ARTICULATIONS`.
        velocity: 1 to 127.
        level: loudest RMS over 20 ms of the stroke, dB against full scale.
        confidence: in [0, 1]; 0.5 is the threshold of a picker that weighs a missed hit and a false
            one equally.

    Raises:
        InputError: a value out of range, or an unknown name.
    """

    time: float
    stem: str
    articulation: str = ""
    velocity: int = 100
    level: float = 0.0
    confidence: float = 1.0

    def __post_init__(self) -> None:
        if self.stem not in DRUMS:
            raise InputError(f"no drum {self.stem!r}; there are {', '.join(DRUMS)}")
        if not self.articulation:
            object.__setattr__(self, "articulation", DEFAULT_ARTICULATION[self.stem])
        if self.articulation not in ARTICULATIONS[self.stem]:
            raise InputError(
                f"{self.stem} has no articulation {self.articulation!r};"
                f" there are {', '.join(ARTICULATIONS[self.stem])}"
            )
        if not 1 <= self.velocity <= 127:
            raise InputError(f"a velocity must be 1 to 127, got {self.velocity}")
        if not self.time >= 0:  # also NaN
            raise InputError(f"a time must be 0 or more seconds, got {self.time}")
