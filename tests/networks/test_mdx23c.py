# SPDX-License-Identifier: GPL-3.0-or-later
"""MDX23C against the golden vectors and the published sizes."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from lars_plugin.errors import InputError
from lars_plugin.networks.mdx23c.network import MDX23C, MDX23CConfig

GOLDEN = Path(__file__).parents[1] / "golden"
CASES = ("instancenorm_gelu", "groupnorm_relu", "batchnorm_elu")


def golden(case: str) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    field = json.loads((GOLDEN / f"mdx23c_{case}.json").read_text(encoding="utf-8"))
    return field, load_file(GOLDEN / f"mdx23c_{case}.safetensors")


def golden_network(case: str, *, portable: bool = False) -> tuple[MDX23C, dict[str, torch.Tensor]]:
    field, tensors = golden(case)
    network = MDX23C(MDX23CConfig.from_field(field), portable=portable).eval()
    prefix = "state."
    state = {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}
    network.load_state_dict(state)  # strict: the published names and no others
    return network, tensors


@pytest.mark.parametrize("portable", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_published_state_dicts_load_unchanged_and_give_the_golden_output(
    case: str, portable: bool
) -> None:
    network, tensors = golden_network(case, portable=portable)
    with torch.inference_mode():
        made = network(tensors["forward.input"])
    assert made.shape == tensors["forward.output"].shape
    assert made.dtype == torch.float32
    assert (made - tensors["forward.output"]).abs().max() <= 1e-5


@pytest.mark.parametrize(
    ("changes", "parameters"),
    [
        ({}, 109_378_624),
        ({"stems": 5, "n_fft": 4096, "dim_f": 2048}, 109_900_544),
        ({"stems": 4, "n_fft": 8192, "hop_length": 1024, "dim_f": 4096}, 111_994_368),
    ],
)
def test_full_size_configurations_have_the_published_parameter_counts(
    changes: dict[str, Any], parameters: int
) -> None:
    with torch.device("meta"):  # shapes only: no memory, no arithmetic
        network = MDX23C(dataclasses.replace(MDX23CConfig(), **changes))
    assert sum(p.numel() for p in network.parameters()) == parameters


def test_a_target_instrument_means_one_stem() -> None:
    field, tensors = golden("instancenorm_gelu")
    field["training"]["target_instrument"] = "snare"
    config = MDX23CConfig.from_field(field)
    assert config.stems == 1
    with torch.inference_mode():
        made = MDX23C(config).eval()(tensors["forward.input"])
    assert made.shape == (2, 1, 2, 1920)


def test_a_chunk_that_cannot_be_scaled_down_evenly_is_named() -> None:
    network, _ = golden_network("instancenorm_gelu")
    with pytest.raises(InputError, match="17 frames, which must be divisible by 8"):
        network(torch.zeros(1, 2, 2048))


def test_the_input_is_not_changed() -> None:
    network, tensors = golden_network("groupnorm_relu")
    before = tensors["forward.input"].clone()
    with torch.inference_mode():
        network(tensors["forward.input"])
    assert torch.equal(before, tensors["forward.input"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"norm": "LayerNorm"}, "norm must be"),
        ({"norm": "GroupNorm0"}, "norm must be"),
        ({"act": "swish"}, "act must be"),
        ({"dim_f": 1000}, "divisible by subbands and scales"),
        ({"dim_f": 2048}, "more bins than n_fft"),
        ({"scale": (2, 2, 2)}, "scale must be"),
        ({"scale": (0, 2)}, "scale must be"),
        ({"num_channels": 0}, "num_channels must be a whole number of at least 1"),
        ({"n_fft": "2048"}, "n_fft must be a whole number of at least 1"),
    ],
)
def test_values_that_make_no_network_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        dataclasses.replace(MDX23CConfig(), **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"norm": "GroupNorm3"}, "cannot be normalised in 3 groups"),
        ({"bottleneck_factor": 16}, "leaves none of 8 bins"),
    ],
)
def test_values_that_do_not_fit_the_widths_are_named(changes: dict[str, Any], message: str) -> None:
    config = dataclasses.replace(MDX23CConfig(), num_channels=8, growth=8, **changes)
    with pytest.raises(InputError, match=message):
        MDX23C(config)


@pytest.mark.parametrize(
    ("section", "key", "message"),
    [
        ("audio", "n_fft", r"audio\.n_fft is missing"),
        ("model", "num_subbands", r"model\.num_subbands is missing"),
        ("training", "instruments", r"training\.instruments is missing"),
    ],
)
def test_a_missing_key_of_the_fields_configuration_is_named(
    section: str, key: str, message: str
) -> None:
    field, _ = golden("instancenorm_gelu")
    del field[section][key]
    with pytest.raises(InputError, match=message):
        MDX23CConfig.from_field(field)
