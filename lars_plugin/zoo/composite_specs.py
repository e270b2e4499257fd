# SPDX-License-Identifier: GPL-3.0-or-later
"""Composites as users write them: names, files and entries of the zoo.

``cascade:A,B``: what A calls drums goes to B; where A is ``best``, it is the best music model that
is here. ``A+B``: the mean of both. ``cascade:A,B+C`` is a cascade whose drum stage is an ensemble.
``auto:A,B`` blends them by how well each seems to have done. ``A@fast`` is A with that preset,
whatever the whole has. A name of the zoo, or an existing file, takes precedence.

A file (YAML or TOML) gives an ensemble weights for each stem and model. A model's name alone means
that the stem comes from that model::

    stems:
      kick: {lars-mini: 0.3, larsnet: 0.7}
      snare: larsnet

``auto: [A, B]`` in a file is ``auto:A,B``. An entry of the zoo is a ``config.yaml`` of the
architecture ``cascade`` with ``network: {music: A, drums: B}``, where A may be a mapping of names
to figures, best first, or of ``ensemble`` with ``network: {models: [A, B]}``, ``{auto: [A, B]}`` or
``{stems: ...}``.
"""

from __future__ import annotations

import functools
import importlib
import logging
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lars_plugin.composites.settled import PRESETS, with_preset
from lars_plugin.errors import InputError, ModelError, ModelFormatError, ModelNotFoundError
from lars_plugin.model import AnyModel, ModelConfig, canonical_stem
from lars_plugin.zoo.composites import AutoEnsemble, Cascade, Ensemble
from lars_plugin.zoo.registry import CONFIG_FILE, find_weights, get_config, model_folders
from lars_plugin.zoo.yaml_configs import parse_yaml, read_config

__all__ = [
    "AutoSpec",
    "CascadeSpec",
    "EnsembleSpec",
    "PresetSpec",
    "load_composite",
    "parse_name",
    "part_names",
    "spec_of",
]

log = logging.getLogger(__name__)

PREFIX = "cascade:"
AUTO_PREFIX = "auto:"
# Of a cascade's first stages the best that is here, in the order of this entry of the zoo.
BEST, BEST_CASCADE = "best", "cascade-best"
ARCHITECTURES = ("cascade", "ensemble")

_MAX_BYTES = 1 << 20


@dataclass(frozen=True)
class CascadeSpec:
    """Names of the two stages; of the first, several: the first of them that is here."""

    music: str | tuple[str, ...]
    drums: str
    name: str | None = None


@dataclass(frozen=True)
class EnsembleSpec:
    """Names of the models, and for each stem the weights by name; None: equal weights."""

    models: tuple[str, ...]
    stems: Mapping[str, Mapping[str, float]] | None = None
    name: str | None = None


@dataclass(frozen=True)
class AutoSpec:
    """Names of the models that are chosen from."""

    models: tuple[str, ...]
    name: str | None = None


@dataclass(frozen=True)
class PresetSpec:
    """The name of a model, and the preset that it runs with."""

    model: str
    preset: str


Spec = CascadeSpec | EnsembleSpec | AutoSpec | PresetSpec


def load_composite(
    source: str | os.PathLike[str] | ModelConfig, load: Callable[[str], AnyModel]
) -> AnyModel | None:
    """The composite that a name, a file or a configuration describes, or None.

    Args:
        source: as in :func:`~lars_plugin.zoo.load.load_model`.
        load: loads a part by its name; each name once.

    Raises:
        InputError: it is the name of a composite that is invalid.
        ModelError: a part cannot be loaded, or a file cannot be read.
    """
    spec = spec_of(source)
    if spec is None:
        return None
    once = functools.lru_cache(maxsize=None)(load)
    if isinstance(spec, CascadeSpec):
        music = spec.music if isinstance(spec.music, str) else _first_here(spec.music)
        return Cascade(once(music), once(spec.drums), name=spec.name)
    if isinstance(spec, PresetSpec):
        return with_preset(once(spec.model), spec.preset)
    if isinstance(spec, AutoSpec):
        return AutoEnsemble([once(name) for name in spec.models], name=spec.name)
    models = [once(name) for name in spec.models]
    # Weights use the user's names for models: for a folder, its path.
    called = {name: model.config.name for name, model in zip(spec.models, models, strict=True)}
    weights = spec.stems and {
        stem: {called[name]: share for name, share in shares.items()}
        for stem, shares in spec.stems.items()
    }
    return Ensemble(models, weights, name=spec.name)


