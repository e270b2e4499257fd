# SPDX-License-Identifier: GPL-3.0-or-later
"""How the command line's options make each output, for the record beside the stems."""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
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

__all__ = ["MIDI", "makings", "midi_settings", "runs_of", "settings_digest", "stem_settings"]

# The name of the MIDI file among the outputs.
MIDI = "midi"

# Options that change what is written; batch size, device and jobs do not.
_SETTINGS = (
    "preset", "overlap", "shifts", "backend", "precision", "wiener", "gate", "redistribute",
    "format", "bits", "rescale", "channels", "metadata",
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
    settings = stem_settings(args)
    plain = Making(_model(args.model, separator.model.config.name), settings, __version__)
    # What is left of the mixture, and a common gain, are of all that are written together.
    separated = sorted(stem for stem in stems if stem not in (RESIDUAL, MIDI))
    together = dataclasses.replace(plain, settings={**settings, "stems": separated})
    result = {
        stem: together if stem == RESIDUAL or (args.rescale and args.bits != "32f") else plain
        for stem in stems
    }
    if MIDI in result:
        notes = midi_settings(args)
        result[MIDI] = dataclasses.replace(together, settings={**together.settings, **notes})
    return result


def stem_settings(args: argparse.Namespace) -> dict[str, Any]:
    """Options, as far as they change what is written for every stem."""
    settings: dict[str, Any] = {name: getattr(args, name, None) for name in _SETTINGS}
    settings["backend"] = args.backend or os.environ.get("LARS_BACKEND") or None
    return settings


def midi_settings(args: argparse.Namespace) -> dict[str, Any]:
    """The same for the MIDI file."""
    notes = {name: getattr(args, name, None) for name in _MIDI_SETTINGS}
    if Path(args.note_map).is_file():
        notes["note_map"] = f"{args.note_map} ({weights_sha256(Path(args.note_map))})"
    if args.transcriber != "none":
        name = DEFAULT if args.transcriber == "auto" else args.transcriber
        notes["transcriber"] = f"{name} ({transcriber_digest(name)})"
    return notes


def settings_digest(args: argparse.Namespace) -> str:
    """SHA-256 of all options, model and version that outputs depend on; loads no model.

    Raises:
        ModelError: the model is not on this machine.
    """
    names = ("stems", "two_stems", "residual", "midi", "filename", "evaluate")
    everything = {
        "model": _model(args.model, args.model),
        "settings": stem_settings(args),
        "files": {name: getattr(args, name, None) for name in names},
        "midi": midi_settings(args) if args.midi else None,
        "version": __version__,
    }
    return hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()


def _model(name: str, shown: str) -> dict[str, Any]:
    """The name as it is shown, and of each part the SHA-256 of configuration and weights."""
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
    found: dict[str, Any] = {"name": shown, "parts": parts}
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
