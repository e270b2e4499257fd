# SPDX-License-Identifier: GPL-3.0-or-later
"""YAML to ModelConfig and back: our own format, and the one the field's models use.

Nothing in a YAML file can run code: tags other than plain YAML's are refused, except
``!!python/tuple``, which the field's files use and which becomes a tuple.
"""

# The checks are by hand. Both libraries for this were tried on the dataclasses of model.py:
# - cattrs keeps the messages, but only with hooks of our own for each kind of value (its own turn
#   "5" and True into numbers) and a reader of its tree of errors: 328 lines in place of 318.
# - msgspec ignores unknown keys of a dataclass, names neither the allowed words ("Invalid enum
#   value 'pickle'") nor the key of a table ("$.presets[...]"), and gives its errors as text only.
#   Without dataclasses it would need a second copy of every field.

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path, PurePosixPath, PureWindowsPath
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

import yaml

from lars_plugin.errors import InputError, ModelFormatError, ModelNotFoundError
from lars_plugin.model import Chunking, ModelConfig, Refinement, WeightsFile, canonical_stem
from lars_plugin.networks.registry import field_architecture
from lars_plugin.networks.shared.shape import OWN_ENTRIES, check_whole

__all__ = [
    "config_as_data",
    "config_from_dict",
    "config_from_field",
    "config_name",
    "dump_config",
    "parse_yaml",
    "read_config",
    "weights_file",
]

# Real files have some kilobytes.
_MAX_BYTES = 1 << 20

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_FORMATS = ("safetensors", "checkpoint", "checkpoints", "torchscript")
_KEYS = (
    *("name", "description", "license", "architecture", "stems", "sample_rate", "channels"),
    *("chunking", "presets", "spatial", "refinement", "network", "weights"),
)


class _Loader(yaml.SafeLoader):
    """SafeLoader that knows ``!!python/tuple``."""


def _construct_tuple(loader: _Loader, node: yaml.Node) -> tuple[Any, ...]:
    if not isinstance(node, yaml.SequenceNode):
        raise yaml.constructor.ConstructorError(
            None, None, "a tuple must be a sequence", node.start_mark
        )
    return tuple(loader.construct_sequence(node, deep=True))


_Loader.add_constructor("tag:yaml.org,2002:python/tuple", _construct_tuple)


def parse_yaml(text: str, source: str = "YAML") -> dict[str, Any]:
    """A YAML mapping as a dict of plain values.

    Args:
        text: the document.
        source: what to call it in errors.

    Raises:
        ModelFormatError: broken YAML, a tag that would make a Python object, or another thing than
            a mapping.
    """
    try:
        data = yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        problem = getattr(error, "problem", None) or str(error).split("\n", 1)[0]
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark is not None else ""
        raise ModelFormatError(f"{source}: {problem}{where}") from error
    if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
        raise ModelFormatError(f"{source}: not a mapping of names to values")
    return data


