# SPDX-License-Identifier: GPL-3.0-or-later
"""Frozen data with read-only mappings in it, which pickle does not know."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

__all__ = ["Picklable"]


class Picklable:
    """A dataclass whose mappings travel as dictionaries and are read-only again where they
    arrive."""

    def __getstate__(self) -> dict[str, Any]:
        return {name: _thawed(value) for name, value in vars(self).items()}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        for name, value in state.items():
            object.__setattr__(self, name, _frozen(value))


def _thawed(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _thawed(one) for key, one in value.items()}
    return type(value)(map(_thawed, value)) if type(value) in (list, tuple) else value


def _frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return MappingProxyType({key: _frozen(one) for key, one in value.items()})
    return type(value)(map(_frozen, value)) if type(value) in (list, tuple) else value
