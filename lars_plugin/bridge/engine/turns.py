# SPDX-License-Identifier: GPL-3.0-or-later
"""Fair turns by time: whoever has used the least of it is next."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import TypeVar

__all__ = ["Turns"]

Who = TypeVar("Who", bound=Hashable)


class Turns:
    """Keeps the books on who has used how many seconds.

    Nobody saves up time by waiting: who comes, or comes back, begins with what the last one who
    had a turn had used before it.
    """

    def __init__(self) -> None:
        self._used: dict[Hashable, float] = {}
        self._floor = 0.0

    def order(self, waiting: Iterable[Who]) -> list[Who]:
        """Those who wait, the next one first; whoever is asked about is remembered."""
        found = sorted(waiting, key=self._of)  # stable: among equals as they came
        if found:
            self._floor = self._of(found[0])
            self._used = {who: used for who, used in self._used.items() if used > self._floor}
        return found

    def ahead(self, who: Hashable) -> float:
        """Seconds that this one has used more than the one who was first in ``order``."""
        return self._of(who) - self._floor

    def spent(self, who: Hashable, seconds: float) -> None:
        """Somebody had a turn."""
        self._used[who] = self._of(who) + seconds

    def _of(self, who: Hashable) -> float:
        return max(self._used.get(who, 0.0), self._floor)
