# SPDX-License-Identifier: GPL-3.0-or-later
"""Units: one effect of a chain, run block by block, late by a constant, with its parameters.

Made on the plugin thread, for plugins on disk, and then used by the thread that runs the chain.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pedalboard
from pedalboard import Pedalboard  # type: ignore[attr-defined]  # not marked as exported

from lars_plugin.chain.effects import BUILT_IN, PREFIX, described, installed_plugins
from lars_plugin.chain.native import NativeRun
from lars_plugin.dsp.fifo import Fifo
from lars_plugin.errors import InputError, NonFiniteError
from lars_plugin.model import Wave

__all__ = ["BLOCK", "PluginUnit", "SeveralPluginsError", "Unit", "in_one_line", "make_unit"]

BLOCK = 128  # samples per call of a plugin: the price of a chain in latency
# Blocks in which a number moves to its new value, so that it does not click: 93 ms at 44.1 kHz.
_GLIDE = 32
_MAX_SHOWN = 256  # parameters of one plugin on disk
_MAX_STATE = 1 << 18  # bytes of a state that is kept


class SeveralPluginsError(InputError):
    """A file holds several plugins, and the entry does not say which."""

    def __init__(self, message: str, names: list[str]) -> None:
        super().__init__(message)
        self.names = names


class Unit:
    """One effect: blocks of ``BLOCK`` samples in, as many out, late by ``latency_samples``.

    Args:
        plugins: one for all channels, or one for each.
        sample_rate: Hz.
        channels: of the blocks.

    Raises:
        InputError: the plugin cannot be used block by block.
    """

    def __init__(self, plugins: list[pedalboard.Plugin], sample_rate: float, channels: int) -> None:
        self.plugins = plugins
        self._rate = sample_rate
        wide = channels // len(plugins)
        runs = [NativeRun([plugin], sample_rate, wide, BLOCK) for plugin in plugins]
        self.latency_samples = max(run.latency_samples for run in runs) - (BLOCK - 1)
        self._boards = [Pedalboard([plugin]) for plugin in plugins]
        self._wide = wide
        self._ready = Fifo((channels,))
        self._begin()

    def _begin(self) -> None:
        self._ready.clear()
        # As many as the plugin holds back at first: from then on a block comes out for each.
        self._ready.append(np.zeros((self._wide * len(self._boards), self.latency_samples), "f4"))

    def run(self, block: Wave) -> Wave:
        """``(channels, BLOCK)`` to the same.

        Raises:
            NonFiniteError: the plugin returned NaN or Inf.
            Exception: what the plugin raises.
        """
        parts = [
            np.asarray(board(part, self._rate, BLOCK, False))
            for board, part in zip(self._boards, np.split(block, len(self._boards)), strict=True)
        ]
        out = parts[0] if len(parts) == 1 else np.concatenate(parts)
        if not np.isfinite(out).all():
            raise NonFiniteError("it returned NaN or Inf")
        self._ready.append(out)
        if self._ready.samples < BLOCK:
            raise InputError("it returns no steady stream")
        return self._ready.take(BLOCK)

    def reset(self) -> None:
        """Forget all audio; parameters stay, and those that glide are where they go to."""
        for plugin in self.plugins:
            # Some can forget only by being made anew, which this thread may not do: what they
            # still ring with is heard for a moment.
            with contextlib.suppress(RuntimeError):
                plugin.reset()
        self._begin()

    def step(self) -> None:
        """Called before each block: what glides goes on."""

    def set(self, values: Mapping[str, float], *, at_once: bool) -> None:
        """Set parameters by name; names that it does not have are left out."""
        raise NotImplementedError

    def parameters(self) -> list[dict[str, object]]:
        """All of them with their values, in JSON types."""
        raise NotImplementedError

    def state(self) -> bytes:
        """What a plugin on disk keeps beside its parameters; empty for none."""
        return b""


class _BuiltInUnit(Unit):
    """One of pedalboard's own effects."""

    def __init__(self, name: str, sample_rate: float, channels: int) -> None:
        self._kind = BUILT_IN[name]
        self._settings = {setting.name: setting for setting in self._kind.settings}
        self._values = {setting.name: setting.default for setting in self._kind.settings}
        self._glides: dict[str, tuple[float, int]] = {}  # where to, in how many blocks more
        plugin: pedalboard.Plugin = getattr(pedalboard, name)()
        self._plugin: Any = plugin
        self._now = dict(self._values)
        for key, value in self._values.items():
            self._apply(key, value, sample_rate)
        super().__init__([plugin], sample_rate, channels)

    def _apply(self, name: str, value: float, sample_rate: float) -> None:
        setting = self._settings[name]
        if setting.choices:
            mode = getattr(type(self._plugin), "Mode")  # noqa: B009  # no type stub has it
            setattr(self._plugin, name, getattr(mode, setting.choices[int(value)]))
            return
        if setting.unit == "Hz" and setting.high >= 1000:
            value = min(value, 0.49 * sample_rate)  # beyond it, filters return nonsense
        setattr(self._plugin, name, value)
        self._now[name] = value

    def set(self, values: Mapping[str, float], *, at_once: bool) -> None:
        for name, value in values.items():
            setting = self._settings.get(name)
            if setting is None:
                continue
            value = min(max(value, setting.low), setting.high)
            if setting.choices:
                value = float(round(value))
            if value == self._values[name] and not at_once:
                continue
            self._values[name] = value
            self._glides.pop(name, None)
            if at_once or setting.choices:
                self._apply(name, value, self._rate)
            else:
                self._glides[name] = (value, _GLIDE)

    def reset(self) -> None:
        for name, (goal, _) in self._glides.items():
            self._apply(name, goal, self._rate)
        self._glides.clear()
        super().reset()

    def step(self) -> None:
        for name, (goal, left) in list(self._glides.items()):
            value = goal if left == 1 else self._now[name] + (goal - self._now[name]) / left
            self._apply(name, value, self._rate)
            if left == 1:
                del self._glides[name]
            else:
                self._glides[name] = (goal, left - 1)

    def parameters(self) -> list[dict[str, object]]:
        return [
            {**described(setting), "value": self._values[setting.name]}
            for setting in self._kind.settings
        ]


