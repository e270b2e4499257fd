# SPDX-License-Identifier: GPL-3.0-or-later
"""Which transcribers there are: folders with a ``transcriber.yaml``, beside the models.

```yaml
architecture: adtof      # or transcriber, our own, which is the default
description: a line
license: of the weights
thresholds: {kick: 0.2, snare: 0.2, toms: 0.3, hihat: 0.2, cymbals: 0.3}
biases: {snare/sidestick: 2.4}  # of kinds of strokes, added to their log odds; default: none
network: {}              # the shape, where the architecture leaves one open
weights:                 # as in a model's config.yaml; default: weights.safetensors, in the folder
  file: name.pth
  format: checkpoint
  sha256: of the file
  size: 1234
  urls: [https://...]
```
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any

from lars_plugin.backends.openvino.runtime import has_openvino
from lars_plugin.errors import InputError, ModelError, ModelFormatError, ModelNotFoundError
from lars_plugin.model import WeightsFile
from lars_plugin.networks.transcriber.config import GROUPS, STROKES
from lars_plugin.zoo.integrity import weights_sha256
from lars_plugin.zoo.registry import (
    Published,
    find_weights,
    get_config,
    model_folders,
    model_roots,
)
from lars_plugin.zoo.yaml_configs import parse_yaml, weights_file

__all__ = [
    "ARCHITECTURES",
    "DEFAULT",
    "LIVE",
    "TRANSCRIBER_FILE",
    "TranscriberCard",
    "find_transcriber",
    "list_transcribers",
    "open_transcriber",
    "published",
    "read_transcriber",
    "transcriber_digest",
    "transcriber_folders",
]

log = logging.getLogger(__name__)

DEFAULT = "lars-transcriber"
# That for live use.
LIVE = "lars-transcriber-live"
TRANSCRIBER_FILE = "transcriber.yaml"
# Each architecture of a transcriber, with the function that loads one from its card; the first is
# that of a file which names none.
ARCHITECTURES = {
    "transcriber": "lars_plugin.midi.transcriber:load_own",
    "adtof": "lars_plugin.midi.adtof:load_adtof",
}
# Log odds beyond say nothing more.
_LARGEST_BIAS = 20
_OWN_WEIGHTS = WeightsFile("weights.safetensors", "safetensors")


@dataclass(frozen=True)
class TranscriberCard:
    """What a ``transcriber.yaml`` says.

    Attributes:
        name: of the folder.
        folder: where it lies.
        thresholds: by group, in (0, 1).
        architecture: one of :data:`ARCHITECTURES`.
        biases: by stem and articulation; what is not there has 0.
        network: its shape, not yet checked.
        description: a line.
        license: of the weights; empty where it is not stated.
        weights: the file.
    """

    name: str
    folder: Path
    thresholds: Mapping[str, float]
    architecture: str = "transcriber"
    biases: Mapping[tuple[str, str], float] = field(default_factory=dict)
    network: Mapping[str, Any] = field(default_factory=dict)
    description: str = ""
    license: str = ""
    weights: WeightsFile = _OWN_WEIGHTS


def transcriber_folders() -> dict[str, Path]:
    """Name to folder of every transcriber, users' folders before the package's own."""
    found: dict[str, Path] = {}
    for root in model_roots():
        for path in sorted(root.glob(f"*/{TRANSCRIBER_FILE}")):
            found.setdefault(path.parent.name, path.parent)
    return found


def list_transcribers() -> list[TranscriberCard]:
    """All transcribers, by name. A folder whose file is broken is left out with a warning."""
    cards = []
    for _, folder in sorted(transcriber_folders().items()):
        try:
            cards.append(read_transcriber(folder))
        except ModelError as error:
            log.warning("%s", error)
    return cards


def find_transcriber(name: str | os.PathLike[str]) -> TranscriberCard:
    """The card of a transcriber.

    Args:
        name: a name, or a folder.

    Raises:
        ModelNotFoundError: there is none of that name.
        ModelFormatError: its file is broken.
    """
    folder = transcriber_folders().get(name) if isinstance(name, str) else None
    if folder is None:
        folder = Path(name)
        if not (folder / TRANSCRIBER_FILE).is_file():
            raise ModelNotFoundError(
                f"no transcriber {os.fspath(name)!r}; there are"
                f" {', '.join(sorted(transcriber_folders()))}, or name a folder with a"
                f" {TRANSCRIBER_FILE}"
            )
    return read_transcriber(folder.resolve())


def open_transcriber(card: TranscriberCard, backend: str | None = None) -> Any:
    """What hears: a :class:`lars_plugin.midi.transcriber.Transcriber`, loaded.

    Args:
        card: see there.
        backend: ``torch``, ``openvino`` or ``auto``: OpenVINO where it is installed. None: what the
            environment variable LARS_BACKEND says, or auto.

    Raises:
        InputError: unknown backend, or OpenVINO is not installed.
        ModelError: see :func:`~lars_plugin.midi.transcriber.load_transcriber`.
    """
    module, function = ARCHITECTURES[card.architecture].split(":")
    load: Callable[[TranscriberCard, str], Any] = getattr(import_module(module), function)
    return load(card, _backend(backend))


def _backend(requested: str | None) -> str:
    """``torch`` or ``openvino``."""
    chosen = requested or os.environ.get("LARS_BACKEND") or "auto"
    if requested is None and chosen not in ("torch", "openvino"):
        chosen = "auto"  # the variable is for models, which have more
    if chosen == "auto":
        return "openvino" if has_openvino() else "torch"
    if chosen not in ("torch", "openvino"):
        raise InputError(f"transcribers run on torch or openvino, not {chosen!r}")
    return chosen


def transcriber_digest(name: str) -> str:
    """SHA-256 over a transcriber's card and weights: other ones may hear other strokes.

    Args:
        name: a name, or a folder.

    Raises:
        ModelNotFoundError: there is none of that name, or it has no weights here.
        ModelFormatError: its file is broken.
    """
    card = find_transcriber(name)
    weights = card.weights.sha256 or weights_sha256(find_weights(card, card.folder))
    settings = (dict(card.network), dict(card.thresholds), dict(card.biases))
    what = (card.architecture, *settings, weights)
    return hashlib.sha256(repr(what).encode()).hexdigest()


def published(name: str) -> tuple[Published, Path | None]:
    """What has this name, and its folder if it is a transcriber; models come first.

    Raises:
        ModelNotFoundError: nothing has.
        ModelFormatError: its configuration is broken.
    """
    folder = transcriber_folders().get(name)
    if folder is None or name in model_folders():
        return get_config(name), None
    return read_transcriber(folder), folder


def read_transcriber(folder: Path) -> TranscriberCard:
    """Read a transcriber's file.

    Raises:
        ModelFormatError: it cannot be read, lacks something, or a value is wrong.
    """
    path = folder / TRANSCRIBER_FILE
    try:
        data = parse_yaml(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise ModelFormatError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ModelFormatError(f"{path} is not UTF-8 text") from error
    try:
        architecture = str(data.get("architecture", next(iter(ARCHITECTURES))))
        thresholds = {group: float(data["thresholds"][group]) for group in GROUPS}
        biases = {
            tuple(str(name).split("/")): float(value)
            for name, value in (data.get("biases") or {}).items()
        }
        network = dict(data.get("network") or {})
        weights = weights_file(data["weights"]) if data.get("weights") else _OWN_WEIGHTS
    except InputError as error:
        raise ModelFormatError(f"{path}: {error}") from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelFormatError(
            f"{path} needs thresholds for {', '.join(GROUPS)}, and network and biases as tables"
            f" ({error!r})"
        ) from error
    if architecture not in ARCHITECTURES:
        raise ModelFormatError(
            f"{path}: unknown architecture {architecture!r}; known: {', '.join(ARCHITECTURES)}"
        )
    wrong = [group for group, value in thresholds.items() if not 0 < value < 1]
    if wrong:
        raise ModelFormatError(f"{path}: thresholds are between 0 and 1: {', '.join(wrong)}")
    unknown = sorted("/".join(stroke) for stroke in biases if stroke not in STROKES)
    if unknown or not all(abs(value) <= _LARGEST_BIAS for value in biases.values()):
        raise ModelFormatError(
            f"{path}: biases are numbers in -{_LARGEST_BIAS} to {_LARGEST_BIAS} for"
            f" {', '.join('/'.join(stroke) for stroke in STROKES)}"
            + (f", not for {', '.join(unknown)}" if unknown else "")
        )
    return TranscriberCard(
        name=folder.name,
        folder=folder,
        thresholds=MappingProxyType(thresholds),
        biases=MappingProxyType({stroke: biases.get(stroke, 0.0) for stroke in STROKES}),
        architecture=architecture,
        network=MappingProxyType(network),
        description=str(data.get("description") or ""),
        license=str(data.get("license") or ""),
        weights=weights,
    )
