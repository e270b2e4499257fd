# SPDX-License-Identifier: GPL-3.0-or-later
"""Models and where their files are.

A model is a folder with a ``config.yaml``. Models are searched for in the folders of the
environment variable LARS_MODELS_PATH (separated as PATH is), then among the package's own.
Weights are in the model's folder, or in the cache folder below the model's name.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Protocol

import platformdirs

from lars_plugin.backends.openvino.cache import Conversions
from lars_plugin.errors import ModelError, ModelNotFoundError
from lars_plugin.model import ModelConfig, WeightsFile
from lars_plugin.zoo.yaml_configs import read_config

__all__ = [
    "Published",
    "cache_folder",
    "conversions",
    "find_weights",
    "get_config",
    "list_models",
    "model_folders",
    "model_roots",
    "weights_here",
]

log = logging.getLogger(__name__)

CONFIG_FILE = "config.yaml"
# The folder of networks that were converted ahead, in the cache and beside the package's models.
PREPARED = "prepared"


class Published(Protocol):
    """What has weights that may have to be fetched: a model or a transcriber."""

    @property
    def name(self) -> str: ...

    @property
    def license(self) -> str: ...

    @property
    def weights(self) -> WeightsFile | None: ...


def _own_models() -> Path:
    """The models that come with the package: package data in a wheel, ``models/`` in a checkout."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "_models", package.parent / "models"):
        if folder.is_dir():
            return folder
    raise ModelError(f"this installation has no models: {package / '_models'} is missing")


def cache_folder() -> Path:
    """The folder of downloads and conversions: LARS_CACHE, or the platform's cache folder. It may
    not exist yet, and creating it may fail."""
    chosen = os.environ.get("LARS_CACHE")
    path = Path(chosen or platformdirs.user_cache_dir("lars-plugin", appauthor=False))
    try:
        path = path.expanduser()
    except RuntimeError:  # a user without a home folder, as in some containers
        log.debug("there is no home folder for %s", path)
        # A path below a file can never be a folder; "~" would become one in the current folder.
        return Path(os.devnull, *path.parts[1:])
    return path


def conversions(*, ahead: Path | None = None) -> Conversions:
    """Where networks converted for OpenVINO are: the cache, and what was prepared there or came
    with the package.

    Args:
        ahead: prepare them into this folder instead.
    """
    if ahead is not None:
        return Conversions(ahead, ahead=True)
    cache = cache_folder()
    return Conversions(cache / "openvino", (cache / PREPARED, _own_models() / PREPARED))


def model_roots() -> list[Path]:
    """The folders in which models lie, users' before the package's own."""
    chosen = os.environ.get("LARS_MODELS_PATH", "").split(os.pathsep)
    roots = [Path(root).expanduser() for root in chosen if root]
    for root in roots:
        if not root.is_dir():
            log.warning("LARS_MODELS_PATH names %s, which is not a folder", root)
    return [*(root for root in roots if root.is_dir()), _own_models()]


def model_folders() -> dict[str, Path]:
    """Name to folder of every model, users' folders before the package's own."""
    found: dict[str, Path] = {}
    for root in model_roots():
        for config in sorted(root.glob(f"*/{CONFIG_FILE}")):
            found.setdefault(config.parent.name, config.parent)
    return found


def list_models() -> list[ModelConfig]:
    """All models, by name. A folder whose configuration is broken is left out with a warning."""
    models = []
    for name in sorted(model_folders()):
        try:
            models.append(get_config(name))
        except ModelError as error:
            log.warning("%s", error)
    return models


def get_config(name: str) -> ModelConfig:
    """The configuration of a model of the zoo.

    Raises:
        ModelNotFoundError: no model has that name.
        ModelFormatError: its configuration is broken.
    """
    folders = model_folders()
    if name not in folders:
        raise ModelNotFoundError(f"no model {name!r}; there are {', '.join(sorted(folders))}")
    config = read_config(folders[name] / CONFIG_FILE)
    if config.name != name:
        raise ModelError(f"{folders[name] / CONFIG_FILE} is called {config.name!r}: rename one")
    return config


def find_weights(config: Published, folder: Path | None = None) -> Path:
    """The file with a model's weights.

    Args:
        config: the model, or the transcriber.
        folder: its folder, for transcribers and for models outside the zoo.

    Raises:
        ModelNotFoundError: it is not on this machine; the message says which file to put where.
    """
    if config.weights is None:
        raise ModelNotFoundError(f"the configuration of {config.name} does not name a weights file")
    file = config.weights.file
    for place in _weights_folders(config, folder):
        path = place / file
        try:
            if path.is_dir() if config.weights.format == "checkpoints" else path.is_file():
                return path
        except OSError as error:  # a folder without read permission
            log.debug("%s: %s", path, error)
    raise ModelNotFoundError(missing_weights(config, folder))


def weights_here(config: Published, folder: Path | None = None) -> Path | None:
    """:func:`find_weights`, and None where it is not on this machine."""
    try:
        return find_weights(config, folder)
    except ModelNotFoundError:
        return None


def missing_weights(config: Published, folder: Path | None = None) -> str:
    """One line: the missing file, its addresses, and the folder for it."""
    assert config.weights is not None
    urls = config.weights.urls
    if not urls:
        place = _weights_folders(config, folder)[0]
        return f"the weights of {config.name} are not here: put {config.weights.file} into {place}"
    return (
        f"the weights of {config.name} are not here: run `lars models download {config.name}`, "
        f"or get it from {' or '.join(urls)} and put it, as {config.weights.file}, into "
        f"{_weights_folders(config, folder)[-1]}"
    )


def _weights_folders(config: Published, folder: Path | None) -> list[Path]:
    name = config.name
    if config.weights is not None and config.weights.of:
        name, folder = config.weights.of, None
    own = folder if folder is not None else model_folders().get(name)
    return [*([own] if own is not None else []), cache_folder() / name]
