# SPDX-License-Identifier: GPL-3.0-or-later
"""CHAIN: what a client wants on each stem, read and checked, and made into slots.

Effects are made on the plugin thread, while the stream goes on with those it has; the thread of the
model then exchanges them between two blocks. An effect that a client had before, by its id, is the
same one.
"""

from __future__ import annotations

import base64
import json
import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lars_plugin.bridge.protocol import limits
from lars_plugin.chain.effects import PREFIX, built_in_effects, installed_plugins
from lars_plugin.chain.live_chain import Slot
from lars_plugin.chain.units import SeveralPluginsError, in_one_line, make_unit
from lars_plugin.errors import InputError

__all__ = ["Built", "ChainBuilder", "Entry", "as_json", "effects_report", "read_chains"]

MAX_SLOTS = 16  # per stem
_KEPT = 256  # lists of effects that were left out: about forty CHAINs
_MAX_VALUES = 1024  # parameters of an entry


@dataclass(frozen=True)
class Entry:
    """One effect that a client wants; see CHAIN in PROTOCOL.md."""

    key: str
    effect: str
    name: str = ""
    bypass: bool = False
    values: Mapping[str, float] = field(default_factory=dict)
    state: bytes = b""


@dataclass(frozen=True)
class Built:
    """A CHAIN with its effects made.

    Attributes:
        slots: by stem.
        entries: by stem, one for each slot.
        total: whether the sum of the stems before their chains is wanted.
        states: whether the states of plugins on disk are to be told.
    """

    slots: Mapping[str, Sequence[Slot]]
    entries: Mapping[str, Sequence[Entry]]
    total: bool = False
    states: bool = False


def read_chains(report: bytes) -> dict[str, list[Entry]]:
    """The entries of each stem that a CHAIN names.

    Raises:
        InputError: it is not what PROTOCOL.md says.
    """
    try:
        content = json.loads(report.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"CHAIN is not JSON: {error}") from error
    stems = content.get("stems") if isinstance(content, dict) else None
    if not isinstance(stems, dict) or len(stems) > limits.MAX_NAMES:
        raise InputError('CHAIN needs a table "stems" with a list of effects per stem')
    return {stem: _entries(stem, entries) for stem, entries in stems.items()}


def _entries(stem: str, entries: object) -> list[Entry]:
    if not isinstance(entries, list) or len(entries) > MAX_SLOTS:
        raise InputError(f"CHAIN: {stem} needs a list of at most {MAX_SLOTS} effects")
    found = [_entry(f"CHAIN: {stem}[{at}]", entry) for at, entry in enumerate(entries)]
    if len({entry.key for entry in found}) != len(found):
        raise InputError(f"CHAIN: {stem} has an id twice")
    return found


def _entry(where: str, entry: object) -> Entry:
    if not isinstance(entry, dict):
        raise InputError(f"{where} is not a table")
    texts = {key: _text(where, entry, key) for key in ("id", "effect", "name", "state")}
    bypass, values = entry.get("bypass", False), entry.get("parameters", {})
    if not texts["id"] or not texts["effect"] or not isinstance(bypass, bool):
        raise InputError(f"{where} needs an id, an effect, and true or false for bypass")
    if not isinstance(values, dict) or len(values) > _MAX_VALUES:
        raise InputError(f"{where}: parameters must be a table of at most {_MAX_VALUES} numbers")
    for key, value in values.items():
        if not _is_finite(value):
            raise InputError(f"{where}: {key} must be a finite number")
    try:
        state = base64.b64decode(texts["state"], validate=True)
    except ValueError as error:  # not base64, or not even ASCII
        raise InputError(f"{where}: state is not base64") from error
    return Entry(
        key=texts["id"],
        effect=texts["effect"],
        name=texts["name"],
        bypass=bypass,
        values={key: float(value) for key, value in values.items()},
        state=state,
    )


def _is_finite(value: object) -> bool:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # JSON has whole numbers of any length
        return False


def _text(where: str, entry: Mapping[str, object], key: str) -> str:
    value = entry.get(key, "")
    if isinstance(value, str):
        try:
            size = len(value.encode())
        except UnicodeEncodeError as error:  # JSON can have half a character
            raise InputError(f"{where}: {key} is not valid text") from error
        if key == "state" or size <= limits.MAX_NAME:
            return value
    raise InputError(f"{where}: {key} must be a text of at most {limits.MAX_NAME} bytes")


class ChainBuilder:
    """Makes the effects of one stream, on the plugin thread only.

    Args:
        stems: of the stream; chains of others are left out, for a client keeps chains for all.
        sample_rate: Hz.
        channels: of each stem.
        on_disk: whether plugins on disk are allowed.
    """

    def __init__(
        self, stems: Sequence[str], sample_rate: float, channels: int, *, on_disk: bool
    ) -> None:
        self._stems = tuple(stems)
        self._rate, self._channels, self._on_disk = sample_rate, channels, on_disk
        self._slots: dict[str, dict[str, Slot]] = {}
        # Kept until nobody runs them any more, so that they end on this thread.
        self._left: deque[list[Slot]] = deque(maxlen=_KEPT)

    def build(self, chains: Mapping[str, Sequence[Entry]], *, total: bool, states: bool) -> Built:
        """Slots for all entries: those that are there already, and new ones. An effect that
        cannot be made is a slot that passes all audio and says why."""
        slots: dict[str, list[Slot]] = {}
        for stem in self._stems:
            before = self._slots.get(stem, {})
            chain = [self._slot(entry, before.get(entry.key)) for entry in chains.get(stem, ())]
            self._left.append([slot for slot in before.values() if slot not in chain])
            self._slots[stem] = {slot.key: slot for slot in chain}
            slots[stem] = chain
        entries = {stem: list(chains.get(stem, ())) for stem in self._stems}
        return Built(slots, entries, total, states)

    def _slot(self, entry: Entry, before: Slot | None) -> Slot:
        if before is not None and (before.effect, before.name) == (entry.effect, entry.name):
            return before
        unit, error, names = None, "", list[str]()
        try:
            unit = make_unit(
                entry.effect,
                entry.name,
                entry.state,
                self._rate,
                self._channels,
                on_disk=self._on_disk,
            )
            unit.set(entry.values, at_once=True)
        except SeveralPluginsError as problem:
            error, names = str(problem), problem.names
        except Exception as problem:  # a plugin may raise anything
            error = in_one_line(problem)
        return Slot(
            entry.key, entry.effect, entry.name, unit, error, self._channels, self._rate, names
        )


def effects_report(*, on_disk: bool) -> bytes:
    """What EFFECTS is answered with."""
    plugins = [
        {"effect": effect, "title": effect[len(PREFIX) :].rsplit(".", 1)[0]}
        for effect in (installed_plugins() if on_disk else ())
    ]
    while True:
        report = as_json({"effects": built_in_effects(), "plugins": plugins})
        if len(report) <= limits.MAX_CHAIN:
            return report
        plugins = plugins[: len(plugins) // 2]


def as_json(content: Mapping[str, Any]) -> bytes:
    """JSON with bytes in base64."""

    def encoded(value: object) -> str:
        assert isinstance(value, bytes)
        return base64.b64encode(value).decode()

    return json.dumps(content, default=encoded).encode()
