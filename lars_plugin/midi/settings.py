# SPDX-License-Identifier: GPL-3.0-or-later
"""What transcription knows of a model, in two files beside it that ``lars midi --tune`` writes.

``midi.json`` has the settings (thresholds, offsets, names of articulations) and the SHA-256 of
``midi.weights.safetensors``, which has the arrays of the picker and of the scorers. Models without
them share those of the package (``tuned/``), which were tuned on stems as they were played, with
some bleed. For stems that no file knows, rules with fixed thresholds decide
(:mod:`lars_plugin.midi.rules`).
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from lars_plugin.audio import AtomicFiles, printable
from lars_plugin.errors import ModelError, ModelFormatError
from lars_plugin.midi.features import FEATURE_COUNT
from lars_plugin.midi.hits import ARTICULATIONS, DRUMS
from lars_plugin.midi.old_settings import weights_of_version_2
from lars_plugin.midi.picker import Picker
from lars_plugin.midi.scorer import Scorer

__all__ = ["SETTINGS_FILE", "Settings", "StemSettings", "read_settings", "settings_for"]

log = logging.getLogger(__name__)

SETTINGS_FILE = "midi.json"
_VERSION, _OLD_VERSION = 3, 2
# Not ".safetensors" alone: settings called weights.json must not replace the network beside them.
_WEIGHTS_SUFFIX = ".weights.safetensors"
# Real files have 200 kB.
_MAX_BYTES = 1 << 24

# Tuned on stems as they were played, for stems that no model made.
_OWN = Path(__file__).parent / "tuned"


@dataclass(frozen=True)
class StemSettings:
    """One stem's part.

    Attributes:
        threshold: confidence from which a candidate is a hit, in (0, 1).
        offset: seconds that are added to the attack as it was measured.
        articulations: scorers of the articulations that are not the stem's first; the likeliest
            that reaches one half is taken, the first if none does.
    """

    threshold: float
    offset: float = 0.0
    articulations: Mapping[str, Scorer] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True)
class Settings:
    """All stems' parts.

    Attributes:
        stems: in the order in which the picker and the scorers expect them.
        picker: finds strokes on all of them.
        parts: by stem.
        made: how they were tuned, for people.
    """

    stems: tuple[str, ...]
    picker: Picker
    parts: Mapping[str, StemSettings]
    made: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    def save(self, path: Path) -> None:
        """Write ``path`` and, beside it, the weights: both complete, or neither.

        Raises:
            AudioFileError: they cannot be written.
        """
        parts: dict[str, dict[str, Any]] = {}
        arrays: dict[str, NDArray[Any]] = {
            f"picker.{name}": array for name, array in self.picker.to_arrays().items()
        }
        for stem, part in self.parts.items():
            parts[stem] = {
                "threshold": round(part.threshold, 4),
                "offset_ms": round(part.offset * 1000, 2),
                "articulations": list(part.articulations),
            }
            for kind, scorer in part.articulations.items():
                arrays |= {f"{stem}.{kind}.{k}": array for k, array in scorer.to_arrays().items()}
        # safetensors writes memory as it lies.
        weights = save({name: np.array(array, order="C") for name, array in arrays.items()})
        file = path.with_suffix(_WEIGHTS_SUFFIX)
        document = {
            "version": _VERSION,
            "made": dict(self.made),
            "stems": list(self.stems),
            "weights": {"file": file.name, "sha256": hashlib.sha256(weights).hexdigest()},
            "parts": parts,
        }
        with AtomicFiles() as files:
            files.create(file).write(weights)
            files.create(path).write(json.dumps(document, indent=2).encode() + b"\n")


def read_settings(path: Path) -> Settings:
    """Read the files that :meth:`Settings.save` wrote.

    The single file of the version before is read too.

    Raises:
        ModelFormatError: they cannot be read, do not belong together, or hold something else.
    """
    try:
        data = json.loads(_bytes(path))
        if data["version"] == _OLD_VERSION:
            log.warning(
                "%s is of an old version, which version 0.2 will not read: tune the model again,"
                " or write it anew with read_settings(path).save(path)",
                printable(path),
            )
            arrays = weights_of_version_2(data)
        elif data["version"] == _VERSION:
            arrays = _weights(path, data["weights"])
        else:
            raise ModelFormatError(
                f"{printable(path)} is of version {data['version']}, this program reads"
                f" {_VERSION}: tune the model again"
            )
        stems = tuple(data["stems"])
        if set(stems) - set(DRUMS) or set(data["parts"]) != set(stems):
            raise ModelFormatError(f"{printable(path)} names stems that are not drums")
        parts = {stem: _part(stem, data["parts"][stem], arrays) for stem in stems}
        picker = Picker.from_arrays(_below("picker", arrays), len(stems))
        made = MappingProxyType(dict(data["made"]))
        return Settings(stems, picker, MappingProxyType(parts), made)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelFormatError(
            f"{printable(path)} is broken ({error!r}): tune the model again, or remove the file"
        ) from error


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ModelFormatError(f"{printable(path)} is too large for settings of transcription")
        return path.read_bytes()
    except OSError as error:
        raise ModelFormatError(f"cannot read {printable(path)}: {error.strerror}") from error


def _weights(path: Path, wanted: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """The arrays of the file that the settings in ``path`` name."""
    name = wanted["file"]
    # A name only: settings must not reach out of their folder.
    if not name.endswith(_WEIGHTS_SUFFIX) or {"/", "\\"} & set(name):
        raise ModelFormatError(
            f"{printable(path)}: the weights must be a file name ending in {_WEIGHTS_SUFFIX},"
            f" got {name!r}"
        )
    file = path.with_name(name)
    content = _bytes(file)
    if hashlib.sha256(content).hexdigest() != wanted["sha256"]:
        raise ModelFormatError(
            f"{printable(file)} does not belong to {printable(path)}: copy both files again, or"
            " tune the model again"
        )
    try:
        arrays: dict[str, NDArray[Any]] = load(content)
    except SafetensorError as error:
        raise ModelFormatError(
            f"{printable(file)} is broken ({error}): tune the model again"
        ) from error
    return arrays


def _below(prefix: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Those whose names begin with ``prefix.``, under the rest of their names."""
    begin = f"{prefix}."
    return {
        name.removeprefix(begin): array for name, array in arrays.items() if name.startswith(begin)
    }


