# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks as single files for other programs: TorchScript and ONNX.

Both hold the whole network including the STFT, with waves ``(1, C, chunk)`` in and stems
``(1, S, C, chunk)`` out. The LARS 2.0 plugin loads TorchScript files. ONNX has no portable FFT, so
its STFT is written as convolutions.
"""

from __future__ import annotations

import copy
import dataclasses
import importlib
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from lars_plugin.backends.torch_backend import TorchBackend
from lars_plugin.errors import EngineError, InputError, ModelError
from lars_plugin.files import replacing
from lars_plugin.model import AnyModel, ModelConfig, WeightsFile
from lars_plugin.networks.shared.stft import STFT
from lars_plugin.zoo.integrity import weights_sha256
from lars_plugin.zoo.yaml_configs import dump_config

__all__ = ["FORMATS", "export"]

jit: Any = torch.jit  # which ships no types

FORMATS = ("torchscript", "onnx")

_OPSET = 17
_LACKS = "ONNX lacks something that this network needs ({}): export torchscript"

# Relative to the largest sample: limit for rounding with another order of sums.
_TOLERANCE = {"torchscript": 1e-5, "onnx": 1e-4}


def export(model: AnyModel, path: str | os.PathLike[str], format: str) -> float:  # noqa: A002
    """Write a model's network as one file and run that file against the original.

    A TorchScript file gets a ``.yaml`` of the same name, which
    :func:`~lars_plugin.zoo.load.load_model` needs to load it. An ONNX file has name, stems and
    rate in its metadata.

    Args:
        model: with a PyTorch network.
        path: of the file; replaced if it exists.
        format: ``torchscript`` or ``onnx``.

    Returns:
        The largest difference to the original on a chunk of noise, relative to the largest
        sample of the original's output.

    Raises:
        InputError: unknown format, a model without a PyTorch network, or ONNX not installed.
        EngineError: the file does not compute what the network does; nothing is written.
        ModelError: it cannot be written.
    """
    if format not in FORMATS:
        raise InputError(f"unknown format {format!r}; use {', '.join(FORMATS)}")
    if not isinstance(model.backend, TorchBackend):
        raise InputError(f"model {model.config.name} does not hold a PyTorch network to export")
    path = Path(path)
    network = _on_cpu(model.backend.module, portable=format == "onnx")
    config = model.config
    shape = (1, config.channels, config.chunking.chunk_size)
    wave = 0.1 * torch.randn(shape, generator=torch.Generator().manual_seed(0))
    write, run = (_write_onnx, _run_onnx) if format == "onnx" else (_write_script, _run_script)
    with torch.inference_mode():
        # Compared with the original, not with its portable copy, to verify all steps.
        expected = _on_cpu(model.backend.module, portable=False)(wave).numpy()
    with replacing(path, error=ModelError) as temporary:
        write(network, wave, temporary)
        if format == "onnx":
            _label_onnx(temporary, config)
        difference = float(np.abs(run(temporary, wave) - expected).max())
        difference /= max(float(np.abs(expected).max()), 1e-9)
        if not difference <= _TOLERANCE[format]:
            raise EngineError(f"the {format} file differs from its network by {difference:.1e}")
    if format == "torchscript":
        _write_sidecar(config, path)
    return difference


def _on_cpu(network: nn.Module, *, portable: bool) -> nn.Module:
    """A copy of the network, with another STFT if it has to leave PyTorch."""
    network = copy.deepcopy(network).cpu().float().eval().requires_grad_(False)
    stft = getattr(network, "stft", None)
    if portable and isinstance(stft, STFT):
        network.stft = STFT(stft.n_fft, stft.hop_length, portable=True)
    return network


def _write_script(network: nn.Module, wave: torch.Tensor, path: Path) -> None:
    # PyTorch discourages the format; it is the one that C++ hosts of LARS 2.0 load.
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        # export verifies the file itself, on another input
        script = jit.trace(network, torch.zeros_like(wave) + 0.01, check_trace=False)
        try:
            jit.save(script, str(path))
        except RuntimeError as error:  # what it raises on a full disk
            first = str(error).split("\n", 1)[0]
            raise ModelError(f"cannot write {path.parent}: {first}") from error


def _run_script(path: Path, wave: torch.Tensor) -> NDArray[np.float32]:
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        result: NDArray[np.float32] = jit.load(str(path))(wave).numpy()
    return result


def _write_sidecar(config: ModelConfig, path: Path) -> None:
    file = WeightsFile(path.name, "torchscript", weights_sha256(path), path.stat().st_size)
    config = dataclasses.replace(config, architecture="torchscript", network={}, weights=file)
    with replacing(path.with_suffix(".yaml"), error=ModelError) as temporary:
        temporary.write_text(dump_config(config), encoding="utf-8")


def _optional(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise InputError(
            f"ONNX export needs {name}: run `pip install lars-plugin[onnx]`"
        ) from error


def _write_onnx(network: nn.Module, wave: torch.Tensor, path: Path) -> None:
    for name in ("onnx", "onnxruntime"):  # before the work
        _optional(name)
    # Where it is known, before the exporter: it prints the whole graph of what it fails on.
    lacking = getattr(network, "onnx_lacks", "")
    if lacking:
        raise EngineError(_LACKS.format(lacking))
    with warnings.catch_warnings(), torch.no_grad():
        # The exporter's notes on constant folding and instance norms, and that it is the older
        # one: the newer needs a package more and gives the same graph.
        warnings.simplefilter("ignore")
        try:
            torch.onnx.export(
                network,
                (wave,),
                str(path),
                dynamo=False,
                opset_version=_OPSET,
                input_names=["wave"],
                output_names=["stems"],
            )
        except torch.onnx.errors.OnnxExporterError as error:
            first = str(error).split("\n", 1)[0].split("[Caused", 1)[0].strip()
            raise EngineError(_LACKS.format(first)) from error


def _label_onnx(path: Path, config: ModelConfig) -> None:
    onnx = _optional("onnx")
    graph = onnx.load(str(path))
    onnx.helper.set_model_props(
        graph,
        {
            "name": config.name,
            "stems": ",".join(config.stems),
            "sample_rate": str(config.sample_rate),
            "license": config.license,
        },
    )
    onnx.checker.check_model(graph)
    onnx.save(graph, str(path))


def _run_onnx(path: Path, wave: torch.Tensor) -> NDArray[np.float32]:
    runtime = _optional("onnxruntime")
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    result: NDArray[np.float32] = session.run(["stems"], {"wave": wave.numpy()})[0]
    return result
