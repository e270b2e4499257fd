# SPDX-License-Identifier: GPL-3.0-or-later
"""Strips: the mixing desk behind a separator, one channel strip per stem."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lars_plugin.chain.errors import ArgumentTypeError, UnknownStemError
from lars_plugin.chain.plugins import PluginList
from lars_plugin.chain.processor import Item
from lars_plugin.errors import InputError
from lars_plugin.model import canonical_stem

__all__ = ["MAX_GAIN_DB", "Strip", "Strips"]

MAX_GAIN_DB = 96.0  # 16 bits' worth: no use for more, and no overflow


class Strip:
    """One stem on its way to the mix: its plugins, then mute, solo and gain.

    Settings may be changed at any time, from any thread; they act from the next block on.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._gain_db = 0.0
        self._mute = False
        self._solo = False
        self._plugins = PluginList()

    @property
    def name(self) -> str:
        """The stem's."""
        return self._name

    @property
    def gain_db(self) -> float:
        """Level in the mix in dB, up to 96; ``-inf`` is silence."""
        return self._gain_db

    @gain_db.setter
    def gain_db(self, value: float) -> None:
        if isinstance(value, (str, bool)) or not hasattr(value, "__float__"):
            raise ArgumentTypeError(f"gain_db must be a number of dB, got {value!r}")
        gain = float(value)
        if math.isnan(gain) or gain > MAX_GAIN_DB:
            raise InputError(f"gain_db must be at most {MAX_GAIN_DB:g} dB, got {gain}")
        self._gain_db = gain

    @property
    def mute(self) -> bool:
        """Silent, whatever else is set."""
        return self._mute

    @mute.setter
    def mute(self, value: bool) -> None:
        self._mute = _boolean("mute", value)

    @property
    def solo(self) -> bool:
        """While any strip has solo, those without it are silent."""
        return self._solo

    @solo.setter
    def solo(self, value: bool) -> None:
        self._solo = _boolean("solo", value)

    @property
    def plugins(self) -> PluginList:
        """The stem's own board; assign any list of plugins to replace it."""
        return self._plugins

    @plugins.setter
    def plugins(self, value: Iterable[Item]) -> None:
        self._plugins = PluginList(value)

    def __repr__(self) -> str:
        flags = "".join(f", {flag}" for flag in ("mute", "solo") if getattr(self, flag))
        return f"<Strip {self._name} {self._gain_db:+g} dB{flags}, {list(self._plugins)}>"


def _boolean(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise ArgumentTypeError(f"{name} must be True or False, got {value!r}")
    return value


class Strips(Mapping[str, Strip]):
    """The strips of a separator by stem name, in the model's order; "hh" finds "hihat"."""

    def __init__(self, stems: Iterable[str]) -> None:
        self._strips = {name: Strip(name) for name in stems}

    def __getitem__(self, name: str) -> Strip:
        if name in self._strips:
            return self._strips[name]
        try:
            return self._strips[canonical_stem(name)]
        except (InputError, KeyError, AttributeError):
            raise UnknownStemError(
                f"no stem {name!r}; there are {', '.join(self._strips)}"
            ) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._strips)

    def __len__(self) -> int:
        return len(self._strips)

    def __repr__(self) -> str:
        return f"Strips({list(self._strips.values())})"

    def factors(self) -> list[float]:
        """What each stem is multiplied by now: gain as a factor, 0 where muted or not soloed.

        Mute goes before solo: a strip with both is silent, and so are those without solo.
        """
        strips = list(self._strips.values())
        soloed = any(strip.solo for strip in strips)
        return [
            0.0 if strip.mute or (soloed and not strip.solo) else 10 ** (strip.gain_db / 20)
            for strip in strips
        ]
