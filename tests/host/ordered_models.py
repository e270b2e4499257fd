# SPDX-License-Identifier: GPL-3.0-or-later
"""Models whose default for live streams is not the first: ``--models-from ordered_models``.

With LARS_TEST_REVERSED in another order, as after a download.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from lars_plugin.model import Chunking, Model
from lars_plugin.testing import IdentityModel

LIVE = Chunking(512, overlap=4, convention="live", lookahead=64, fade=32)
# Which model is heard: what it makes of the kick.
KICK = {"lars-fullmix": 0.25, "lars-live": 0.5, "lars-mini": 0.75}


def _maker(share: float) -> Callable[[], Model]:
    return lambda: IdentityModel(chunking=LIVE, shares=[share, 0, 0, 0, 0, 0])


_ORDER = list(KICK) if "LARS_TEST_REVERSED" not in os.environ else list(KICK)[::-1]
MODELS: dict[str, Callable[[], Model]] = {name: _maker(KICK[name]) for name in _ORDER}
