# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks with random weights, always the same ones: speed does not depend on weights."""

from __future__ import annotations

import torch
from torch import nn

from lars_plugin.backends.choice import Choice
from lars_plugin.bench.cases import Case
from lars_plugin.model import Backend, ModelConfig
from lars_plugin.zoo.backends import network_backend
from lars_plugin.zoo.checkpoints import build_network

__all__ = ["random_backend", "random_network"]


def random_network(config: ModelConfig) -> nn.Module:
    """A network in eval mode.

    Raises:
        ModelFormatError: settings that make no network.
    """
    torch.manual_seed(0)
    return build_network(config).eval().requires_grad_(False)


def random_backend(case: Case, config: ModelConfig, threads: int | None = None) -> Backend:
    """The network of a case on its backend; conversions go into the cache folder.

    Args:
        case: which model, backend and precision.
        config: see :func:`~lars_plugin.bench.cases.network_config`.
        threads: None: as many as there are.

    Raises:
        InputError: a package is missing.
    """
    return network_backend(
        config,
        lambda: random_network(config),
        Choice(case.backend, case.precision),
        device="cpu",
        digest=f"bench-{case.model}",
        threads=threads,
    )
