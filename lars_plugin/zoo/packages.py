# SPDX-License-Identifier: GPL-3.0-or-later
"""Published packages: pickled dictionaries of a class, its arguments and a state dict.

Demucs is published like this: ``{klass, args, kwargs, state, training_args}``. PyTorch's reader for
tensors and plain values reads them. In the place of the class it gets a word of ours, so that no
class of the package is ever imported or called.
"""

from __future__ import annotations

import dataclasses
import math
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

from lars_plugin.errors import InputError, ModelFormatError
from lars_plugin.model import ModelConfig, canonical_stem
from lars_plugin.networks.registry import ARCHITECTURES, find

__all__ = ["Package", "package_of", "settled", "words_allowed"]

# Classes that packages name, beside those of the registry's networks: the wave-only Demucs, and
# what quantised packages hold.
_OTHERS = (
    *("demucs.demucs.Demucs", "demucs.model.Demucs", "demucs.tasnet.ConvTasNet"),
    *("diffq.diffq.DiffQuantizer", "diffq.uniform.UniformQuantizer"),
)
# What packages call stems in other languages: drumsep, the only one known, is Spanish.
_FOREIGN = {"bombo": "kick", "redoblante": "snare", "platillos": "cymbals"}
# All that the field's classes are ever given by position.
_POSITIONAL = ("sources", "audio_channels", "channels")
# Far above every length of a segment: numbers of any length could take any time.
_FRACTION = re.compile(r"\d{1,9}(/[1-9]\d{0,8})?")
_MOST = 10**9
_DEEPEST = 3  # lists in lists


@dataclasses.dataclass(frozen=True)
class Package:
    """What a package says beside its tensors.

    Attributes:
        name: of the network's class.
        said: the class's arguments by name, plain values.
    """

    name: str
    said: Mapping[str, Any]


class _Named:
    """Stands for a class in a package; nothing can be made of it."""

    def __new__(cls, *_: object, **__: object) -> _Named:
        raise ModelFormatError(f"it holds an object of {_name(cls)}, which is never made")


def _name(word: type) -> str:
    return f"{word.__module__}.{word.__qualname__}"


def _fraction(value: object, below: object = 1) -> Fraction:
    """As Python has stored fractions: as text, or as two numbers."""
    if isinstance(value, str) and _FRACTION.fullmatch(value):
        return Fraction(value)
    if type(value) is int and type(below) is int and 0 <= value < _MOST and 0 < below < _MOST:
        return Fraction(value, below)
    raise ModelFormatError("it holds a fraction that is not one")


_fraction.__module__, _fraction.__qualname__, _fraction.__name__ = (
    "fractions",
    "Fraction",
    "Fraction",
)
_lock = threading.Lock()


@contextmanager
def words_allowed() -> Iterator[None]:
    """PyTorch's reader puts something harmless in the place of names that packages hold."""
    words: list[Any] = [_fraction]
    for name in (*(row.package for row in ARCHITECTURES.values() if row.package), *_OTHERS):
        module, _, own = name.rpartition(".")
        words.append(type(own, (_Named,), {"__module__": module, "__qualname__": own}))
    # What is allowed is global to the process: one reader at a time, and then as it was.
    with _lock:
        before = list(torch.serialization.get_safe_globals())
        # What a program has allowed for its own files is not for packages from anywhere.
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(words)
        try:
            yield
        finally:
            torch.serialization.clear_safe_globals()
            torch.serialization.add_safe_globals(before)


def package_of(data: object, path: Path) -> Package | None:
    """The package that was read, or None for anything else.

    Args:
        data: what PyTorch's reader made of the file.
        path: of the file, for messages.

    Raises:
        ModelFormatError: a package that is quantised, or not well formed.
    """
    if not isinstance(data, Mapping) or "klass" not in data or "state" not in data:
        return None
    state, args, kwargs = data["state"], data.get("args", ()), data.get("kwargs", {})
    if isinstance(state, Mapping) and state.get("__quantized"):
        raise ModelFormatError(
            f"{path} is quantised by diffq, which is not supported; use the model's package"
            " without a q in its name"
        )
    word = data["klass"]
    if (
        not (isinstance(word, type) and issubclass(word, _Named))
        or not isinstance(args, (list, tuple))
        or len(args) > len(_POSITIONAL)
        or not isinstance(kwargs, Mapping)
        or not all(isinstance(key, str) for key in kwargs)
    ):
        raise ModelFormatError(
            f"{path} is not a package of a network: its klass, args or kwargs are wrong"
        )
    said = dict(zip(_POSITIONAL, args, strict=False)) | dict(kwargs)
    for key, value in said.items():
        if not _plain(value):
            kind = str(value) if isinstance(value, float) else f"a {type(value).__name__}"
            raise ModelFormatError(
                f"{path} is not a package of a network: {key!r} is {kind}, not a plain setting"
            )
    return Package(_name(word), MappingProxyType(said))


def _plain(value: object, depth: int = 0) -> bool:
    """Whether this is a setting: a text, a finite number, yes or no, nothing, or a list of them."""
    if isinstance(value, (list, tuple)):
        # A list from a file may hold itself.
        return depth < _DEEPEST and all(_plain(one, depth + 1) for one in value)
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, (str, int, Fraction))


def settled(config: ModelConfig, package: Package | None, path: Path) -> ModelConfig:
    """The configuration with what a package says where the configuration says nothing.

    Raises:
        ModelFormatError: the two contradict each other, or the package is of another network.
    """
    if package is None:
        return config
    row = find(config.architecture)
    if row is None or row.package != package.name:
        fitting = [one.name for one in ARCHITECTURES.values() if one.package == package.name]
        hint = f"use architecture {fitting[0]}" if fitting else "such networks are not supported"
        raise ModelFormatError(
            f"{path} holds a {package.name}, but model {config.name} is of architecture"
            f" {config.architecture}; {hint}"
        )
    said = package.said
    shape_class: Any = row.shape_class()
    try:
        found = shape_class.from_package(said)
    except (InputError, TypeError, ValueError) as error:
        raise ModelFormatError(f"{path}: {error}") from error
    sources = said.get("sources")
    if not isinstance(sources, (list, tuple)):
        raise ModelFormatError(f"{path}: sources must be a list of stems, got {sources!r}")
    known = {
        "stems": (len(sources), len(config.stems)),
        "channels": (said.get("audio_channels", 2), config.channels),
        "sample_rate": (said.get("samplerate", 44100), config.sample_rate),
        **{f"network.{key}": (found[key], config.network[key])
           for key in found if key in config.network},
    }  # fmt: skip
    for number, (theirs, ours) in enumerate(zip(sources, config.stems, strict=False), 1):
        known[f"stem {number}"] = (_stem(theirs, path), ours)
    for key, (theirs, ours) in known.items():
        if theirs != ours:
            raise ModelFormatError(
                f"{path} does not fit its configuration: {key} is {theirs!r}, not {ours!r}"
            )
    merged = MappingProxyType({**found, **config.network})
    return dataclasses.replace(config, network=merged)


def _stem(source: object, path: Path) -> str:
    """The name of a package's stem here. An unknown one could be any: the order is not certain."""
    try:
        return canonical_stem(_FOREIGN.get(str(source).lower(), str(source)))
    except InputError as error:
        raise ModelFormatError(f"{path}: sources: {error}") from error
