# SPDX-License-Identifier: GPL-3.0-or-later
"""The small networks and models that tests share.

    from tests.models import bandunet, live

Engines that run as processes import this file too; :func:`python_path` is their PYTHONPATH.
PyTorch is imported inside the functions, because some tests run without it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from lars_plugin.model import Chunking, Model, ModelConfig, WeightsFile
from lars_plugin.testing import STEMS, IdentityModel

if TYPE_CHECKING:
    from torch import nn

    from lars_plugin.networks.bandunet.network import BandUNet
    from lars_plugin.networks.livenet.network import LiveNet
    from lars_plugin.networks.mdx23c.network import MDX23C

# A type variable of torch's Module, which is not imported here.
Network = TypeVar("Network", bound="nn.Module")

ROOT = Path(__file__).parents[1]

# Settings of networks, as a model's configuration has them under ``network``.
# Bands of three widths, so that two edges between groups are tested.
SMALL_BANDUNET: dict[str, Any] = {
    "n_fft": 256,
    "hop_length": 64,
    "band_widths": (*(2,) * 16, *(4,) * 8, *(8,) * 8),
    "features": (8, 12, 16),
    "dilations": (1, 2),
    "head": 8,
}
# Fewer bands and scales, for tests that train.
QUICK_BANDUNET: dict[str, Any] = {
    **SMALL_BANDUNET,
    "band_widths": (*(4,) * 8, *(12,) * 8),
    "features": (8, 12),
    "dilations": (1,),
}
# Few frames and one downscaling, for tests that separate seconds of audio.
COARSE_BANDUNET: dict[str, Any] = {
    "n_fft": 512,
    "hop_length": 256,
    "band_widths": (16,) * 16,
    "features": (4, 8),
    "dilations": (1,),
    "head": 8,
}
# Fewer bins than the transform has, so that the missing ones are padded.
SMALL_MDX23C: dict[str, Any] = {
    "n_fft": 256,
    "hop_length": 64,
    "dim_f": 96,
    "num_channels": 4,
    "growth": 4,
    "num_scales": 2,
    "num_subbands": 4,
    "num_blocks_per_scale": 1,
}
# Narrow and wide bands, dilation at the bottom, and a synthesis window shorter than the analysis.
SMALL_LIVENET: dict[str, Any] = {
    "n_fft": 256,
    "hop_length": 64,
    "synthesis": 128,
    "band_widths": (*(2,) * 8, *(14,) * 8),
    "features": (8, 10, 12),
    "dilations": (1, 2),
    "bottom": (1, 3),
    "recurrent": 16,
    "head": 8,
}

# Models without a network: each stem is a known share of the mixture.
SHARES = (1, 0.5, 0.25, 0.125, 2, 4)
LIVE = Chunking(512, overlap=4, convention="live", lookahead=64, fade=32)


def live() -> IdentityModel:
    """A chunked model that can be used live."""
    return IdentityModel(chunking=LIVE, shares=SHARES)


def chunked() -> IdentityModel:
    """A chunked model for offline use."""
    return IdentityModel(chunk_size=1024, shares=SHARES)


def bandunet(stems: int = 6, seed: int = 0, **changes: Any) -> BandUNet:
    """A :data:`SMALL_BANDUNET` with random weights; ``changes`` replace settings."""
    import torch

    from lars_plugin.networks.bandunet.network import BandUNet, BandUNetConfig

    torch.manual_seed(seed)
    return BandUNet(BandUNetConfig(stems=stems, **{**SMALL_BANDUNET, **changes}))


def mdx23c(stems: int = 6, seed: int = 0, **changes: Any) -> MDX23C:
    """An :data:`SMALL_MDX23C` with random weights; ``changes`` replace settings."""
    import torch

    from lars_plugin.networks.mdx23c.network import MDX23C, MDX23CConfig

    torch.manual_seed(seed)
    return MDX23C(MDX23CConfig(stems=stems, **{**SMALL_MDX23C, **changes}))


def livenet(stems: int = 6, seed: int = 0, **changes: Any) -> LiveNet:
    """A :data:`SMALL_LIVENET` whose batch norms have seen data: folding them matters."""
    import torch

    from lars_plugin.networks.livenet.network import LiveNet, LiveNetConfig

    torch.manual_seed(seed)
    network = LiveNet(LiveNetConfig(stems=stems, **{**SMALL_LIVENET, **changes}))
    with torch.no_grad():
        network.train()
        for _ in range(3):
            network(torch.randn(2, 2, 3000))
    return network.eval().requires_grad_(False)


def trained(network: Network) -> Network:
    """The same network as if it had been trained: no layer is zero, no batch norm the identity."""
    import torch

    generator = torch.Generator().manual_seed(1)
    for key, value in network.state_dict().items():
        if not value.is_floating_point():
            continue
        noise = torch.randn(value.shape, generator=generator)
        if key.endswith("running_var"):
            value.copy_(0.5 + noise.abs())
        else:
            value.add_(0.05 * noise)
    # PyTorch chooses its kernels by whether a gradient is needed.
    return network.eval().requires_grad_(False)


def causal(stems: tuple[str, ...] = STEMS, seed: int = 1, **changes: Any) -> Model:
    """A causal model on PyTorch: a :data:`SMALL_LIVENET` with random weights."""
    import torch

    from lars_plugin.backends.torch_causal import TorchCausalBackend
    from lars_plugin.networks.livenet.network import LiveNet, LiveNetConfig
    from lars_plugin.zoo.checkpoints import build_network

    network = {**SMALL_LIVENET, **changes}
    shape = LiveNetConfig(stems=len(stems), **network)
    config = ModelConfig(
        name="tiny-live",
        stems=stems,
        chunking=Chunking(shape.hop_length, 1, "causal", lookahead=shape.delay),
        architecture="livenet",
        network=network,
    )
    torch.manual_seed(seed)
    result = build_network(config)
    assert isinstance(result, LiveNet)
    return Model(config, TorchCausalBackend(result))


def config(architecture: str = "bandunet", **fields: Any) -> ModelConfig:
    """The configuration of a small model; ``fields`` replace entries.

    ``bandunet`` is :data:`COARSE_BANDUNET`, the quickest.
    """
    networks = {"bandunet": COARSE_BANDUNET, "mdx23c": SMALL_MDX23C, "livenet": SMALL_LIVENET}
    entries: dict[str, Any] = {
        "name": "tiny",
        "stems": STEMS,
        "chunking": Chunking(8192, 2.0, batch_size=2),
        "architecture": architecture,
        "network": networks[architecture],
        "weights": WeightsFile("weights.safetensors", "safetensors"),
    }
    return ModelConfig(**{**entries, **fields})


def model_folder(
    folder: Path, config: ModelConfig, network: nn.Module | None = None, *, seed: int = 0
) -> Path:
    """Write a model folder that can be loaded, with random weights unless a network is given.

    Returns:
        The folder.
    """
    import torch

    from lars_plugin.zoo.checkpoints import build_network
    from lars_plugin.zoo.convert import write_weights
    from lars_plugin.zoo.yaml_configs import dump_config

    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(dump_config(config), encoding="utf-8")
    if network is None:
        torch.manual_seed(seed)
        network = build_network(config)
    write_weights(network, folder)
    return folder


def python_path(*folders: Path) -> str:
    """PYTHONPATH for a process that imports modules of ``folders``, which may import this file."""
    return os.pathsep.join(map(str, (*folders, ROOT)))
