# SPDX-License-Identifier: GPL-3.0-or-later
"""The PyTorch backend: arrays in, arrays out, errors of one kind."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lars_plugin.backends.torch_backend import TorchBackend, choose_device
from lars_plugin.errors import EngineError, InputError
from tests.models import bandunet, mdx23c


class _Double(nn.Module):
    """Writes into its input, which a backend has to survive."""

    def forward(self, wave: Tensor) -> Tensor:
        return wave.mul_(2)[:, None]


class _Greedy(nn.Module):
    """Asks for more memory than there is anywhere."""

    def forward(self, wave: Tensor) -> Tensor:
        return torch.empty(1 << 52)


class _Broken(nn.Module):
    """Shapes that do not fit."""

    def forward(self, wave: Tensor) -> Tensor:
        return wave @ wave


class _Host(nn.Module):
    """Fails as NumPy does when the machine is full."""

    def forward(self, wave: Tensor) -> Tensor:
        raise MemoryError


@pytest.mark.parametrize("make", [mdx23c, bandunet])
def test_a_batch_gives_what_its_windows_give(make: Callable[[int], nn.Module]) -> None:
    torch.manual_seed(0)
    backend = TorchBackend(make(2), device="cpu")
    batch = np.random.default_rng(0).standard_normal((3, 2, 960)).astype(np.float32)
    made = backend(batch)
    assert made.shape == (3, 2, 2, 960)
    assert made.dtype == np.float32
    single = np.concatenate([backend(window[None]) for window in batch])
    np.testing.assert_allclose(made, single, atol=1e-5)


@pytest.mark.parametrize("make", [mdx23c, bandunet])
def test_the_same_audio_gives_the_same_bits_wherever_it_lies_in_memory(
    make: Callable[[int], nn.Module],
) -> None:
    torch.manual_seed(0)
    backend = TorchBackend(make(2), device="cpu")
    batch = np.random.default_rng(0).standard_normal((1, 2, 960)).astype(np.float32)
    first = backend(batch)
    for offset in (1, 2, 4, 8):
        shifted = np.empty(batch.size + offset, np.float32)[offset:].reshape(batch.shape)
        shifted[...] = batch
        np.testing.assert_array_equal(backend(shifted), first)


def test_the_input_is_not_changed_and_may_be_read_only_and_strided() -> None:
    backend = TorchBackend(_Double(), device="cpu")
    batch = np.ones((1, 10, 2), np.float32).transpose(0, 2, 1)
    batch.flags.writeable = False
    made = backend(batch)
    assert made.shape == (1, 1, 2, 10)
    assert (made == 2).all()
    assert (batch == 1).all()
    made[...] = 0  # new memory, the caller's to write


def test_dropout_and_batch_statistics_are_off() -> None:
    module = nn.Sequential(nn.Dropout(0.9), nn.BatchNorm1d(2)).train()
    backend = TorchBackend(module, device="cpu")
    batch = np.ones((1, 2, 8), np.float32)
    np.testing.assert_allclose(backend(batch), batch, rtol=1e-4)


@pytest.mark.parametrize(("precision", "most"), [("bfloat16", 0.05), ("float16", 0.006)])
def test_fewer_bits_are_float32_outside_and_near_it_in_value(precision: str, most: float) -> None:
    torch.manual_seed(0)
    network = mdx23c(2)
    batch = np.random.default_rng(0).standard_normal((1, 2, 960)).astype(np.float32)
    exact = TorchBackend(network, device="cpu")(batch)
    backend = TorchBackend(network, device="cpu", precision=precision)
    made = backend(batch)
    assert backend.name == f"torch cpu {precision}"
    assert made.dtype == np.float32
    error = np.sqrt(np.mean((made - exact) ** 2) / np.mean(exact**2))
    assert 0 < error < most


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (_Greedy(), "out of memory on torch cpu float32: lower the batch size"),
        (_Host(), "out of memory on torch cpu float32"),
        (_Broken(), "the network failed on torch cpu float32"),
    ],
)
def test_failures_are_one_line_engine_errors(module: nn.Module, message: str) -> None:
    with pytest.raises(EngineError, match=message) as caught:
        TorchBackend(module, device="cpu")(np.ones((1, 2, 8), np.float32))
    assert "\n" not in str(caught.value)


def test_auto_is_the_best_device_there_is() -> None:
    best = choose_device("auto")
    assert best.type == ("cuda" if torch.cuda.is_available() else best.type)
    assert best.type in ("cpu", "cuda", "mps")
    assert choose_device("cpu").type == "cpu"


@pytest.mark.parametrize("name", ["", "gpu", "cuda:first", "CPU", "cuda:-1"])
def test_unknown_devices_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="unknown device"):
        choose_device(name)


def test_a_device_that_is_not_there_is_an_engine_error() -> None:
    missing = f"cuda:{torch.cuda.device_count()}"
    with pytest.raises(EngineError, match=f"device {missing} is not available here"):
        choose_device(missing)


def test_unknown_precisions_are_refused() -> None:
    with pytest.raises(InputError, match="unknown precision"):
        TorchBackend(nn.Identity(), device="cpu", precision="float8")
