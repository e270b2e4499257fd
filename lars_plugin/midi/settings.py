# SPDX-License-Identifier: GPL-3.0-or-later
"""What transcription knows of a model: thresholds and scorers, in ``midi.json`` beside it.

The file is written by ``lars midi --tune`` and holds plain numbers only. Without one, and for
stems that no file fits, rules with fixed thresholds decide (:mod:`lars_plugin.midi.rules`).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from lars_plugin.audio import AtomicFiles, printable
from lars_plugin.errors import ModelError, ModelFormatError
from lars_plugin.midi.features import RING_COUNT, feature_count
from lars_plugin.midi.hits import ARTICULATIONS, DRUMS
from lars_plugin.midi.scorer import Scorer

__all__ = ["SETTINGS_FILE", "Settings", "StemSettings", "read_settings", "settings_for"]

SETTINGS_FILE = "midi.json"
_VERSION = 1

# Tuned on stems as they were played, for stems that no model made, and on mixtures (a baseline).
_OWN = Path(__file__).parent / "tuned"


@dataclass(frozen=True)
class StemSettings:
    """One stem's part.

    Attributes:
        scorer: of candidates.
        threshold: confidence from which a candidate is a hit, in (0, 1).
        offset: seconds that are added to the attack as it was measured.
        articulations: scorers of the articulations that are not the stem's first; the likeliest
            that reaches one half is taken, the first if none does.
    """

    scorer: Scorer
    threshold: float
    offset: float = 0.0
    articulations: Mapping[str, Scorer] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True)
class Settings:
    """All stems' parts.

    Attributes:
        stems: in the order in which the scorers expect them.
        parts: by stem.
        made: how they were tuned, for people.
    """

    stems: tuple[str, ...]
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
                "scorer": part.scorer.to_numbers(),
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
            "parts": parts,
        }
        with AtomicFiles() as files:
            text = json.dumps(document, separators=(",", ":"))
            # A line per array: still readable as text, and small.
            files.create(path).write(text.replace('],"', '],\n"').encode() + b"\n")


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
        parts = {stem: _part(stem, data["parts"][stem], len(stems)) for stem in stems}
        return Settings(stems, MappingProxyType(parts), MappingProxyType(dict(data["made"])))
    except OSError as error:
        raise ModelFormatError(f"cannot read {printable(path)}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelFormatError(
            f"{printable(path)} is broken ({error!r}): tune the model again, or remove the file"
        ) from error


def _part(stem: str, data: Mapping[str, Any], stems: int) -> StemSettings:
    count = feature_count(stems)
    threshold = float(data["threshold"])
    if not 0 < threshold < 1:
        raise ModelFormatError(f"the threshold of {stem} must be between 0 and 1")
    articulations = {
        name: Scorer.from_numbers(numbers, count + RING_COUNT)
        for name, numbers in data["articulations"].items()
        if name in ARTICULATIONS[stem]
    }
    return StemSettings(
        Scorer.from_numbers(data["scorer"], count),
        threshold,
        float(data["offset_ms"]) / 1000,
        MappingProxyType(articulations),
    )


def settings_for(model: str | os.PathLike[str] | None = None) -> Settings | None:
    """The settings of a model, or those for stems of unknown origin.

    Args:
        model: a name of the zoo, a model folder, or None.

    Returns:
        None when there are none: rules decide then.

    Raises:
        ModelFormatError: there is a file, and it is broken.
    """
    if model is not None:
        path = _model_folder(model) / SETTINGS_FILE
        return read_settings(path) if path.is_file() else None
    return own_settings("stems")


def own_settings(name: str) -> Settings | None:
    """Settings that come with the package: ``stems`` or ``mixture``."""
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
