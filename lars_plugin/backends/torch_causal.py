# SPDX-License-Identifier: GPL-3.0-or-later
"""Running causal PyTorch modules, hop by hop or at once."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from lars_plugin.audio.levels import without_denormals
from lars_plugin.backends.torch_backend import TorchBackend, engine_errors
from lars_plugin.forks import settle_torch
from lars_plugin.networks.registry import of_network

__all__ = ["TorchCausalBackend"]


class TorchCausalBackend(TorchBackend):
    """A causal network on a device.

    Args:
        network: with ``step`` and ``initial_state``, and ``hop_length`` in its configuration; it is
            put into eval mode and moved.
        device: see :func:`~lars_plugin.backends.torch_backend.choose_device`. A graphics card
            gains nothing on single hops, so ``auto`` is the processor.
        precision: ``float32`` or ``bfloat16``.
    """

    def __init__(
        self, network: nn.Module, *, device: str = "auto", precision: str = "float32"
    ) -> None:
        chosen = "cpu" if device == "auto" else device
        super().__init__(network, device=chosen, precision=precision)
        self._network = cast(Any, network)
        self._hop: int = self._network.config.hop_length
        quick = self._device.type == "cpu" and precision == "float32"
        row = of_network(network)
        self._stepper = row.build_stepper(network) if quick and row is not None else None

    def initial_state(self) -> Any:
        """A tuple of tensors on the device: silence before the first sample."""
        settle_torch()
        with torch.inference_mode():
            return self._network.initial_state()

    def step(self, hops: NDArray[np.float32], state: Any) -> tuple[NDArray[np.float32], Any]:
        """See :class:`~lars_plugin.model.CausalBackend`."""
        settle_torch()
        block = torch.from_numpy(np.array(without_denormals(hops), np.float32, order="C"))[None]
        with torch.inference_mode(), self._cast(), engine_errors(self.name):
            network = self._network
            if self._stepper is not None and block.shape[2] == self._hop:
                network = self._stepper
            stems, state = network.step(block.to(self._device), state)
            result: NDArray[np.float32] = stems[0].float().cpu().numpy()
        return result, state
