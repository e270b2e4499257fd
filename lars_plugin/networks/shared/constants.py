# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers that trained weights rely on, and that PyTorch, numpy and exported graphs share."""

from __future__ import annotations

__all__ = [
    "BIN_POWER_FLOOR",
    "COMPRESSION",
    "LEVEL_EXPONENT",
    "LEVEL_OF_SILENCE",
    "QUIETEST",
    "SCALE_FLOOR",
]

# Added to the power of a bin before it is raised to an exponent: silence stays finite.
BIN_POWER_FLOOR = 1e-8
# A bin times its power to this exponent has its magnitude to the power 0.3.
COMPRESSION = -0.35
# A level is the power of a bin to this exponent, hence the same magnitude, without its phase ...
LEVEL_EXPONENT = 0.15
# ... less what silence would have.
LEVEL_OF_SILENCE = BIN_POWER_FLOOR**LEVEL_EXPONENT
# Power below which a causal network amplifies nothing any more: -100 dB.
QUIETEST = 1e-10
# Added to the RMS by which a chunk is divided.
SCALE_FLOOR = 1e-5
