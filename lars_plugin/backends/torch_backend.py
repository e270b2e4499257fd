# SPDX-License-Identifier: GPL-3.0-or-later
"""Running PyTorch modules, on the CPU or a graphics card."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lars_plugin.audio.levels import without_denormals
from lars_plugin.backends.errors import engine_errors
from lars_plugin.errors import EngineError, InputError
from lars_plugin.forks import settle_torch
from lars_plugin.networks.registry import of_network
from lars_plugin.pickling import NotPickled

__all__ = ["PRECISIONS", "TorchBackend", "choose_device", "engine_errors"]

# All but the first by autocast.
_CASTS = {"bfloat16": torch.bfloat16, "float16": torch.float16}
PRECISIONS = ("float32", *_CASTS)
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


class TorchBackend(NotPickled):
    """A module ``(B, C, L)`` to ``(B, S, C, L)``, moved to a device and run without gradients.

    Args:
        module: the network; it is put into eval mode and moved.
        device: see :func:`choose_device`.
        precision: ``float32``; ``bfloat16``: faster where the processor has arithmetic for it,
            less exact everywhere; ``float16``: for graphics cards, eight times as exact as
            ``bfloat16``, and several times slower than ``float32`` on most processors. Numbers
            above 65,504 become infinite; streams refuse stems that are not finite.

    Raises:
        InputError: unknown device or precision.
        EngineError: the device is not there, or the network does not fit on it.
    """

    def __init__(
        self, module: nn.Module, *, device: str = "auto", precision: str = "float32"
    ) -> None:
        if precision not in PRECISIONS:
            raise InputError(f"unknown precision {precision!r}; use {', '.join(PRECISIONS)}")
        settle_torch()
        self._device = choose_device(device)
        self._precision = precision
        with engine_errors(self.name):
            self._module = module.eval().to(self._device)
        self._run: Callable[[Tensor], Tensor] = self._module
        self._narrowed: dict[tuple[int, ...], TorchBackend] = {}
        row = of_network(module)
        if row is not None:
            self._run = row.fastest(self._module, self._device.type)

    @property
    def name(self) -> str:
        return f"torch {self._device} {self._precision}"

    @property
    def module(self) -> nn.Module:
        """The network, in eval mode, on the device."""
        return self._module

    def only(self, stems: tuple[int, ...]) -> TorchBackend | None:
        """The network for these stems alone, which shares its weights; None where it computes all
        at once."""
        if stems not in self._narrowed:
            only = getattr(self._module, "only", None)
            part = None if only is None else only(stems)
            if part is None:
                return None
            # Whoever comes second makes the same.
            device, precision = str(self._device), self._precision
            self._narrowed[stems] = TorchBackend(part, device=device, precision=precision)
        return self._narrowed[stems]

    def _cast(self) -> AbstractContextManager[object]:
        if self._precision == "float32":
            return nullcontext()
        return torch.autocast(self._device.type, dtype=_CASTS[self._precision])

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        # A copy: the module may write into its input, and the array may be read-only.
        settle_torch()
        wave = torch.from_numpy(np.array(without_denormals(batch), np.float32, order="C"))
        with torch.inference_mode(), self._cast(), engine_errors(self.name):
            stems = self._run(wave.to(self._device))
            result: NDArray[np.float32] = stems.float().cpu().numpy()
        return result
