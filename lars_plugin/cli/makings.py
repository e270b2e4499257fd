# SPDX-License-Identifier: GPL-3.0-or-later
"""How the command line's options make each output, for the record beside the stems."""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lars_plugin import __version__
from lars_plugin.cli.records import Making, Run, Source, Written
from lars_plugin.separation.files import RESIDUAL
from lars_plugin.separation.separator import Separator
from lars_plugin.zoo.composite_specs import part_names
from lars_plugin.zoo.integrity import weights_sha256
from lars_plugin.zoo.load import resolve
from lars_plugin.zoo.transcribers import DEFAULT, transcriber_digest

__all__ = ["MIDI", "makings", "runs_of"]

# The name of the MIDI file among the outputs.
MIDI = "midi"

# Options that change what is written; batch size, device and jobs do not.
_SETTINGS = (
    "preset", "overlap", "backend", "precision", "wiener", "gate", "redistribute", "format",
    "bits", "rescale", "channels", "metadata",
)  # fmt: skip
_MIDI_SETTINGS = (
    "bpm", "offset", "quantise", "strength", "note_map", "velocity", "velocity_range",
    "transcriber", "resolution",
)  # fmt: skip


def makings(
    args: argparse.Namespace, separator: Separator, stems: Iterable[str]
) -> dict[str, Making]:
    """How each output is made.

    Args:
        args: of ``lars separate``.
        separator: that they lead to.
        stems: names of the outputs.
    """
    stems = list(stems)
    settings: dict[str, Any] = {name: getattr(args, name, None) for name in _SETTINGS}
    settings["backend"] = args.backend or os.environ.get("LARS_BACKEND") or None
    plain = Making(_model(args.model, separator), settings, __version__)
    # What is left of the mixture, and a common gain, are of all that are written together.
    separated = sorted(stem for stem in stems if stem not in (RESIDUAL, MIDI))
    together = dataclasses.replace(plain, settings={**settings, "stems": separated})
    result = {
        stem: together if stem == RESIDUAL or (args.rescale and args.bits != "32f") else plain
        for stem in stems
    }
    if MIDI in result:
        notes = {name: getattr(args, name, None) for name in _MIDI_SETTINGS}
        if Path(args.note_map).is_file():
            notes["note_map"] = f"{args.note_map} ({weights_sha256(Path(args.note_map))})"
        if args.transcriber != "none":
            name = DEFAULT if args.transcriber == "auto" else args.transcriber
            notes["transcriber"] = f"{name} ({transcriber_digest(name)})"
        result[MIDI] = dataclasses.replace(together, settings={**together.settings, **notes})
    return result


def _model(name: str, separator: Separator) -> dict[str, Any]:
    """The model's name, and of each part the SHA-256 of its configuration and of its weights."""
    parts = []
    for part in part_names(name) or (name,):
        config, path = resolve(part)
        known = config.weights.sha256 if config.weights else ""
        parts.append(
            {
                "name": config.name,
                "config": hashlib.sha256(repr(config).encode()).hexdigest(),
                "weights": known or _sha256(path),
            }
        )
    found: dict[str, Any] = {"name": separator.model.config.name, "parts": parts}
    if len(parts) > 1 and Path(name).is_file():
        found["shares"] = _sha256(Path(name))  # of the models in an ensemble
    return found


def _sha256(path: Path) -> str:
    """Of a file, or of all files in a folder of checkpoints."""
    if not path.is_dir():
        return weights_sha256(path)
    digest = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        if file.is_file():
            digest.update(f"{file.relative_to(path)} {weights_sha256(file)}\n".encode())
    return digest.hexdigest()


def runs_of(
    source: Source, making: Mapping[str, Making], written: Mapping[str, Written]
) -> list[Run]:
    """Outputs of one input, those that are made alike together."""
    runs: list[Run] = []
    for stem, output in written.items():
        for index, run in enumerate(runs):
            if run.making == making[stem]:
                runs[index] = dataclasses.replace(run, outputs={**run.outputs, stem: output})
                break
        else:
            runs.append(Run(source, making[stem], {stem: output}))
    return runs
