# SPDX-License-Identifier: GPL-3.0-or-later
"""Models converted ahead: the first run converts nothing, and needs no PyTorch."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from lars_plugin.backends.choice import Choice
from lars_plugin.backends.openvino.convert import optional
from lars_plugin.errors import InputError
from lars_plugin.networks.registry import compiled_names, find
from lars_plugin.zoo.backends import network_backend, network_loader
from lars_plugin.zoo.composite_specs import part_names
from lars_plugin.zoo.integrity import check_file, weights_sha256
from lars_plugin.zoo.load import read_model_config, resolve
from lars_plugin.zoo.registry import (
    PREPARED,
    cache_folder,
    conversions,
    list_models,
    model_folders,
    weights_here,
)
from lars_plugin.zoo.transcribers import (
    find_transcriber,
    list_transcribers,
    transcriber_folders,
)

__all__ = ["preparable", "prepare"]

# What loads its networks in parts that OpenVINO can run.
_TRANSCRIBERS = ("transcriber",)


def preparable() -> list[str]:
    """Names of the models and transcribers that can be converted and whose weights are here."""
    names = []
    for config in list_models():
        row = find(config.architecture)
        if row is not None and row.prepost and weights_here(config):
            names.append(config.name)
    for card in list_transcribers():
        if card.architecture in _TRANSCRIBERS and weights_here(card, card.folder):
            names.append(card.name)
    return names


def prepare(name: str, folder: Path | None = None) -> Path:
    """Convert a model, all models of a cascade or an ensemble, or a transcriber ahead.

    What is prepared is found by any version of OpenVINO that can read it, on any system, for the
    weights and the chunks of the model as they are. In float32, which serves bfloat16 too.

    Args:
        name: a name from ``lars models list``, or a model folder.
        folder: to write into; None: ``prepared`` in the cache folder, where it is found. Another
            folder is found when it is that one on another machine, or ``prepared`` among the
            package's models.

    Returns:
        The folder.

    Raises:
        InputError: OpenVINO or PyTorch is missing, or OpenVINO cannot run this architecture.
        ModelError: as for loading.
        EngineError: it cannot be converted or written.
    """
    target = folder if folder is not None else cache_folder() / PREPARED
    optional("openvino", "openvino")
    where = conversions(ahead=target)
    if name in transcriber_folders() and name not in model_folders():
        card = find_transcriber(name)
        if card.architecture not in _TRANSCRIBERS:
            raise InputError(
                f"openvino cannot run {card.architecture} networks: {name} is as it is"
            )
        import_module("lars_plugin.midi.transcriber").prepare_own(card, where)
        return target
    parts = part_names(name)
    if parts:
        for part in parts:
            prepare(part, folder)
        return target
    row = find(read_model_config(name)[0].architecture)
    if row is None or not row.prepost:
        raise InputError(
            f"openvino runs {' and '.join(compiled_names())} networks: {name} cannot be prepared"
        )
    config, path = resolve(name)
    assert config.weights is not None
    check_file(path, config.weights)
    digest = config.weights.sha256 or weights_sha256(path)
    backend: Any = network_backend(
        config,
        network_loader(config, path),
        Choice("openvino", "float32"),
        digest=digest,
        where=where,
    )
    if not row.causal:  # which converts when it is made
        backend.prepare(config.channels, config.chunking.chunk_size)
    return target
