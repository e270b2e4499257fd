# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding, downloading and loading models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lars_plugin.model import Chunking, ModelConfig, WeightsFile, canonical_stem
from lars_plugin.zoo.load import load_model
from lars_plugin.zoo.registry import find_weights, get_config, list_models

if TYPE_CHECKING:
    from lars_plugin.zoo.fetch import download

__all__ = [
    "Chunking",
    "ModelConfig",
    "WeightsFile",
    "canonical_stem",
    "download",
    "find_weights",
    "get_config",
    "list_models",
    "load_model",
]


def __getattr__(name: str) -> Any:
    """``download`` imports network libraries, which separation does not need."""
    if name == "download":
        from lars_plugin.zoo.fetch import download

        return download
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