def part_names(source: str | os.PathLike[str] | ModelConfig) -> tuple[str, ...]:
    """Names of the models that a composite is made of, parts of parts included; none for
    anything else. Where the first that is here is to be taken and none is, that is the first that
    can be downloaded."""
    spec = spec_of(source)
    if spec is None:
        return ()
    if isinstance(spec, CascadeSpec):
        music = spec.music
        if not isinstance(music, str):
            music = next(filter(_is_here, music), _to_download(music))
        direct: tuple[str, ...] = (music, spec.drums)
    else:
        direct = (spec.model,) if isinstance(spec, PresetSpec) else spec.models
    found = [part for name in direct for part in (part_names(name) or (name,))]
    return tuple(dict.fromkeys(found))


def _is_here(name: str) -> bool:
    """Whether a model of the zoo can be loaded."""
    try:
        for part in part_names(name) or (name,):
            find_weights(get_config(part))
    except ModelError:  # also one that this installation does not know
        return False
    return True


def _to_download(names: tuple[str, ...]) -> str:
    """The first whose weights have addresses; without any, the first."""

    def has_addresses(name: str) -> bool:
        try:
            found = [get_config(part).weights for part in part_names(name) or (name,)]
        except ModelError:
            return False
        return all(weights is not None and weights.urls for weights in found)

    return next(filter(has_addresses, names), names[0])


def _first_here(names: tuple[str, ...]) -> str:
    for name in names:
        if _is_here(name):
            log.warning("the first stage of the cascade is %s", name)
            return name
    first = _to_download(names)
    others = [name for name in names if name != first]
    raise ModelNotFoundError(
        f"no first stage for a cascade is here: run `lars models download {first}` for the best,"
        f" or get one of {', '.join(others)}; cascade:lars-fullmix,lars-mini needs no download"
    )


def spec_of(source: str | os.PathLike[str] | ModelConfig) -> Spec | None:
    """The parts of the composite that something describes, or None.

    Raises:
        InputError, ModelFormatError: a composite that is not well formed.
    """
    if isinstance(source, ModelConfig):
        return _from_config(source)
    path = Path(source)
    if isinstance(source, str) and len(path.parts) == 1 and source in model_folders():
        return _from_config(get_config(source))
    if path.is_dir():
        config = path / CONFIG_FILE
        return _from_config(read_config(config)) if config.is_file() else None
    if path.suffix.lower() in (".yaml", ".yml", ".toml") and path.is_file():
        return _from_file(path)
    return parse_name(source) if isinstance(source, str) else None


def parse_name(text: str) -> Spec | None:
    """The composite in a name, or None for a plain name.

    Raises:
        InputError: a cascade of other than two models, an ensemble with an empty name in it, one
            that chooses from less than two, or an unknown preset.
    """
    if text.startswith(AUTO_PREFIX):
        choices = tuple(name.strip() for name in text[len(AUTO_PREFIX) :].split(","))
        if len(choices) < 2 or not all(choices):
            raise InputError(
                f"{text!r} chooses from fewer than two models: write auto:A,B with their names"
            )
        return AutoSpec(choices)
    if text.startswith(PREFIX):
        stages = [stage.strip() for stage in text[len(PREFIX) :].split(",")]
        if len(stages) != 2 or not all(stages):
            raise InputError(
                f"{text!r} is not a cascade: write cascade:MUSIC,DRUMS with the names of two models"
            )
        music, drums = stages
        best = music == BEST and BEST not in model_folders()
        return CascadeSpec(_first_stages() if best else music, drums)
    if "+" not in text:
        return _preset(text)
    names = tuple(name.strip() for name in text.split("+"))
    if not all(names):
        raise InputError(f"{text!r} is not an ensemble: write A+B with the names of models")
    return EnsembleSpec(names)


