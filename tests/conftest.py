# SPDX-License-Identifier: GPL-3.0-or-later
"""What all tests rely on."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

# A job in the background of a script, as a CI runner may start us, ignores Ctrl-C and hands that
# down to its children; the tests that send it to a child need it to arrive.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with a small network of random weights."""
    import torch

    from lars_plugin.model import Chunking, ModelConfig, WeightsFile
    from lars_plugin.zoo.checkpoints import build_network
    from lars_plugin.zoo.convert import write_weights
    from lars_plugin.zoo.yaml_configs import dump_config

    config = ModelConfig(
        "tiny",
        ("kick", "snare", "toms", "hihat", "ride", "crash"),
        Chunking(16384, 2.0, batch_size=2),
        architecture="bandunet",
        network={
            "n_fft": 512,
            "hop_length": 256,
            "band_widths": (16,) * 16,
            "features": (8, 16),
            "dilations": (1,),
            "head": 8,
        },
        presets={"fast": 1.25},
        weights=WeightsFile("weights.safetensors", "safetensors"),
    )
    folder = tmp_path_factory.mktemp("models") / "tiny"
    folder.mkdir()
    (folder / "config.yaml").write_text(dump_config(config), encoding="utf-8")
    torch.manual_seed(0)
    write_weights(build_network(config), folder)
    return folder