class PluginUnit(Unit):
    """A plugin on disk. Its parameters go from 0 to 1, with a text for people."""

    def __init__(self, plugins: list[Any], state: bytes, sample_rate: float, channels: int) -> None:
        if state:
            for plugin in plugins:
                plugin.raw_state = state
        self._controls: list[dict[str, Any]] = [dict(plugin.parameters) for plugin in plugins]
        self._defaults = {name: float(one.raw_value) for name, one in self._controls[0].items()}
        super().__init__(plugins, sample_rate, channels)

    def set(self, values: Mapping[str, float], *, at_once: bool) -> None:
        del at_once  # a plugin glides by itself, or does not
        for controls in self._controls:
            for name, value in values.items():
                if name in controls:
                    controls[name].raw_value = min(max(value, 0.0), 1.0)

    def parameters(self) -> list[dict[str, object]]:
        description: list[dict[str, object]] = []
        for name, control in list(self._controls[0].items())[:_MAX_SHOWN]:
            text = f"{control.string_value} {control.label or ''}".strip()
            description.append(
                {
                    "name": name,
                    "title": control.name,
                    "min": 0.0,
                    "max": 1.0,
                    "default": self._defaults[name],
                    "value": float(control.raw_value),
                    "text": text,
                }
            )
        return description

    def state(self) -> bytes:
        plugin: Any = self.plugins[0]
        state = bytes(plugin.raw_state)
        return state if len(state) <= _MAX_STATE else b""


def in_one_line(error: Exception) -> str:
    """What an error says, or else what it is."""
    return " ".join(str(error).split()) or type(error).__name__


def make_unit(
    effect: str, name: str, state: bytes, sample_rate: float, channels: int, *, on_disk: bool
) -> Unit:
    """A new effect. On the plugin thread, where it is a plugin on disk.

    Args:
        effect: a class of pedalboard's, or ``vst3/`` and the name of an installed file.
        name: which of the file's plugins; empty for its only one.
        state: what ``Unit.state`` gave; empty for none.
        sample_rate: Hz.
        channels: of the audio.
        on_disk: whether plugins on disk are allowed.

    Raises:
        InputError: there is no such effect, or it cannot be used.
        SeveralPluginsError: the file holds more than one.
    """
    if not effect.startswith(PREFIX):
        if effect not in BUILT_IN:
            raise InputError(f"there is no effect {effect!r}; see the list of effects")
        return _BuiltInUnit(effect, sample_rate, channels)
    if not on_disk:
        raise InputError("plugins on disk are for clients on the engine's machine")
    path = installed_plugins().get(effect)
    if path is None:
        raise InputError(f"{effect[len(PREFIX) :]} is not installed here; install it")
    try:
        return _load(str(path), name, state, sample_rate, channels)
    except InputError:
        raise
    except Exception as error:  # a plugin may raise anything
        raise InputError(f"{path.name} cannot be loaded: {in_one_line(error)}") from error


def _load(file: str, name: str, state: bytes, sample_rate: float, channels: int) -> Unit:
    kind = pedalboard.VST3Plugin
    names = list(kind.get_plugin_names_for_file(file))
    if len(names) > 1 and name not in names:
        raise SeveralPluginsError(f"the file holds {len(names)} plugins; choose one", names)

    def one() -> Any:
        plugin = kind(file, plugin_name=name or None)
        if not plugin.is_effect:
            raise InputError(f"{plugin.name} is an instrument, not an effect")
        return plugin

    first = one()
    try:
        return PluginUnit([first], state, sample_rate, channels)
    except InputError:
        raise
    except ValueError:  # of pedalboard: not so many channels
        if channels == 1:
            raise
    return PluginUnit([first, *(one() for _ in range(channels - 1))], state, sample_rate, channels)
