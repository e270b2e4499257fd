# SPDX-License-Identifier: GPL-3.0-or-later
"""1 x 1 convolutions as matrix products.

With one thread PyTorch computes them by a method of its own that copies feature maps into another
order first; in channels-last order they are a single matrix product.
"""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn
from torch.nn import functional

__all__ = ["use_matrix_products"]


def use_matrix_products(network: nn.Module) -> None:
    """Compute all plain 1 x 1 convolutions of a network so, in place; weights stay as they are."""
    for module in network.modules():
        if (
            isinstance(module, nn.Conv2d)
            and module.kernel_size == module.stride == (1, 1)
            and module.padding == (0, 0)
            and module.groups == 1
        ):
            module.forward = partial(_product, module)  # type: ignore[method-assign]


def _product(layer: nn.Conv2d, x: Tensor) -> Tensor:
    weight = layer.weight.flatten(1)
    return functional.linear(x.permute(0, 2, 3, 1), weight, layer.bias).permute(0, 3, 1, 2)
