# SPDX-License-Identifier: GPL-3.0-or-later
"""From a configuration and a weights file to a backend."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lars_plugin.backends.choice import Choice, choose_backend
from lars_plugin.backends.errors import has_torch, require_torch
from lars_plugin.errors import InputError, ModelFormatError
from lars_plugin.model import Backend, ModelConfig
from lars_plugin.networks.registry import find, of_network
from lars_plugin.zoo.integrity import check_file, weights_sha256
from lars_plugin.zoo.registry import conversions

if TYPE_CHECKING:
    from torch import nn

    from lars_plugin.backends.openvino.cache import Conversions

__all__ = ["network_backend", "network_loader", "network_prepost", "open_backend"]

log = logging.getLogger(__name__)

_CALIBRATION_CHUNKS = 3

# Linux: NVIDIA's driver, its embedded boards, AMD's, and Windows' behind its subsystem.
_CARDS = ("nvidiactl", "nvidia0", "nvhost-ctrl", "nvmap", "kfd", "dxg")


def open_backend(
    config: ModelConfig, path: Path, device: str, precision: str, backend: str | None
) -> Backend:
    """The backend that runs a model's weights file; see ``load_model`` for the arguments.

    Raises:
        ModelError: the file is not what the configuration says.
        InputError: an invalid choice.
        EngineError: the device is not there.
    """
    assert config.weights is not None
    check_file(path, config.weights)
    torchscript = config.weights.format == "torchscript"
    if backend == "torch" and torchscript:
        backend = "torchscript"  # the same library
    choice = _choice(config, device, precision, backend, torchscript=torchscript)
    # Imported where it is needed: neither a list of models nor a network that was converted
    # before must wait for torch.
    if torchscript:
        require_torch("a TorchScript file")
        from lars_plugin.backends.torchscript import TorchScriptBackend

        return TorchScriptBackend(path, stems=len(config.stems), device=device)
    if config.architecture == "torchscript":
        raise ModelFormatError(f"model {config.name} is a TorchScript file, but {path} is not one")

    load = network_loader(config, path)
    digest = ""
    if choice.backend == "openvino":
        digest = config.weights.sha256 or weights_sha256(path)
        if not config.weights.sha256:
            load()  # nothing is known about this file: it should fail now, not at the first chunk
    return network_backend(config, load, choice, device=device, digest=digest)


def network_loader(config: ModelConfig, path: Path) -> Callable[[], nn.Module]:
    """What makes a model's network with the weights of a file, when it is called."""

    def load() -> nn.Module:
        require_torch("reading these weights")
        from lars_plugin.zoo.checkpoints import load_weights

        return load_weights(config, path)[0]

    return load


def _choice(
    config: ModelConfig, device: str, precision: str, backend: str | None, *, torchscript: bool
) -> Choice:
    from lars_plugin.backends.openvino.runtime import has_bfloat16, has_openvino

    choice = choose_backend(
        backend,
        precision,
        architecture=config.architecture,
        device=device,
        torchscript=torchscript,
        accelerated=_accelerated,
        openvino=has_openvino,
        bfloat16=has_bfloat16,
    )
    log.info(
        "%s: backend %s, %s%s",
        config.name,
        choice.backend,
        choice.precision,
        f" ({choice.reason})" if choice.reason else "",
    )
    return choice


def _accelerated() -> bool:
    """Whether the device ``auto`` is a graphics card; imports PyTorch only if there may be one."""
    if not has_torch():
        return False
    if "torch" not in sys.modules and sys.platform == "linux":
        if not any(Path("/dev", name).exists() for name in _CARDS):
            return False
    from lars_plugin.backends.torch_backend import choose_device

    return choose_device("auto").type != "cpu"


def network_backend(
    config: ModelConfig,
    load: Callable[[], nn.Module],
    choice: Choice,
    *,
    device: str = "auto",
    digest: str = "",
    threads: int | None = None,
    where: Conversions | None = None,
) -> Backend:
    """A network on a backend.

    Args:
        config: the model; only architecture, settings and stems matter here.
        load: makes the network with its weights; called at most twice.
        choice: ``torch`` or ``openvino``.
        device: for ``torch``.
        digest: of the weights, for ``openvino``: conversions are cached under it.
        threads: for ``openvino``; None: all.
        where: conversions are, for ``openvino``; None: where they usually are.

    Raises:
        InputError: a package is missing, or the backend cannot run this architecture.
        EngineError: the device is not there.
    """
    if choice.backend == "openvino":
        from lars_plugin.backends.openvino.backend import OpenVINOBackend
        from lars_plugin.backends.openvino.causal import OpenVINOCausalBackend

        identity = {
            "weights": digest,
            "architecture": config.architecture,
            "stems": len(config.stems),
            "network": repr(sorted(config.network.items())),
        }
        cache = where or conversions()
        row = find(config.architecture)
        if row is not None and row.causal:
            return OpenVINOCausalBackend(
                network_prepost(config, load),
                identity=identity,
                cache=cache,
                precision=choice.precision,
                on_warning=log.warning,
            )
        return OpenVINOBackend(
            network_prepost(config, load),
            identity=identity,
            cache=cache,
            precision=choice.precision,
            threads=threads,
            calibration=lambda channels, samples: _calibration(config, channels, samples),
            on_warning=log.warning,
        )
    require_torch("this backend")
    from lars_plugin.backends.torch_backend import TorchBackend
    from lars_plugin.backends.torch_causal import TorchCausalBackend

    network = load()
    row = of_network(network)
    if row is not None and row.causal:
        return TorchCausalBackend(network, device=device, precision=choice.precision)
    return TorchBackend(network, device=device, precision=choice.precision)


def network_prepost(config: ModelConfig, load: Callable[[], nn.Module]) -> Any:
    """A network without its core: a ``PrePost``, or a ``CausalPrePost`` for a causal network.

    Args:
        config: the model.
        load: makes the network; not called before the core is needed.

    Raises:
        InputError: an architecture that only PyTorch can run.
        ModelFormatError: settings that make no network.
    """

    def network() -> Any:
        return load().eval().requires_grad_(False)

    row = find(config.architecture)
    if row is None or not row.prepost:
        raise InputError(f"openvino cannot run {config.architecture} networks: use --backend torch")
    try:
        shape = row.shape_class().of(config)
    except (TypeError, ValueError, InputError) as error:
        raise ModelFormatError(f"model {config.name}: its settings fail: {error}") from error
    return row.build_prepost(shape, network)


def _calibration(config: ModelConfig, channels: int, samples: int) -> NDArray[np.float32]:
    """Synthesised drums, ``(n, channels, samples)``: sounds of random kits at random times."""
    from lars_plugin.synthesis import random_kit

    rng = np.random.default_rng(0)
    result = np.zeros((_CALIBRATION_CHUNKS, channels, samples), np.float32)
    rate = config.sample_rate
    for chunk in result:
        kit = random_kit(rng)
        sounds = [wave for stem in kit.sounds.values() for wave in stem.values()]
        for _ in range(max(4, 12 * samples // rate)):  # about twelve strokes a second
            wave = sounds[rng.integers(len(sounds))]
            start = int(rng.integers(samples))
            wave = wave[: samples - start] * np.float32(rng.uniform(0.05, 0.5))
            pan = rng.uniform(0.6, 1.0, channels).astype(np.float32)
            chunk[:, start : start + len(wave)] += pan[:, None] * wave
    return result
