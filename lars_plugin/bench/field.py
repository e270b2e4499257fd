# SPDX-License-Identifier: GPL-3.0-or-later
"""The field's own networks, to measure beside ours: same weights, chunks, overlap and threads.

None of it is a dependency. What can be imported is measured: ``demucs`` (PyPI, 4.1) for HT-Demucs,
and for BS-RoFormer the package ``models`` of a checkout of ZFTurbo's
Music-Source-Separation-Training, or PyPI's ``bs_roformer`` where it knows all settings. A folder
on PYTHONPATH will do; it need not be the environment of this package.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from typing import Any

from torch import nn

from lars_plugin.backends.torch_backend import TorchBackend
from lars_plugin.bench.random_weights import random_network
from lars_plugin.errors import InputError
from lars_plugin.model import ModelConfig
from lars_plugin.networks.registry import find

__all__ = ["FieldBackend"]

# Names of our settings that the field calls otherwise.
_ROFORMER_NAMES = {"n_fft": "stft_n_fft", "hop_length": "stft_hop_length"}


class FieldBackend(TorchBackend):
    """The field's network with the random weights of ours.

    Args:
        config: of a full-size model.

    Raises:
        InputError: the field's code is not installed, or cannot be given these settings.
    """

    def __init__(self, config: ModelConfig) -> None:
        row = find(config.architecture)
        if row is not None and row.package:
            network = _packaged(config, row.package)
        elif "freqs_per_bands" in config.network:
            network = _roformer(config)
        else:
            raise InputError(f"the field's code for {config.name} is not known here")
        try:
            network.load_state_dict(random_network(config).state_dict())
        except RuntimeError as error:
            raise InputError("the installed code of the field makes another network") from error
        super().__init__(network, device="cpu")

    @property
    def name(self) -> str:
        return "field's code, torch cpu float32"


def _packaged(config: ModelConfig, package: str) -> nn.Module:
    """A network of Demucs; ``package`` is where its class lies."""
    settings = dict(config.network)
    samples = settings.pop("segment_length", 0)
    if samples:
        settings["segment"] = samples / config.sample_rate
    module, _, name = package.rpartition(".")
    return _made(
        ((module, name),),
        {"sources": list(config.stems), "samplerate": config.sample_rate, **settings},
    )


def _roformer(config: ModelConfig) -> nn.Module:
    settings = {_ROFORMER_NAMES.get(key, key): value for key, value in config.network.items()}
    settings["freqs_per_bands"] = tuple(settings["freqs_per_bands"])
    settings |= {
        "stft_win_length": settings["stft_n_fft"],
        "stereo": config.channels == 2,
        "num_stems": len(config.stems),
    }
    places = (
        ("models.bs_roformer.bs_roformer", "BSRoformer"),
        ("bs_roformer.bs_roformer", "BSRoformer"),
    )
    return _made(places, settings)


def _made(places: tuple[tuple[str, str], ...], settings: Mapping[str, Any]) -> nn.Module:
    """An object of the first class that is installed and knows all settings."""
    why = "not installed"
    for module, name in places:
        try:
            kind = getattr(importlib.import_module(module), name)
        except ImportError:
            continue
        unknown = set(settings) - set(inspect.signature(kind.__init__).parameters)
        if unknown:
            why = f"{module} has no {', '.join(sorted(unknown))}"
            continue
        result: nn.Module = kind(**settings).eval()
        return result
    raise InputError(why)
