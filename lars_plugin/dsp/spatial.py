# SPDX-License-Identifier: GPL-3.0-or-later
"""What two channels say about direction: numbers that views, filters and fits share."""

from __future__ import annotations

import numpy as np

__all__ = ["DIFFUSE", "MONO"]

# A difference of the channels below this, in power against the whole, says nothing about direction:
# the recording is mono as it is.
MONO = 1e-4
# Of a source's power this much comes from everywhere: rooms do that, and matrices stay invertible.
DIFFUSE = np.float32(1e-3)
