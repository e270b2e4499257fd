# SPDX-License-Identifier: GPL-3.0-or-later
"""Running TorchScript files that hold a whole network, as the LARS 2.0 plugin ships them."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lars_plugin.audio.levels import without_denormals
from lars_plugin.backends.torch_backend import choose_device, engine_errors
from lars_plugin.errors import ModelFormatError
from lars_plugin.forks import settle_torch
from lars_plugin.pickling import NotPickled

__all__ = ["TorchScriptBackend"]


class TorchScriptBackend(NotPickled):
    """A TorchScript file: waves ``(B, C, L)`` in, stems ``(B, S, C, L)`` out.

    The published files were traced with a batch of one, so windows run one by one. Unlike a
    pickle, TorchScript cannot run Python; still, prefer files whose SHA-256 is known.

    Args:
        path: the file.
        stems: how many the network must return; the first run verifies it.
        device: see :func:`~lars_plugin.backends.torch_backend.choose_device`.

    Raises:
        ModelFormatError: the file is not TorchScript; in calls: it returns another shape.
        InputError: unknown device.
        EngineError: the device is not there, or running failed.
    """

    def __init__(self, path: Path, *, stems: int, device: str = "auto") -> None:
        settle_torch()
        self._device = choose_device(device)
        self._path = path
        self._stems = stems
        self._verified = False
        try:
            # PyTorch discourages the format; the published files exist all the same.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                jit: Any = torch.jit  # which ships no types
                self._module = jit.load(str(path), map_location=self._device).eval()
        except (RuntimeError, ValueError, OSError, EOFError) as error:
            first = str(error).split("\n", 1)[0]
            raise ModelFormatError(f"{path} is not a TorchScript file: {first}") from error

    @property
    def name(self) -> str:
        return f"torchscript {self._device} float32"

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        settle_torch()
        # A copy: the network may write into its input, and the array may be read-only.
        waves = torch.from_numpy(np.array(without_denormals(batch), np.float32, order="C"))
        result = np.empty((batch.shape[0], self._stems, *batch.shape[1:]), np.float32)
        with torch.inference_mode(), engine_errors(self.name):
            for index in range(batch.shape[0]):
                stems = self._module(waves[index : index + 1].to(self._device))
                if not self._verified:
                    self._verify(stems, result[index].shape)
                result[index] = stems[0].float().cpu().numpy()
        return result

    def _verify(self, stems: object, expected: tuple[int, ...]) -> None:
        shape = tuple(stems.shape) if isinstance(stems, torch.Tensor) else type(stems).__name__
        if shape != (1, *expected):
            raise ModelFormatError(
                f"{self._path} returns {shape} where its configuration says {(1, *expected)} "
                "(batch, stems, channels, samples)"
            )
        self._verified = True
