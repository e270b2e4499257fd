# SPDX-License-Identifier: GPL-3.0-or-later
"""What transcription knows of a model, in ``midi.json`` beside it: picker, thresholds, scorers.

The file is written by ``lars midi --tune`` and holds plain numbers only, those of the picker in
base64. Models without one share those of the package (``tuned/``), which were tuned on stems as
they were played, with some bleed. For stems that no file knows, rules with fixed thresholds decide
(:mod:`lars_plugin.midi.rules`).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from lars_plugin.audio import AtomicFiles, printable
from lars_plugin.errors import ModelError, ModelFormatError
from lars_plugin.midi.features import FEATURE_COUNT
from lars_plugin.midi.hits import ARTICULATIONS, DRUMS
from lars_plugin.midi.picker import Picker
from lars_plugin.midi.scorer import Scorer

__all__ = ["SETTINGS_FILE", "Settings", "StemSettings", "read_settings", "settings_for"]

SETTINGS_FILE = "midi.json"
_VERSION = 2

# Tuned on stems as they were played, for stems that no model made, and on mixtures (a baseline).
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
        """Write the file, complete or not at all.

        Raises:
            AudioFileError: it cannot be written.
        """
        parts = {
            stem: {
                "threshold": round(part.threshold, 4),
                "offset_ms": round(part.offset * 1000, 2),
                "articulations": {
                    name: scorer.to_numbers() for name, scorer in part.articulations.items()
                },
            }
            for stem, part in self.parts.items()
        }
        document = {
            "version": _VERSION,
            "made": dict(self.made),
            "stems": list(self.stems),
            "picker": self.picker.to_text(),
            "parts": parts,
        }
        with AtomicFiles() as files:
            text = json.dumps(document, separators=(",", ":"))
            # A line per array: still readable as text, and small.
            lines = text.replace('],"', '],\n"').replace('},"', '},\n"')
            files.create(path).write(lines.encode() + b"\n")


def read_settings(path: Path) -> Settings:
    """Read a file that :meth:`Settings.save` wrote.

    Raises:
        ModelFormatError: it cannot be read, or holds something else.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["version"] != _VERSION:
            raise ModelFormatError(
                f"{printable(path)} is of version {data['version']}, this program reads"
                f" {_VERSION}: tune the model again"
            )
        stems = tuple(data["stems"])
        if set(stems) - set(DRUMS) or set(data["parts"]) != set(stems):
            raise ModelFormatError(f"{printable(path)} names stems that are no drums")
        parts = {stem: _part(stem, data["parts"][stem]) for stem in stems}
        picker = Picker.from_text(data["picker"], len(stems))
        made = MappingProxyType(dict(data["made"]))
        return Settings(stems, picker, MappingProxyType(parts), made)
    except OSError as error:
        raise ModelFormatError(f"cannot read {printable(path)}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelFormatError(
            f"{printable(path)} is broken ({error!r}): tune the model again, or remove the file"
        ) from error


def _part(stem: str, data: Mapping[str, Any]) -> StemSettings:
    threshold = float(data["threshold"])
    if not 0 < threshold < 1:
        raise ModelFormatError(f"the threshold of {stem} must be between 0 and 1")
    articulations = {
        name: Scorer.from_numbers(numbers, FEATURE_COUNT)
        for name, numbers in data["articulations"].items()
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
    """Settings that come with the package: ``stems``, ``cymbals`` (the same for models whose ride
    and crash are one) or ``mixture``."""
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
