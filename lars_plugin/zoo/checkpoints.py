# SPDX-License-Identifier: GPL-3.0-or-later
"""State dicts: reading them from files without running code, loading them into a network."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from lars_plugin.errors import ModelError, ModelFormatError
from lars_plugin.files import replacing
from lars_plugin.forks import settle_torch
from lars_plugin.model import ModelConfig
from lars_plugin.networks.registry import ARCHITECTURES, find, of_network
from lars_plugin.zoo.packages import Package, package_of, settled, words_allowed
from lars_plugin.zoo.unreadable import unreadable

__all__ = ["build_network", "load_state", "load_weights", "read_state", "save_state"]

# Keys under which checkpoints keep the network's tensors; the last is our training's average.
_WRAPPERS = ("state", "state_dict", "model_state_dict", "model_weights", "ema")

# Left by training: on several cards, compiled, with Lightning.
_PREFIXES = ("module.", "_orig_mod.", "model.")

_CHECKPOINTS = (".pth", ".ckpt", ".th", ".pt")

_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_LISTED = 3  # names that an error message lists


def build_network(config: ModelConfig) -> nn.Module:
    """The network a configuration describes, with random weights.

    Raises:
        ModelFormatError: unknown architecture, or settings that do not make a network.
    """
    row = find(config.architecture)
    if row is None:
        known = ", ".join((*ARCHITECTURES, "torchscript", "cascade", "ensemble"))
        raise ModelFormatError(
            f"model {config.name}: unknown architecture {config.architecture!r}; known: {known}"
        )
    settle_torch()
    try:
        shape = row.shape_class().of(config)
        shape.check_chunking(config.chunking)
        return row.build(shape)
    # Settings from a file can be wrong in any way.
    except Exception as error:
        first = str(error).split("\n", 1)[0] or type(error).__name__
        raise ModelFormatError(f"model {config.name}: its settings fail: {first}") from error


def load_weights(config: ModelConfig, path: Path) -> tuple[nn.Module, ModelConfig]:
    """The network of a configuration with the weights of a file.

    Returns:
        The network, and the configuration with what a published package says of the network where
        the configuration says nothing.

    Raises:
        ModelFormatError: the file is broken, holds code, or does not fit the configuration.
    """
    assert config.weights is not None
    if config.weights.format != "checkpoint":
        network = build_network(config)
        load_state(network, read_state(path, config.weights.format, config.stems), str(path))
        return network, config
    data, package = _read_checkpoint(path)
    config = settled(config, package, path)
    network = build_network(config)
    load_state(network, _unwrap(data, path), str(path))
    return network, config


def read_state(path: Path, kind: str, stems: Sequence[str] = ()) -> dict[str, Tensor]:
    """The tensors of a weights file by name; no code in the file is run.

    Args:
        path: the file.
        kind: ``safetensors``, ``checkpoint``, or ``checkpoints``: a folder with a checkpoint for
            each stem, whose tensors get the stem's name in front.
        stems: only for ``checkpoints``.

    Raises:
        ModelFormatError: the file is broken, holds code, or holds no state dict.
    """
    if kind == "checkpoints":
        return {
            f"{stem}.{key}": tensor
            for stem in stems
            for key, tensor in read_state(_checkpoint_of(path, stem), "checkpoint").items()
        }
    try:
        if kind == "safetensors":
            # Copied out of the mapped file, which may be overwritten while the model is in use.
            return {key: tensor.clone() for key, tensor in load_file(path).items()}
    # A file from anywhere can break a parser in any way.
    except Exception as error:
        raise unreadable(path, kind, error) from error
    return _unwrap(_read_checkpoint(path)[0], path)


def _read_checkpoint(path: Path) -> tuple[object, Package | None]:
    """What a checkpoint holds: tensors and plain values."""
    try:
        with warnings.catch_warnings(), words_allowed():
            warnings.simplefilter("ignore")  # its advice is for users who trust the file
            data = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise unreadable(path, "checkpoint", error) from error
    return data, package_of(data, path)


def _checkpoint_of(folder: Path, stem: str) -> Path:
    """The only checkpoint in or below a folder that is named after a stem."""
    found = [
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in _CHECKPOINTS and stem in path.name.lower() and path.is_file()
    ]
    if len(found) != 1:
        names = ", ".join(path.name for path in found[:_LISTED]) or "none"
        raise ModelFormatError(
            f"{folder} must hold one checkpoint with {stem} in its name, but there is {names}"
        )
    return found[0]


def _unwrap(data: object, path: Path) -> dict[str, Tensor]:
    if isinstance(data, Mapping):
        for key in _WRAPPERS:
            if isinstance(data.get(key), Mapping):
                data = data[key]
                break
    if not isinstance(data, Mapping) or not data:
        raise ModelFormatError(f"{path} holds {type(data).__name__}, not a state dict")
    for key, value in data.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise ModelFormatError(f"{path} holds no state dict: {key!r} is not a named tensor")
    state = dict(data)
    while True:  # one in the other, as Lightning on several cards leaves them
        prefix = next((one for one in _PREFIXES if all(key.startswith(one) for key in state)), "")
        if not prefix:
            return state
        state = {key[len(prefix) :]: value for key, value in state.items()}


def load_state(network: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Put a state dict into a network after checking names, shapes, types and finiteness.

    Floating-point tensors of any precision become float32.

    Args:
        network: gets the tensors.
        state: the tensors by name.
        source: name of the file in errors.

    Raises:
        ModelFormatError: it does not fit.
    """
    wanted = network.state_dict()
    missing = [key for key in wanted if key not in state]
    unexpected = [key for key in state if key not in wanted]
    if missing or unexpected:
        row = of_network(network)
        other = row is not None and len(missing) == len(wanted)
        raise ModelFormatError(
            f"{source} does not fit its configuration:"
            + (f" it holds no weights of a {row.name} network;" if row and other else "")
            + _listed(" missing", missing)
            + _listed(" unexpected", unexpected)
        )
    for key, tensor in state.items():
        if tensor.shape != wanted[key].shape:
            raise ModelFormatError(
                f"{source} does not fit its configuration: {key} has shape {tuple(tensor.shape)} "
                f"instead of {tuple(wanted[key].shape)}"
            )
        floating = wanted[key].is_floating_point()
        if tensor.dtype not in (_FLOATS if floating else (wanted[key].dtype,)):
            known = [str(one).removeprefix("torch.") for one in (_FLOATS if floating else ())]
            raise ModelFormatError(
                f"{source}: {key} is {tensor.dtype}, not {wanted[key].dtype}"
                + (f"; supported: {', '.join(known)}" if known else "")
            )
        if floating and not bool(torch.isfinite(tensor).all()):
            raise ModelFormatError(f"{source}: {key} holds NaN or Inf, the file is damaged")
    converted = {key: tensor.to(wanted[key].dtype) for key, tensor in state.items()}
    # Assigned, not copied, so that large models are in memory only once.
    network.load_state_dict(converted, assign=True)
    network.requires_grad_(False)