def _part(stem: str, data: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> StemSettings:
    threshold = float(data["threshold"])
    if not 0 < threshold < 1:
        raise ModelFormatError(f"the threshold of {stem} must be between 0 and 1")
    articulations = {
        name: Scorer.from_arrays(_below(f"{stem}.{name}", arrays), FEATURE_COUNT)
        for name in data["articulations"]
        if name in ARTICULATIONS[stem]
    }
    return StemSettings(
        threshold,
        float(data["offset_ms"]) / 1000,
        MappingProxyType(articulations),
    )


def settings_for(
    model: str | os.PathLike[str] | None = None, stems: Collection[str] = ()
) -> Settings | None:
    """The settings of a model, or those that the package has for stems of unknown origin.

    Args:
        model: a name of the zoo, a model folder, or None.
        stems: names that they must know.

    Returns:
        None when there are none that know these stems: rules decide then.

    Raises:
        ModelFormatError: there is a file, and it is broken.
    """
    found = []
    if model is not None:
        path = _model_folder(model) / SETTINGS_FILE
        found += [read_settings(path)] if path.is_file() else []
    for one in (*found, own_settings("stems"), own_settings("cymbals")):
        if one is not None and set(stems) <= set(one.stems):
            return one
    return None


def own_settings(name: str) -> Settings | None:
    """Settings that come with the package: ``stems``, or ``cymbals`` (the same for models whose
    ride and crash are one)."""
    path = _OWN / f"{name}.json"
    return read_settings(path) if path.is_file() else None


def _model_folder(model: str | os.PathLike[str]) -> Path:
    from lars_plugin.zoo.registry import model_folders

    if isinstance(model, str):
        # Of cascade:A,B and A+B the last makes the drum stems, or its like.
        last = re.split("[:,+]", model)[-1]
        try:
            found = model_folders().get(last)
        except ModelError:  # an installation without models: the name may be a folder
            found = None
        if found is not None:
            return found
    path = Path(model)
    return path.parent if path.is_file() else path
