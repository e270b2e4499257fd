# SPDX-License-Identifier: GPL-3.0-or-later
"""A trained transcriber as a folder that ``load_transcriber`` reads."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import save
from torch import Tensor

from lars_plugin.audio import AtomicFiles
from lars_plugin.midi.transcriber import TRANSCRIBER_FILE, WEIGHTS_FILE
from lars_plugin.networks.transcriber.config import TranscriberConfig

__all__ = ["Decisions", "publish_transcriber"]


@dataclass(frozen=True)
class Decisions:
    """What is chosen after training.

    Attributes:
        thresholds: by group.
        biases: by stem and articulation.
    """

    thresholds: Mapping[str, float]
    biases: Mapping[tuple[str, str], float]


def publish_transcriber(
    folder: Path,
    config: TranscriberConfig,
    state: Mapping[str, Tensor],
    decisions: Decisions,
    record: Mapping[str, Any],
) -> None:
    """Write shape, thresholds and biases, weights (float16) and the record of the training.

    Raises:
        AudioFileError: a file cannot be written; then none is.
    """
    half = {
        key: (value.to(torch.float16) if value.is_floating_point() else value).contiguous()
        for key, value in state.items()
    }
    weights = save(half)
    document = {
        "description": "Hears which drums are struck in a recording",
        "license": "GPL-3.0-or-later",
        "network": {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(config).items()
        },
        "thresholds": {group: round(value, 4) for group, value in decisions.thresholds.items()},
        "biases": {
            "/".join(stroke): round(value, 3) for stroke, value in decisions.biases.items() if value
        },
        "weights": {
            "file": WEIGHTS_FILE,
            "format": "safetensors",
            "sha256": hashlib.sha256(weights).hexdigest(),
            "size": len(weights),
        },
    }
    with AtomicFiles() as files:
        files.create(folder / TRANSCRIBER_FILE).write(
            yaml.safe_dump(document, sort_keys=False).encode()
        )
        files.create(folder / WEIGHTS_FILE).write(weights)
        files.create(folder / "training.json").write((json.dumps(record, indent=2) + "\n").encode())