def read_config(path: str | Path) -> ModelConfig:
    """Read a model's configuration, ours or the field's, whichever the file holds.

    Raises:
        ModelNotFoundError: no such file.
        ModelFormatError: it cannot be read or does not describe a model.
    """
    path = Path(path)
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ModelFormatError(f"{path}: too large for a configuration")
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ModelNotFoundError(f"no configuration file {path}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ModelFormatError(f"{path}: cannot be read: {error}") from error
    data = parse_yaml(text, str(path))
    # The field's have the network's settings under model, or under the name that this is.
    if isinstance(data.get("audio"), Mapping) and isinstance(data.get("model"), (Mapping, str)):
        return config_from_field(data, name=config_name(path.stem), source=str(path))
    return config_from_dict(data, source=str(path))


def config_from_field(data: Mapping[str, Any], *, name: str, source: str = "YAML") -> ModelConfig:
    """The field's format (``audio``, ``model``, ``training``, ``inference``).

    The overlap is ``inference.num_overlap``. ``inference.batch_size`` is left out: it is about
    the author's machine.

    Raises:
        ModelFormatError: a key is missing, or a stem or value is unknown.
    """
    with _named(source):
        model = data["model"]
        row = field_architecture(model if isinstance(model, str) else _mapping(model, "model"))
        shape_class: Any = row.shape_class()
        settings = asdict(shape_class.from_field(data))
        # The model's own entries say these.
        network = {key: settings[key] for key in settings if key not in OWN_ENTRIES}
        # An option without a value is one that is not there.
        audio = {key: one for key, one in data["audio"].items() if one is not None}
        training = data["training"]
        inference = data.get("inference")
        inference = inference if isinstance(inference, Mapping) else {}
        target = training.get("target_instrument")
        # Some networks make all stems, whichever they were trained for.
        single = target and settings["stems"] == 1
        instruments = [target] if single else training["instruments"]
        chunk = network.get("segment_length") or inference.get(
            "chunk_size", audio.get("chunk_size")
        )
        rate = audio.get("sample_rate", settings.get("sample_rate", 44100))
        return ModelConfig(
            name=name,
            stems=_stems(instruments),
            sample_rate=check_whole("audio.sample_rate", rate),
            channels=check_whole(
                "audio.num_channels", audio.get("num_channels", settings["audio_channels"])
            ),
            chunking=Chunking(
                chunk_size=check_whole("audio.chunk_size", chunk),
                overlap=_number(inference.get("num_overlap", 4), "inference.num_overlap"),
                convention=shape_class.field_convention,
            ),
            architecture=row.name,
            network=MappingProxyType(network),
            description=f"{row.name} model described by {PurePosixPath(source).name}",
        )


def config_from_dict(data: Mapping[str, Any], *, source: str = "YAML") -> ModelConfig:
    """Our own format: the fields of :class:`~lars_plugin.model.ModelConfig`.

    Raises:
        ModelFormatError: a key is missing or unknown, or its value is invalid.
    """
    with _named(source):
        _only(data, _KEYS, "key")
        for key in ("name", "stems", "chunking", "architecture"):
            if key not in data:
                raise InputError(f"{key} is missing")
        chunking = dict(_mapping(data["chunking"], "chunking"))
        _only(chunking, Chunking.__dataclass_fields__, "chunking")
        for key, value in chunking.items():
            if key == "overlap":
                chunking[key] = _number(value, "chunking.overlap")
            elif key != "convention":
                chunking[key] = check_whole(f"chunking.{key}", value, least=0)
        if "chunk_size" not in chunking:
            raise InputError("chunking.chunk_size is missing")
        presets = _mapping(data.get("presets") or {}, "presets")
        for key, value in presets.items():
            if not 1 <= _number(value, f"presets.{key}") <= chunking["chunk_size"]:
                raise InputError(f"presets.{key} must be 1 or more chunks per sample, got {value}")
        network = _mapping(data.get("network") or {}, "network")
        return ModelConfig(
            name=_text(data["name"], "name", _NAME),
            stems=_stems(data["stems"]),
            chunking=Chunking(**chunking),
            sample_rate=check_whole("sample_rate", data.get("sample_rate", 44100)),
            channels=check_whole("channels", data.get("channels", 2)),
            architecture=_text(data["architecture"], "architecture"),
            network=MappingProxyType({key: _frozen(value) for key, value in network.items()}),
            presets=MappingProxyType({key: float(value) for key, value in presets.items()}),
            spatial=check_whole("spatial", data.get("spatial", 0), least=0),
            refinement=_refinement(data["refinement"]) if data.get("refinement") else None,
            weights=weights_file(data["weights"]) if data.get("weights") else None,
            description=_text(data.get("description", ""), "description"),
            license=_text(data.get("license", ""), "license"),
        )


def dump_config(config: ModelConfig) -> str:
    """A configuration as YAML in our format; :func:`read_config` reads it back unchanged."""
    return yaml.safe_dump(config_as_data(config), sort_keys=False, allow_unicode=True, width=100)


def config_as_data(config: ModelConfig) -> dict[str, Any]:
    """A configuration as plain data, as it stands in YAML; what is not used is left out."""
    data: dict[str, Any] = {
        "name": config.name,
        "description": config.description,
        "license": config.license,
        "architecture": config.architecture,
        "stems": list(config.stems),
        "sample_rate": config.sample_rate,
        "channels": config.channels,
        "chunking": asdict(config.chunking),
        "presets": dict(config.presets),
        "network": {k: _thawed(v) for k, v in config.network.items()},
    }
    if config.spatial:
        data["spatial"] = config.spatial
    if config.refinement is not None:
        data["refinement"] = _refinement_as_data(config.refinement)
    if config.weights is not None:
        data["weights"] = asdict(config.weights) | {"urls": list(config.weights.urls)}
    return data


def _refinement_as_data(refinement: Refinement) -> dict[str, Any]:
    names = ("places", "trust", "mono_trust", "templates", "unstruck", "louder", "presets")
    tables = {name: dict(getattr(refinement, name)) for name in names}
    bare = [name for name in Refinement.__dataclass_fields__ if name not in names]
    return {name: getattr(refinement, name) for name in bare} | tables


def _refinement(data: Any) -> Refinement:
    settings = dict(_mapping(data, "refinement"))
    _only(settings, Refinement.__dataclass_fields__, "refinement")
    tables: dict[str, Any] = {}
    for table in ("places", "presets"):
        values = _mapping(settings.pop(table, None) or {}, f"refinement.{table}")
        whole = {k: check_whole(f"refinement.{table}.{k}", v, least=0) for k, v in values.items()}
        tables[table] = MappingProxyType(whole)
    for table in ("trust", "mono_trust", "templates", "unstruck", "louder"):
        values = _mapping(settings.pop(table, None) or {}, f"refinement.{table}")
        shares = {k: _number(v, f"refinement.{table}.{k}") for k, v in values.items()}
        tables[table] = MappingProxyType(shares)
    numbers = {k: check_whole(f"refinement.{k}", v, least=0) for k, v in settings.items()}
    return Refinement(**(numbers | tables))


@contextmanager
def _named(source: str) -> Iterator[None]:
    """Turns errors about values into ModelFormatErrors that name the file."""
    try:
        yield
    except (InputError, TypeError) as error:
        raise ModelFormatError(f"{source}: {error}") from error


def config_name(text: str) -> str:
    """Any text as a name that a model may have."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")[:64] or "model"


def _only(data: Mapping[str, Any], known: Sequence[str] | Mapping[str, Any], what: str) -> None:
    unknown = [str(key) for key in data if key not in known]
    if unknown:
        raise InputError(f"unknown {what} {', '.join(unknown)}; known: {', '.join(known)}")


def _mapping(value: Any, key: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(k, str) for k in value):
        raise InputError(f"{key} must be a mapping, got {value!r}")
    return value


def _stems(value: Any) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)):
        raise InputError(f"stems must be a list, got {value!r}")
    return tuple(canonical_stem(_text(stem, "a stem")) for stem in value)


def _number(value: Any, key: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InputError(f"{key} must be a number, got {value!r}")
    return float(value)


def _text(value: Any, key: str, pattern: re.Pattern[str] | None = None) -> str:
    if not isinstance(value, str) or (pattern is not None and not pattern.fullmatch(value)):
        raise InputError(f"{key} must be a plain {'name' if pattern else 'text'}, got {value!r}")
    return value


def weights_file(value: Any) -> WeightsFile:
    """What a configuration says of its weights file.

    Raises:
        InputError: it is wrong.
    """
    found = _mapping(value, "weights")
    _only(found, WeightsFile.__dataclass_fields__, "weights")
    file = _text(found.get("file"), "weights.file")
    # A name only: a configuration must not reach out of the folders that are meant for models.
    if {PurePosixPath(file).name, PureWindowsPath(file).name} != {file} or file in ("", ".."):
        raise InputError(f"weights.file must be a file name without folders, got {file!r}")
    kind = found.get("format")
    if kind not in _FORMATS:
        raise InputError(f"weights.format must be one of {', '.join(_FORMATS)}, got {kind!r}")
    sha256 = _text(found.get("sha256") or "", "weights.sha256")
    if sha256 and not _SHA256.fullmatch(sha256):
        raise InputError(f"weights.sha256 must be 64 lower-case hexadecimal digits, got {sha256!r}")
    urls = found.get("urls") or ()
    if not isinstance(urls, (list, tuple)):
        raise InputError(f"weights.urls must be a list, got {urls!r}")
    for url in urls:
        if urlsplit(_text(url, "a URL")).scheme not in ("https", "http"):
            raise InputError(f"weights.urls: only https and http can be downloaded, got {url!r}")
    return WeightsFile(
        file=file,
        format=kind,
        sha256=sha256,
        size=check_whole("weights.size", found.get("size") or 0, least=0),
        urls=tuple(urls),
        of=_text(found["of"], "weights.of", _NAME) if found.get("of") else "",
    )


def _converted(sequence: Callable[[Any], Any], value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return sequence(_converted(sequence, item) for item in value)
    return value


def _frozen(value: Any) -> Any:
    return _converted(tuple, value)


def _thawed(value: Any) -> Any:
    return _converted(list, value)
