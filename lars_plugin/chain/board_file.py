# SPDX-License-Identifier: GPL-3.0-or-later
"""Board files: a chain of plugins per stem, written down in TOML or JSON.

    [[stems.snare]]
    plugin = "Compressor"            # a class of pedalboard
    threshold_db = -20.0             # its settings

    [[stems.snare]]
    vst3 = "/usr/lib/vst3/Plate.vst3"  # any plugin file that pedalboard loads
    name = "Plate"                     # which one, where the file holds several
    parameters = { decay = 2.5 }       # by pedalboard's names for them

JSON says the same: ``{"stems": {"snare": [{"plugin": "Compressor", ...}, ...]}}``.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pedalboard

from lars_plugin.errors import InputError
from lars_plugin.model import canonical_stem

__all__ = ["read_board_file", "set_parameter"]

_MOST = 1 << 16  # bytes of a board file
_MAX_PLUGINS = 32  # per stem


def read_board_file(path: str | os.PathLike[str]) -> dict[str, list[pedalboard.Plugin]]:
    """The chain of each stem that the file names: new plugins, ready to run.

    Raises:
        InputError: the file cannot be read, is neither TOML nor JSON, names a stem, a plugin or a
            parameter that does not exist, or a value that the plugin refuses.
    """
    path = Path(path)
    content = _parse(path)
    stems = content.pop("stems", None)
    if not isinstance(stems, dict) or content:
        raise InputError(f"{path}: expected one table, [stems], got {sorted(content) or stems!r}")
    board: dict[str, list[pedalboard.Plugin]] = {}
    for name, entries in stems.items():
        if not isinstance(entries, list) or len(entries) > _MAX_PLUGINS:
            raise InputError(
                f"{path}: stems.{name} must be a list of at most {_MAX_PLUGINS} plugins"
            )
        chain = [_plugin(entry, f"{path}: stems.{name}[{at}]") for at, entry in enumerate(entries)]
        try:
            stem = canonical_stem(name)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
        if stem in board:
            raise InputError(f"{path}: stem {name} is there twice")
        board[stem] = chain
    return board


def _parse(path: Path) -> dict[str, Any]:
    try:
        if not path.is_file():
            raise InputError(f"{path} is not a board file; give a .toml or .json file")
        if path.stat().st_size > _MOST:
            raise InputError(f"{path} is larger than {_MOST} bytes; that is not a board file")
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the board file {path}: {error}") from error
    try:
        content = json.loads(text) if path.suffix.lower() == ".json" else _toml(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be understood: {error}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} must hold a table, got {type(content).__name__}")
    return content


def _toml(text: str) -> Any:
    try:
        reader = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    except ImportError as error:
        raise InputError(
            "TOML board files need Python 3.11 or the package tomli; JSON works everywhere"
        ) from error
    return reader.loads(text)


def _plugin(entry: object, where: str) -> pedalboard.Plugin:
    if not isinstance(entry, dict) or ("plugin" in entry) == ("vst3" in entry):
        raise InputError(f'{where}: give either plugin = "..." or vst3 = "..."')
    settings = dict(entry)
    try:
        if "vst3" in settings:
            return _external(settings, where)
        return _builtin(settings, where)
    except (ValueError, TypeError, OSError, ImportError, RuntimeError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{where}: {error}") from error


def _builtin(settings: dict[str, Any], where: str) -> pedalboard.Plugin:
    name = settings.pop("plugin")
    kind = getattr(pedalboard, str(name), None)
    # Containers and loaders are plugins too, but not effects with settings.
    containers = (pedalboard.PluginContainer, pedalboard.ExternalPlugin)
    if (
        not isinstance(kind, type)
        or not issubclass(kind, pedalboard.Plugin)
        or issubclass(kind, containers)
    ):
        raise InputError(f"{where}: pedalboard has no effect {name!r}")
    plugin: pedalboard.Plugin = kind(**settings)
    return plugin


def _external(settings: dict[str, Any], where: str) -> pedalboard.Plugin:
    file, name = str(settings.pop("vst3")), settings.pop("name", None)
    parameters = settings.pop("parameters", {})
    if settings or not isinstance(parameters, dict):
        raise InputError(f"{where}: a vst3 has a name and parameters, not {sorted(settings)}")
    # Re-exported by a star import, which type checkers do not follow.
    load = pedalboard.load_plugin  # type: ignore[attr-defined]
    plugin: pedalboard.Plugin = load(file, plugin_name=name)
    if not plugin.is_effect:
        raise InputError(f"{where}: {file} is an instrument, not an effect")
    for key, value in parameters.items():
        set_parameter(plugin, key, value, where)
    return plugin


def set_parameter(plugin: pedalboard.Plugin, name: str, value: object, where: str) -> float:
    """Set one parameter of a plugin, built in or loaded, and return what is now in force.

    Raises:
        InputError: there is no such parameter, or it refuses the value.
    """
    if not name.isidentifier() or name.startswith("_"):
        raise InputError(f"{where}: {name!r} is not a parameter name")
    parameters: Mapping[str, object] = getattr(plugin, "parameters", {})
    slot = getattr(type(plugin), name, None)
    if name not in parameters and not (isinstance(slot, property) and slot.fset):
        raise InputError(f"{where}: {type(plugin).__name__} has no parameter {name!r}")
    try:
        setattr(plugin, name, value)
        now = float(getattr(plugin, name))
    except (ValueError, TypeError, RuntimeError, AttributeError) as error:
        raise InputError(f"{where}: {name} = {value!r}: {error}") from error
    if not math.isfinite(now):
        raise InputError(f"{where}: {name} is not finite")
    return now