def _preset(text: str) -> PresetSpec | None:
    name, _, preset = text.rpartition("@")
    if not name or (preset not in PRESETS and name not in model_folders()):
        return None
    if preset not in PRESETS:
        raise InputError(f"unknown preset {preset!r} of {name}; use {', '.join(PRESETS)}")
    return PresetSpec(name, preset)


def _first_stages() -> tuple[str, ...]:
    """Those of the zoo's entry, best first."""
    spec = _from_config(get_config(BEST_CASCADE))
    assert isinstance(spec, CascadeSpec)
    return (spec.music,) if isinstance(spec.music, str) else spec.music


def _from_config(config: ModelConfig) -> Spec | None:
    if config.architecture not in ARCHITECTURES:
        return None
    network = dict(config.network)
    if config.architecture == "cascade":
        music, drums = network.pop("music", None), network.pop("drums", None)
        if isinstance(music, Mapping) and music and all(map(_is_name, music)):
            music = tuple(music)
        if network or not isinstance(music, (str, tuple)) or not isinstance(drums, str):
            raise ModelFormatError(
                f"model {config.name}: a cascade's network is the names of two models, music and"
                " drums"
            )
        return CascadeSpec(music, drums, config.name)
    return _ensemble(network, config.name, f"model {config.name}")


def _from_file(path: Path) -> Spec | None:
    """An ensemble's file, or a model's configuration."""
    data = _read(path)
    if "architecture" in data or not (isinstance(data.get("stems"), Mapping) or "auto" in data):
        return _from_config(read_config(path)) if path.suffix.lower() != ".toml" else None
    name = data.pop("name", path.stem)
    if not isinstance(name, str):
        raise ModelFormatError(f"{path}: name must be a text, got {name!r}")
    return _ensemble(data, name, str(path))


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ModelFormatError(f"{path}: too large for a configuration")
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ModelNotFoundError(f"no configuration file {path}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ModelFormatError(f"{path}: cannot be read: {error}") from error
    if path.suffix.lower() != ".toml":
        return parse_yaml(text, str(path))
    reader = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    try:
        data: dict[str, Any] = reader.loads(text)
    except ValueError as error:
        raise ModelFormatError(f"{path}: {error}") from error
    return data


def _ensemble(data: Mapping[str, Any], name: str, source: str) -> EnsembleSpec | AutoSpec:
    if "auto" in data:
        choices = data["auto"]
        if (
            len(data) > 1
            or not isinstance(choices, (list, tuple))
            or not all(map(_is_name, choices))
        ):
            raise ModelFormatError(f"{source}: auto is a list of models' names, and stands alone")
        return AutoSpec(tuple(choices), name)
    unknown = set(data) - {"models", "stems"}
    models, stems = data.get("models", ()), data.get("stems")
    if unknown or not isinstance(models, (list, tuple)) or not all(map(_is_name, models)):
        raise ModelFormatError(
            f"{source}: an ensemble has models (a list of names), stems (weights by stem) or both"
        )
    if stems is None:
        if not models:
            raise ModelFormatError(f"{source}: an ensemble names no models")
        return EnsembleSpec(tuple(models), None, name)
    if not isinstance(stems, Mapping) or not stems:
        raise ModelFormatError(f"{source}: stems must be a mapping of stems to weights")
    weights: dict[str, Mapping[str, float]] = {}
    for key, value in stems.items():
        shares = {value: 1.0} if isinstance(value, str) else value
        if not isinstance(shares, Mapping) or not all(
            _is_name(model) and _is_number(share) for model, share in shares.items()
        ):
            raise ModelFormatError(
                f"{source}: {key} must be a model's name, or weights by name, got {value!r}"
            )
        try:
            weights[canonical_stem(str(key))] = {m: float(share) for m, share in shares.items()}
        except InputError as error:
            raise ModelFormatError(f"{source}: {error}") from error
    named = [model for shares in weights.values() for model in shares]
    return EnsembleSpec(tuple(dict.fromkeys([*models, *named])), weights, name)


def _is_name(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
