# SPDX-License-Identifier: GPL-3.0-or-later
"""PluginList: a list that holds only what can stand in a chain."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, MutableSequence
from typing import Any, SupportsIndex, overload

import pedalboard

from lars_plugin.chain.errors import ArgumentTypeError
from lars_plugin.chain.processor import Item, Processor
from lars_plugin.errors import InputError

__all__ = ["PluginList", "check_item"]


def check_item(item: Any) -> Item:
    """The item itself, if it may stand in a chain.

    Raises:
        ArgumentTypeError: neither a pedalboard plugin nor a processor of ours nor None.
        InputError: an instrument.
    """
    if item is not None and not isinstance(item, (pedalboard.Plugin, Processor)):
        raise ArgumentTypeError(
            "a chain holds pedalboard plugins, StemSeparators and StemBoards,"
            f" got {type(item).__name__}"
        )
    if item is not None and not item.is_effect:
        raise InputError(f"{item!r} is an instrument, which takes no audio; use an effect")
    return item


class PluginList(MutableSequence[Item]):
    """Pedalboard plugins and processors in order; None is an empty place.

    A list in all respects, except that ``insert`` refuses an index out of range, as
    ``pedalboard.Pedalboard`` does. Changes take effect when the next stream begins.
    """

    def __init__(self, plugins: Iterable[Any] = ()) -> None:
        if isinstance(plugins, (str, pedalboard.Plugin)) or not isinstance(plugins, Iterable):
            raise ArgumentTypeError(
                f"plugins must be a list of plugins, got {type(plugins).__name__}"
            )
        self._items: list[Item] = [check_item(plugin) for plugin in plugins]

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        for item in self._items:
            if isinstance(item, pedalboard.Plugin):
                raise InputError(
                    f"{type(item).__name__} is a plugin of pedalboard's, which cannot be pickled or"
                    " copied; pickle the Separator, and put the plugins around it again"
                )
        return super().__reduce_ex__(protocol)

    @overload
    def __getitem__(self, index: SupportsIndex) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> list[Item]: ...
    def __getitem__(self, index: SupportsIndex | slice) -> Item | list[Item]:
        return self._items[index]

    @overload
    def __setitem__(self, index: SupportsIndex, value: Item) -> None: ...
    @overload
    def __setitem__(self, index: slice, value: Iterable[Item]) -> None: ...
    def __setitem__(self, index: SupportsIndex | slice, value: Any) -> None:
        if isinstance(index, slice):
            self._items[index] = [check_item(item) for item in value]
        else:
            self._items[index] = check_item(value)

    def __delitem__(self, index: SupportsIndex | slice) -> None:
        del self._items[index]

    def __len__(self) -> int:
        return len(self._items)

    def insert(self, index: SupportsIndex, value: Item) -> None:
        """Insert before ``index``, from ``-len`` to ``len``.

        Raises:
            IndexError: out of that range.
            ArgumentTypeError, InputError: see :func:`check_item`.
        """
        place = index.__index__()
        if not -len(self._items) <= place <= len(self._items):
            raise IndexError(f"index {place} out of range for {len(self._items)} plugins")
        self._items.insert(place, check_item(value))

    def index(self, value: Any, start: int = 0, stop: int | None = None) -> int:
        """Where the plugin stands.

        Raises:
            InputError: not in the list.
        """
        try:
            return super().index(value, start, len(self) if stop is None else stop)
        except ValueError:
            raise InputError(f"{value!r} is not in this list") from None

    @reprlib.recursive_repr()
    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._items!r})"
