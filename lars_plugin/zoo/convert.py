# SPDX-License-Identifier: GPL-3.0-or-later
"""Making model folders from published checkpoints and from our own trained networks."""

from __future__ import annotations

import dataclasses
import os
import re
from pathlib import Path

import torch
from torch import nn

from lars_plugin.errors import InputError, ModelError, ModelFormatError
from lars_plugin.files import replacing
from lars_plugin.model import ModelConfig, WeightsFile
from lars_plugin.zoo.checkpoints import build_network, load_state, load_weights, save_state
from lars_plugin.zoo.integrity import check_file, weights_sha256
from lars_plugin.zoo.load import resolve
from lars_plugin.zoo.registry import CONFIG_FILE
from lars_plugin.zoo.yaml_configs import config_name, dump_config, read_config

__all__ = ["STORED", "convert", "write_weights"]

WEIGHTS_FILE = "weights.safetensors"

# What floating-point tensors are stored as.
STORED = {"float16": torch.float16, "float32": torch.float32}


def convert(
    model: str | os.PathLike[str] | ModelConfig | None,
    folder: str | os.PathLike[str],
    *,
    weights: str | os.PathLike[str] | None = None,
    config: str | os.PathLike[str] | ModelConfig | None = None,
    name: str | None = None,
    dtype: str = "float32",
) -> Path:
    """Write a model as a folder of ``config.yaml`` and safetensors, to be used by its path.

    The tensors are loaded into the network first, so the folder is sure to load.

    Args:
        model: what to convert; this, ``weights`` and ``config`` as in
            :func:`~lars_plugin.zoo.load.load_model`.
        folder: target; created if needed. A model in it is replaced.
        weights: see ``model``.
        config: see ``model``.
        name: of the new model; the folder's for None.
        dtype: ``float32``, or ``float16`` for half the size.

    Returns:
        The folder.

    Raises:
        ModelError: as for loading; TorchScript files are finished networks and not convertible.
        InputError: unknown dtype.
    """
    source, path = resolve(model, weights=weights, config=config)
    assert source.weights is not None
    if dtype not in STORED:
        raise InputError(f"unknown dtype {dtype!r}; use {', '.join(STORED)}")
    if source.weights.format == "torchscript":
        raise ModelFormatError(f"{path} is TorchScript, a finished network: it cannot be converted")
    check_file(path, source.weights)
    said = source.network
    network, source = load_weights(source, path)
    target = Path(folder) / CONFIG_FILE
    in_place = isinstance(config, (str, os.PathLike)) and _same_file(Path(config), target)
    # What a package said of its network has to be written down: tensors alone do not say it.
    if in_place and source.network == said:
        write_weights(network, folder, dtype=dtype)  # which keeps the comments
        return Path(folder)
    file = target.with_name(WEIGHTS_FILE)
    # Weights first: after a crash in between, the old configuration's SHA-256 does not match them.
    save_state(network.state_dict(), file, STORED[dtype])
    written = WeightsFile(WEIGHTS_FILE, "safetensors", weights_sha256(file), file.stat().st_size)
    result = dataclasses.replace(
        source, name=config_name(name or target.parent.resolve().name), weights=written
    )
    with replacing(target, error=ModelError) as temporary:
        temporary.write_text(dump_config(result), encoding="utf-8")
    return target.parent


def _same_file(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and one.samefile(other)


def write_weights(
    network: nn.Module, folder: str | os.PathLike[str], *, dtype: str = "float16"
) -> str:
    """Put a network's weights into its model folder and note their SHA-256 in ``config.yaml``.

    The rest of ``config.yaml``, its comments included, stays as it is. Weights that do not fit
    the network that ``config.yaml`` describes are refused before anything is written.

    Args:
        network: trained.
        folder: with a ``config.yaml`` whose ``weights`` has ``file``, ``sha256`` and ``size``.
        dtype: ``float16`` or ``float32``.

    Returns:
        The SHA-256.

    Raises:
        ModelFormatError: network and configuration differ, or a value is not finite.
        ModelError: the folder has no configuration or cannot be written.
        InputError: unknown dtype.
    """
    if dtype not in STORED:
        raise InputError(f"unknown dtype {dtype!r}; use {', '.join(STORED)}")
    path = Path(folder) / CONFIG_FILE
    config = read_config(path)
    if config.weights is None or config.weights.format != "safetensors":
        raise ModelFormatError(f"{path} does not name a safetensors file under weights")
    if config.weights.of:
        raise ModelFormatError(f"the weights that {path} names are those of {config.weights.of}")
    text = path.read_text(encoding="utf-8")
    for key in ("sha256", "size"):
        if not re.search(rf"(?m)^\s+{key}:", text):
            raise ModelFormatError(f"{path} has no line for weights.{key}")
    state = network.state_dict()
    load_state(build_network(config), state, "the network")
    weights = path.with_name(config.weights.file)
    save_state(state, weights, STORED[dtype])
    sha256 = weights_sha256(weights)
    for key, value in (("sha256", sha256), ("size", str(weights.stat().st_size))):
        text = re.sub(rf"(?m)^(\s+{key}:).*$", rf"\g<1> {value}", text, count=1)
    with replacing(path, error=ModelError) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return sha256
