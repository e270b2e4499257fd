# SPDX-License-Identifier: GPL-3.0-or-later
"""Post-processing of stems after the network: Wiener filter, gate, redistribution, in this order.

Each step works block by block with a stated latency, and gives the same result for any block split.
With redistribution the stems add up to the mixture. The gate comes before it, so the signal that
the gate removes goes to other stems. :mod:`lars_plugin.separation.streams.post` runs them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from lars_plugin.errors import InputError

__all__ = ["PostProcessing"]


@dataclass(frozen=True)
class PostProcessing:
    """The steps with their settings; none by default.

    Attributes:
        wiener: exponent alpha of a Wiener filter: each stem becomes
            ``|S|^alpha / sum |S|^alpha`` of the mixture's STFT. Below 1, stems hold more
            of the others; above 1, quieter stems are attenuated under louder ones.
        redistribute: share out the part of the mixture that is in no stem, at each frequency in
            proportion to the power of the stems, so that they add up to the mixture.
        gate: silence a stem while its level is this far below the mixture's, in dB, below 0;
            see :mod:`lars_plugin.refine.gate`.
        attack: seconds over which the gate opens before a sound.
        hold: seconds for which it stays open after the last sound.
        release: seconds over which it then closes.

    Raises:
        InputError: an invalid setting.
    """

    wiener: float | None = None
    redistribute: bool = False
    gate: float | None = None
    attack: float = 0.005
    hold: float = 0.2
    release: float = 0.1

    def __post_init__(self) -> None:
        if self.wiener is not None and not (math.isfinite(self.wiener) and self.wiener > 0):
            raise InputError(f"the Wiener exponent must be above 0, got {self.wiener}; 1 is usual")
        if self.gate is not None and not (math.isfinite(self.gate) and self.gate < 0):
            raise InputError(f"the gate's threshold must be below 0 dB, got {self.gate}; try -40")
        if not 0.0005 <= self.attack <= 1:
            raise InputError(f"attack must be from 0.0005 to 1 s, got {self.attack}")
        for name in ("hold", "release"):
            if not 0 <= getattr(self, name) <= 60:
                raise InputError(f"{name} must be from 0 to 60 s, got {getattr(self, name)}")

    @property
    def active(self) -> bool:
        """Whether there is any step."""
        return self.wiener is not None or self.redistribute or self.gate is not None

    def __str__(self) -> str:
        """Short text for tables and logs: "wiener 1, gate -40 dB, redistribute"."""
        steps = [
            *([] if self.wiener is None else [f"wiener {self.wiener:g}"]),
            *([] if self.gate is None else [f"gate {self.gate:g} dB"]),
            *(["redistribute"] if self.redistribute else []),
        ]
        return ", ".join(steps)
