# SPDX-License-Identifier: GPL-3.0-or-later
"""Running PyTorch modules, on the CPU or a graphics card."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lars_plugin.backends.cuts import BandCut
from lars_plugin.errors import EngineError, InputError
from lars_plugin.networks.bandunet import BandUNet

__all__ = ["PRECISIONS", "TorchBackend", "choose_device", "engine_errors"]

PRECISIONS = ("float32", "bfloat16")
_KINDS = ("cpu", "cuda", "mps")


def choose_device(name: str = "auto") -> torch.device:
    """The device of that name; ``auto`` is the best one there is.

    Args:
        name: ``auto``, ``cpu``, ``mps``, ``cuda`` or one of several cards, ``cuda:1``.

    Raises:
        InputError: no such kind of device.
        EngineError: this machine, or this build of PyTorch, has no such device.
    """
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        return torch.device(next(kind for kind, here in there.items() if here))
    kind, _, index = name.partition(":")
    if kind not in _KINDS or (index and not index.isdigit()):
        raise InputError(f"unknown device {name!r}; use auto, {', '.join(_KINDS)}")
    if not there[kind] or (kind == "cuda" and int(index or 0) >= torch.cuda.device_count()):
        raise EngineError(f"device {name} is not available here; use auto or cpu")
    return torch.device(name)


@contextmanager
def engine_errors(name: str) -> Iterator[None]:
    """Turns what PyTorch raises while a network runs into one-line EngineErrors.

    Args:
        name: the backend's name, for the message.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, EngineError):
            raise
        first = (str(error) or type(error).__name__).split("\n", 1)[0]
        lowered = str(error).lower()
        if (
            isinstance(error, MemoryError)
            or "out of memory" in lowered
            or "can't allocate memory" in lowered
        ):
            raise EngineError(
                f"out of memory on {name}: lower the batch size, or use another device ({first})"
            ) from error
        raise EngineError(f"the network failed on {name}: {first}") from error


class TorchBackend:
    """A module ``(B, C, L)`` to ``(B, S, C, L)``, moved to a device and run without gradients.

    Args:
        module: the network; it is put into eval mode and moved.
        device: see :func:`choose_device`.
        precision: ``float32``, or ``bfloat16``: faster where the processor has arithmetic for
            it, less exact everywhere.

    Raises:
        InputError: unknown device or precision.
        EngineError: the device is not there, or the network does not fit on it.
    """

    def __init__(
        self, module: nn.Module, *, device: str = "auto", precision: str = "float32"
    ) -> None:
        if precision not in PRECISIONS:
            raise InputError(f"unknown precision {precision!r}; use {', '.join(PRECISIONS)}")
        self._device = choose_device(device)
        self._precision = precision
        with engine_errors(self.name):
            self._module = module.eval().to(self._device)
        self._run: Callable[[Tensor], Tensor] = self._module
        if isinstance(module, BandUNet) and self._device.type in ("cpu", "cuda"):
            # The same numbers sooner; Metal lacks what it is made of.
            self._run = BandCut(module)

    @property
    def name(self) -> str:
        return f"torch {self._device} {self._precision}"

    @property
    def module(self) -> nn.Module:
        """The network, in eval mode, on the device."""
        return self._module

    def _cast(self) -> AbstractContextManager[object]:
        if self._precision == "bfloat16":
            return torch.autocast(self._device.type, dtype=torch.bfloat16)
        return nullcontext()

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        # A copy: the module may write into its input, and the array may be read-only.
        wave = torch.from_numpy(np.array(batch, np.float32, order="C"))
        with torch.inference_mode(), self._cast(), engine_errors(self.name):
            stems = self._run(wave.to(self._device))
            result: NDArray[np.float32] = stems.float().cpu().numpy()
        return result
