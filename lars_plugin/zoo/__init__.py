# SPDX-License-Identifier: GPL-3.0-or-later
"""What models there are, and how they come onto this machine and into memory."""

from __future__ import annotations

from lars_plugin.zoo.config import Chunking, ModelConfig, WeightsFile, canonical_stem
from lars_plugin.zoo.fetch import download
from lars_plugin.zoo.load import load_model
from lars_plugin.zoo.registry import find_weights, get_config, list_models

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
