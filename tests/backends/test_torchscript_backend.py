# SPDX-License-Identifier: GPL-3.0-or-later
"""TorchScript files with a network inside."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lars_plugin.backends.torchscript import TorchScriptBackend
from lars_plugin.errors import EngineError, ModelFormatError


class _Gains(nn.Module):
    """Stems that are the mixture times 1, 2, 3; made for a batch of one only."""

    gains: Tensor

    def __init__(self, stems: int) -> None:
        super().__init__()
        self.register_buffer("gains", torch.arange(1.0, stems + 1).reshape(1, stems, 1, 1))

    def forward(self, wave: Tensor) -> Tensor:
        return wave.reshape(1, 1, 2, 8) * self.gains


class _Flat(nn.Module):
    """Forgets the axis of stems."""

    def forward(self, wave: Tensor) -> Tensor:
        return wave * 2


def saved(module: nn.Module, path: Path) -> Path:
    jit: Any = torch.jit
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch discourages what the published files use
        jit.save(jit.trace(module, torch.zeros(1, 2, 8), check_trace=False), str(path))
    return path


def test_a_network_traced_for_one_window_runs_batches(tmp_path: Path) -> None:
    backend = TorchScriptBackend(saved(_Gains(3), tmp_path / "m.pt"), stems=3, device="cpu")
    batch = np.random.default_rng(0).standard_normal((4, 2, 8)).astype(np.float32)
    before = batch.copy()
    made = backend(batch)
    assert backend.name == "torchscript cpu float32"
    assert made.dtype == np.float32
    expected = np.stack([batch, 2 * batch, 3 * batch], axis=1)
    np.testing.assert_allclose(made, expected, rtol=1e-6)
    np.testing.assert_array_equal(batch, before)


@pytest.mark.parametrize(("module", "stems"), [(_Gains(5), 6), (_Gains(1), 2), (_Flat(), 1)])
def test_another_shape_than_the_configurations_is_found_on_the_first_run(
    module: nn.Module, stems: int, tmp_path: Path
) -> None:
    backend = TorchScriptBackend(saved(module, tmp_path / "m.pt"), stems=stems, device="cpu")
    with pytest.raises(ModelFormatError, match="returns") as caught:
        backend(np.zeros((1, 2, 8), np.float32))
    assert f"(1, {stems}, 2, 8)" in str(caught.value)


def test_a_failing_network_is_an_engine_error(tmp_path: Path) -> None:
    backend = TorchScriptBackend(saved(_Gains(3), tmp_path / "m.pt"), stems=3, device="cpu")
    with pytest.raises(EngineError, match="the network failed on torchscript cpu"):
        backend(np.zeros((1, 2, 9), np.float32))


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x05\x06" + b"\0" * 18])
def test_what_is_no_torchscript_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.pt"
    path.write_bytes(content)
    with pytest.raises(ModelFormatError, match="not a TorchScript file") as caught:
        TorchScriptBackend(path, stems=1, device="cpu")
    assert "\n" not in str(caught.value)