def _listed(what: str, keys: list[str]) -> str:
    if not keys:
        return ""
    more = f" and {len(keys) - _LISTED} more" if len(keys) > _LISTED else ""
    return f"{what} {', '.join(keys[:_LISTED])}{more};"


def save_state(state: Mapping[str, Tensor], path: Path, dtype: torch.dtype) -> None:
    """Write a state dict as safetensors, completely or not at all.

    Args:
        state: the tensors by name.
        path: where.
        dtype: of the floating-point tensors in the file.

    Raises:
        ModelFormatError: a value is not finite, or too large for the dtype.
        ModelError: it cannot be written.
    """
    stored: dict[str, Tensor] = {}
    for key, tensor in state.items():
        tensor = tensor.detach().cpu()
        if tensor.is_floating_point():
            tensor = tensor.to(dtype)
            if not bool(torch.isfinite(tensor).all()):
                raise ModelFormatError(f"{key} holds NaN, Inf or values too large for {dtype}")
        # Cloned: tensors that share memory cannot be stored.
        stored[key] = tensor.clone(memory_format=torch.contiguous_format)
    metadata: dict[str, Any] = {"format": "pt"}
    with replacing(path, error=ModelError) as temporary:
        try:
            # Not save_file, which creates a file that only its owner may read.
            temporary.write_bytes(save(stored, metadata))
        except Exception as error:
            raise ModelError(f"cannot write {path}: {error}") from error
