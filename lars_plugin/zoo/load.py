# SPDX-License-Identifier: GPL-3.0-or-later
"""Loading a model by name, from a folder or from files."""

from __future__ import annotations

import dataclasses
import functools
import logging
import os
import zipfile
from pathlib import Path
from typing import Any

from lars_plugin.errors import InputError, ModelNotFoundError
from lars_plugin.model import AnyModel, Model, ModelConfig, WeightsFile
from lars_plugin.networks.registry import find
from lars_plugin.pickling import remember
from lars_plugin.refine.spatial_wiener import SpatialFilter
from lars_plugin.zoo.backends import open_backend
from lars_plugin.zoo.composite_specs import load_composite
from lars_plugin.zoo.registry import CONFIG_FILE, find_weights, get_config, model_folders
from lars_plugin.zoo.yaml_configs import read_config

__all__ = ["load_model", "read_model_config", "resolve"]

log = logging.getLogger(__name__)

AnySource = str | os.PathLike[str] | ModelConfig | None

_WEIGHTS_SUFFIXES = (".safetensors", ".ckpt", ".th", ".pth", ".pt", ".bin")


def load_model(
    model: str | os.PathLike[str] | ModelConfig | None = None,
    *,
    weights: str | os.PathLike[str] | None = None,
    config: str | os.PathLike[str] | ModelConfig | None = None,
    device: str = "auto",
    precision: str = "float32",
    backend: str | None = None,
) -> AnyModel:
    """Load a model: check its file, build its network, load the weights, choose the device.

    Args:
        model: a name of the zoo, ``cascade:A,B``, ``A+B`` or ``auto:A,B`` of such names, each of
            which may be ``NAME@PRESET``, a model folder, a configuration (file or object), an
            ensemble's file, or None if ``config`` is given.
        weights: a weights file to use instead of the configuration's. It has no published
            checksum, so only its content is checked.
        config: a configuration (file or object), ours or the field's, instead of the model's.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:<n>`` or ``mps``.
        precision: ``float32``, ``bfloat16``; with PyTorch also ``float16``, with OpenVINO
            ``int8``; ``auto``: the fastest that costs this kind of model less than 0.1 dB.
        backend: ``torch`` (TorchScript files still run as TorchScript), ``torchscript``,
            ``openvino``, or ``auto``: the fastest here; None, as on the command line, is
            LARS_BACKEND if set, else ``auto``. Backends differ in the last bits of a float32.

    Raises:
        ModelNotFoundError: no such model, or its weights are not on this machine.
        ModelIntegrityError: the file is not the one that was published.
        ModelFormatError: file and configuration do not fit together, or the file is unsafe.
        InputError: arguments that exclude each other, or an unknown device or precision.
        EngineError: the device does not exist.
    """
    how: dict[str, Any] = {"device": device, "precision": precision, "backend": backend}
    result: AnyModel | None = None
    if model is not None and weights is None and config is None:
        result = load_composite(model, functools.partial(load_model, **how))
    if result is None:
        result = _load_one(model, weights, config, how)
    places = {"weights": _lasting(weights), "config": _lasting(config)}
    return remember(result, load_model, _lasting(model), **places, **how)


def _load_one(
    model: AnySource, weights: AnySource, config: AnySource, how: dict[str, Any]
) -> Model:
    assert not isinstance(weights, ModelConfig)
    chosen, path = resolve(model, weights=weights, config=config)
    log.info("loading %s from %s", chosen.name, path)
    opened = open_backend(chosen, path, **how)
    if chosen.spatial:
        opened = SpatialFilter(opened, chosen.spatial)
    return Model(chosen, opened)


def _lasting(source: AnySource) -> AnySource:
    """The same model for a process with another current folder."""
    if source is None or isinstance(source, ModelConfig):
        return source
    is_name = isinstance(source, str) and source in model_folders()
    return source if is_name or not Path(source).exists() else os.path.abspath(source)


def resolve(
    model: str | os.PathLike[str] | ModelConfig | None = None,
    *,
    weights: str | os.PathLike[str] | None = None,
    config: str | os.PathLike[str] | ModelConfig | None = None,
) -> tuple[ModelConfig, Path]:
    """The configuration and the weights file that :func:`load_model` would use, unchecked.

    In the configuration ``weights`` is the file that was found.
    """
    if model is not None and config is not None:
        if weights is not None or isinstance(model, ModelConfig) or not Path(model).is_file():
            raise InputError("give a model, or a config and its weights, not all of them")
        model, weights = None, model
    source = config if config is not None else model
    if source is None:
        raise InputError("name a model, or give a config and its weights")
    chosen, folder = read_model_config(source)
    if weights is None:
        return chosen, find_weights(chosen, folder)
    path = Path(weights)
    row = find(chosen.architecture)
    folder_allowed = row is not None and row.checkpoint_folder
    if not path.is_file() and not (path.is_dir() and folder_allowed):
        raise ModelNotFoundError(f"no weights file {path}")
    return dataclasses.replace(chosen, weights=_unpublished(path)), path


def read_model_config(
    source: str | os.PathLike[str] | ModelConfig,
) -> tuple[ModelConfig, Path | None]:
    """A configuration and, when it is not the zoo's, the folder it lies in.

    A name of the zoo takes precedence over a folder of that name.

    Args:
        source: a name, a model folder, a configuration file or a configuration.

    Raises:
        ModelNotFoundError: it does not exist.
        ModelFormatError: it is broken.
        InputError: it is a file of weights.
    """
    if isinstance(source, ModelConfig):
        return source, None
    path = Path(source)
    is_name = isinstance(source, str) and len(path.parts) == 1
    if is_name and source in model_folders():
        return get_config(str(source)), None
    if path.is_dir():
        return read_config(path / CONFIG_FILE), path
    if path.suffix.lower() in (".yaml", ".yml"):
        return read_config(path), path.parent
    if path.suffix.lower() in _WEIGHTS_SUFFIXES:
        raise InputError(f"{path} is a file of weights; give its config too")
    if is_name:
        return get_config(str(source)), None  # whose error lists the names
    raise ModelNotFoundError(f"no model folder {path}")


def _unpublished(path: Path) -> WeightsFile:
    """The kind of a user's file, by its content if its name does not decide."""
    if path.is_dir():
        return WeightsFile(path.name, "checkpoints")
    if path.suffix.lower() == ".safetensors":
        return WeightsFile(path.name, "safetensors")
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if any(name.endswith("/constants.pkl") for name in archive.namelist()):
                return WeightsFile(path.name, "torchscript")
    return WeightsFile(path.name, "checkpoint")
