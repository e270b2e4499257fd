# SPDX-License-Identifier: GPL-3.0-or-later
"""``midi.json`` of version 2, which held its weights itself: numbers, and float16 in base64.

It is read for one version more. Version 0.2 removes this file.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["weights_of_version_2"]


def weights_of_version_2(data: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """The weights as the file of version 3 names them.

    Args:
        data: the document.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: it is broken.
    """
    weights: dict[str, NDArray[Any]] = {}
    for name, array in data["picker"].items():
        try:
            raw = base64.b64decode(array["float16"], validate=True)
            weights[f"picker.{name}"] = np.frombuffer(raw, "<f2").reshape(array["shape"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"the picker's {name}: {error!r}") from error
    for stem, part in data["parts"].items():
        for kind, numbers in part["articulations"].items():
            for name, values in numbers.items():
                weights[f"{stem}.{kind}.{name}"] = np.asarray(values, np.float64)
    return weights
