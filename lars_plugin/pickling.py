# SPDX-License-Identifier: GPL-3.0-or-later
"""Pickling of models and their configurations.

Networks are not copied. A model that was loaded by name or from files is loaded again in the other
process, and composites are put together again. Configurations hold read-only mappings, which pickle
does not support; they are pickled as dictionaries.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from lars_plugin.errors import InputError

if TYPE_CHECKING:
    from lars_plugin.model import Model

__all__ = ["NotPickled", "Picklable", "made_again", "recipe_of", "remember"]

AModel = TypeVar("AModel", bound="Model")
Recipe = tuple[Callable[..., Any], tuple[Any, ...], Mapping[str, Any]]

# The last unpickled model: a worker of a pool gets the same one with each task.
_last: list[tuple[Recipe, Any]] = []


def remember(model: AModel, make: Callable[..., Any], *args: Any, **kwargs: Any) -> AModel:
    """Note that ``make(*args, **kwargs)`` makes this model, and return it."""
    # A frozen dataclass; only this attribute is ever set later.
    object.__setattr__(model, "_recipe", (make, args, kwargs))
    return model


def recipe_of(model: Model) -> Recipe | None:
    """What :func:`remember` noted, or None."""
    return getattr(model, "_recipe", None)


def made_again(recipe: Recipe) -> Any:
    """The model of a recipe."""
    for known, model in _last:
        if known == recipe:
            return model
    make, args, kwargs = recipe
    model = make(*args, **kwargs)
    _last[:] = [(recipe, model)]
    return model


class NotPickled:
    """A backend that cannot go to another process."""

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise InputError(
            "a network that is in memory cannot be pickled or copied; give the Separator a"
            " model's name or folder, and it is loaded again in the other process"
        )


class Picklable:
    """A dataclass whose mappings are pickled as dictionaries and unpickled as read-only ones."""

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
