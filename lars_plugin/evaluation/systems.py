# SPDX-License-Identifier: GPL-3.0-or-later
"""Systems to evaluate: models and baselines behind one method."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lars_plugin.errors import InputError
from lars_plugin.evaluation.baselines import BASELINES, require_nmf
from lars_plugin.evaluation.clips import Recording
from lars_plugin.refine.postprocess import PostProcessing
from lars_plugin.separation.separator import Separator
from lars_plugin.zoo.composite_specs import parse_name

__all__ = ["BaselineSystem", "ModelSystem", "System", "make_systems", "make_variants"]

Wave = NDArray[np.float32]


class System(Protocol):
    """Something that estimates stems."""

    @property
    def name(self) -> str:
        """Its name in tables."""
        ...

    @property
    def settings(self) -> str:
        """Other settings that its estimates depend on, or empty."""
        ...

    @property
    def is_model(self) -> bool:
        """Whether it works without knowing the answer."""
        ...

    def estimate(self, recording: Recording, cancelled: Callable[[], bool]) -> Mapping[str, Wave]:
        """Stems of a recording; any thread may call.

        Raises:
            CancelledError: ``cancelled`` returned True.
        """
        ...


class BaselineSystem:
    """One of :data:`~lars_plugin.evaluation.baselines.BASELINES`; short, and never cancelled.

    Raises:
        InputError: no baseline has that name, or it needs a package that is not installed.
    """

    is_model = False
    settings = ""

    def __init__(self, name: str) -> None:
        if name not in BASELINES:
            raise InputError(f"unknown baseline {name!r}; there are {', '.join(BASELINES)}")
        if name == "nmf":
            require_nmf()
        self.name = name
        self._function = BASELINES[name]

    def estimate(self, recording: Recording, cancelled: Callable[[], bool]) -> Mapping[str, Wave]:
        del cancelled
        return self._function(recording)


class ModelSystem:
    """A separator, opened when it is first needed; all threads share it.

    Args:
        name: its name in tables.
        settings: other settings that its estimates depend on ("overlap 8"), or empty.
        open_separator: makes the separator.
    """

    is_model = True

    def __init__(self, name: str, settings: str, open_separator: Callable[[], Separator]) -> None:
        self.name = name
        self.settings = settings
        self._open = open_separator
        self._lock = threading.Lock()
        self._separator: Separator | None = None

    def __getstate__(self) -> dict[str, Any]:
        # Another process opens the model itself.
        return {"name": self.name, "settings": self.settings, "_open": self._open}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()
        self._separator = None

    @property
    def backend(self) -> str | None:
        """The backend ("torch cpu float32"); None before it is opened."""
        return None if self._separator is None else self._separator.model.backend_name

    def separator(self) -> Separator:
        """The separator.

        Raises:
            ModelError: it cannot be loaded.
        """
        with self._lock:
            if self._separator is None:
                self._separator = self._open()
            return self._separator

    def estimate(self, recording: Recording, cancelled: Callable[[], bool]) -> Mapping[str, Wave]:
        return self.separator().separate(
            recording.mixture,
            recording.sample_rate,
            progress=lambda _done, _total: not cancelled(),
        )


def make_variants(
    wiener: Sequence[float] = (), gate: Sequence[float] = (), redistribute: bool = False
) -> list[PostProcessing]:
    """Post-processing variants: each setting alone, then the first of each kind together if there
    are several kinds.

    Raises:
        InputError: an invalid setting.
    """
    alone = [
        *(PostProcessing(wiener=exponent) for exponent in wiener),
        *(PostProcessing(gate=threshold) for threshold in gate),
        *([PostProcessing(redistribute=True)] if redistribute else []),
    ]
    if (bool(wiener), bool(gate), redistribute).count(True) > 1:
        alone.append(
            PostProcessing(
                wiener=wiener[0] if wiener else None,
                gate=gate[0] if gate else None,
                redistribute=redistribute,
            )
        )
    return alone


def make_systems(
    models: Sequence[str],
    baselines: Sequence[str] = (),
    *,
    variants: Sequence[PostProcessing] = (),
    preset: str | None = None,
    overlap: float | None = None,
    shifts: int | None = None,
    device: str = "auto",
    precision: str = "float32",
    backend: str | None = "torch",
) -> list[System]:
    """Models by name or folder, then baselines by name; nothing is loaded yet.

    A folder is named by its last part, unless two systems would have the same name. Each model is
    followed by its variants, which share the loaded model and are called "lars-mini, wiener 1".

    Device, precision and backend are those of :func:`~lars_plugin.zoo.load.load_model`. The
    defaults give the same figures wherever they are made.

    Raises:
        InputError: see :class:`BaselineSystem`.
    """
    settings = []
    if overlap is not None:
        settings.append(f"overlap {overlap:g}")
    elif preset is not None:
        settings.append(f"preset {preset}")
    if shifts is not None:
        settings.append(f"shifts {shifts}")
    if precision != "float32":
        settings.append("precision auto" if precision == "auto" else precision)
    if backend != "torch":
        settings.append(f"backend {backend or 'auto'}")

    def opener(name: str) -> Callable[[], Separator]:
        # A name that looks like a path, or is one, is a folder; names of the zoo hold no
        # separator.
        folder = not _is_composite(name) and (os.sep in name or "/" in name or Path(name).is_dir())
        return lambda: Separator(
            Path(name) if folder else name,
            preset=preset,
            overlap=overlap,
            shifts=shifts,
            device=device,
            precision=precision,
            backend=backend,
        )

    def changed(plain: ModelSystem, post: PostProcessing) -> Callable[[], Separator]:
        return lambda: Separator(
            plain.separator().model, preset=preset, overlap=overlap, shifts=shifts, post=post
        )

    labels = [name if _is_composite(name) else Path(name).name or name for name in models]
    if len({*labels, *baselines}) < len(labels) + len(baselines):
        labels = list(models)
    result: list[System] = []
    for label, name in zip(labels, models, strict=True):
        plain = ModelSystem(label, ", ".join(settings), opener(name))
        result.append(plain)
        for post in variants:
            result.append(ModelSystem(f"{label}, {post}", plain.settings, changed(plain, post)))
    return [*result, *(BaselineSystem(name) for name in baselines)]


def _is_composite(name: str) -> bool:
    return not Path(name).exists() and parse_name(name) is not None
