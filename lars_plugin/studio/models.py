# SPDX-License-Identifier: GPL-3.0-or-later
"""The menu of models: what each is for, what it costs here, and downloads of those not here."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from lars_plugin.batch.jobs import one_line
from lars_plugin.errors import CancelledError, InputError, LarsError
from lars_plugin.model import ModelConfig
from lars_plugin.studio.costs import Costs
from lars_plugin.zoo.command import is_here
from lars_plugin.zoo.composite_specs import part_names
from lars_plugin.zoo.fetch import download
from lars_plugin.zoo.load import read_model_config
from lars_plugin.zoo.registry import get_config, list_models

__all__ = ["PRESETS", "Download", "Downloads", "menu"]

log = logging.getLogger(__name__)

# What a preset is, in a line; the empty one is the model's own.
PRESETS = {
    "": "The model's own balance",
    "fast": "Quick look: least work",
    "balanced": "Good for most",
    "best": "Most work, best stems",
}

# Ours first: they need no download.
_FIRST = ("lars-mini", "lars-fullmix", "lars-live", "lars-live-low")


def menu(costs: Costs) -> list[dict[str, Any]]:
    """All models, as the page shows them."""
    models = sorted(
        list_models(),
        key=lambda config: (
            _FIRST.index(config.name) if config.name in _FIRST else len(_FIRST),
            config.name,
        ),
    )
    return [_entry(config, costs) for config in models if config.stems]


def _entry(config: ModelConfig, costs: Costs) -> dict[str, Any]:
    size, addresses, licences = 0, True, []
    for part in _parts(config):
        weights = part.weights
        licences.append(part.license or "not stated")
        if weights is None:
            addresses = False
        else:
            size += weights.size
            addresses = addresses and bool(weights.urls)
    here = is_here(config)
    presets = [name for name in PRESETS if not name or _has(config, name)]
    return {
        "name": config.name,
        "description": config.description,
        "stems": list(config.stems),
        "license": ", ".join(dict.fromkeys(licences)),
        "here": here,
        "size": size,
        "downloadable": not here and addresses,
        "presets": [
            {"name": name, "for": PRESETS[name], "cost": costs.ratio(config.name, name)}
            for name in presets
        ],
    }


def _parts(config: ModelConfig) -> list[ModelConfig]:
    try:
        names = part_names(config)
        return [read_model_config(name)[0] for name in names] if names else [config]
    except LarsError as error:
        log.debug("%s: %s", config.name, error)
        return [config]


def _has(config: ModelConfig, preset: str) -> bool:
    if preset in config.presets or any(preset in part.presets for part in _parts(config)):
        return True
    return config.refinement is not None and preset in config.refinement.presets


@dataclass
class Download:
    """A model on its way here.

    Attributes:
        name: of the model.
        status: ``running``, ``done``, ``failed`` or ``cancelled``.
        done, total: bytes; total is 0 where it is not known.
        error: one line.
    """

    name: str
    status: str = "running"
    done: int = 0
    total: int = 0
    error: str = ""

    def to_json(self) -> dict[str, Any]:
        """For the page."""
        return asdict(self)


class Downloads:
    """Downloads of models, each in a thread.

    Args:
        on_change: called with each download that has changed.
    """

    def __init__(self, on_change: Callable[[Download], None]) -> None:
        self._on_change = on_change
        self._lock = threading.Lock()
        self._all: dict[str, Download] = {}
        self._stops: dict[str, threading.Event] = {}

    def to_json(self) -> list[dict[str, Any]]:
        """All of them, for the page."""
        with self._lock:
            return [download.to_json() for download in self._all.values()]

    def start(self, name: str) -> Download:
        """Begin, or go on with, a download.

        Raises:
            ModelNotFoundError: no such model.
            InputError: three are running.
        """
        config = get_config(name)
        with self._lock:
            running = self._all.get(name)
            if running is not None and running.status == "running":
                return running
            if sum(item.status == "running" for item in self._all.values()) >= 3:
                raise InputError("three downloads are running; wait for one of them")
            item = self._all[name] = Download(name)
            stop = self._stops[name] = threading.Event()
        parts = part_names(config) or (name,)
        threading.Thread(
            target=self._run, args=(item, parts, stop), name=f"download-{name}", daemon=True
        ).start()
        return item

    def cancel(self, name: str) -> None:
        """Stop a download; what is here already is kept for the next try."""
        with self._lock:
            if name in self._stops:
                self._stops[name].set()

    def stop(self) -> None:
        """Stop all."""
        with self._lock:
            for stop in self._stops.values():
                stop.set()

    def _run(self, item: Download, parts: tuple[str, ...], stop: threading.Event) -> None:
        def progress(done: int, total: int) -> bool:
            item.done, item.total = done, total
            self._on_change(item)
            return not stop.is_set()

        try:
            for part in parts:
                download(part, progress)
            item.status = "done"
        except CancelledError:
            item.status = "cancelled"
        except LarsError as error:
            item.status, item.error = "failed", one_line(str(error))
        except Exception as error:
            log.debug("while downloading %s", item.name, exc_info=True)
            item.status, item.error = "failed", f"internal error: {error!r}"
        self._on_change(item)
