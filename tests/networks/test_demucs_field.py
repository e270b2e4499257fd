# SPDX-License-Identifier: GPL-3.0-or-later
"""The field's YAML files of Demucs, with plain state dicts as its training programs leave them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from lars_plugin.errors import ModelFormatError
from lars_plugin.model import Model
from lars_plugin.networks.demucs.config import HDemucsConfig, HTDemucsConfig
from lars_plugin.zoo import get_config, load_model
from lars_plugin.zoo.convert import convert
from lars_plugin.zoo.yaml_configs import config_from_field, read_config
from tests.field_files import golden, state_of

# As in config_musdb18_htdemucs.yaml and config_drumsep.yaml of the field, in the order there.
HT_YAML: dict[str, Any] = {
    "audio": {"chunk_size": 485100, "min_mean_abs": 0.001, "hop_length": 1024},
    "training": {
        "segment": 11, "shift": 1, "samplerate": 44100, "channels": 2, "normalize": True,
        "instruments": ["drums", "bass", "other", "vocals"], "target_instrument": None,
    },
    "inference": {"num_overlap": 4, "batch_size": 8},
    "model": "htdemucs",
    "htdemucs": {
        "channels": 48, "channels_time": None, "growth": 2, "num_subbands": 1, "nfft": 4096,
        "wiener_iters": 0, "end_iters": 0, "wiener_residual": False, "cac": True, "depth": 4,
        "rewrite": True, "multi_freqs": [], "multi_freqs_depth": 3, "freq_emb": 0.2,
        "emb_scale": 10, "emb_smooth": True, "kernel_size": 8, "stride": 4, "time_stride": 2,
        "context": 1, "context_enc": 0, "norm_starts": 4, "norm_groups": 4, "dconv_mode": 3,
        "dconv_depth": 2, "dconv_comp": 8, "dconv_init": "1e-3", "bottom_channels": 512,
        "t_layers": 5, "t_hidden_scale": 4.0, "t_heads": 8, "t_dropout": 0.0,
        "t_layer_scale": True, "t_gelu": True, "t_emb": "sin", "t_max_positions": 10000,
        "t_max_period": 10000.0, "t_weight_pos_embed": 1.0, "t_cape_mean_normalize": True,
        "t_cape_augment": True, "t_cape_glob_loc_scale": [5000.0, 1.0, 1.4],
        "t_sin_random_shift": 0, "t_norm_in": True, "t_norm_in_group": False,
        "t_group_norm": False, "t_norm_first": True, "t_norm_out": True, "t_weight_decay": 0.0,
        "t_lr": None, "t_sparse_self_attn": False, "t_sparse_cross_attn": False,
        "t_mask_type": "diag", "t_mask_random_seed": 42, "t_sparse_attn_window": 400,
        "t_global_window": 100, "t_sparsity": 0.95, "t_auto_sparsity": False,
        "t_cross_first": False, "rescale": 0.1,
    },
}  # fmt: skip
H_YAML: dict[str, Any] = {
    "audio": {"chunk_size": 1764000, "min_mean_abs": 0.0, "hop_length": 1024},
    "training": {
        "segment": 40, "samplerate": 44100, "channels": 2,
        "instruments": ["kick", "snare", "cymbals", "toms"], "target_instrument": None,
    },
    "inference": {"num_overlap": 4, "batch_size": 8},
    "model": "hdemucs",
    "hdemucs": {
        "channels": 48, "channels_time": None, "growth": 2, "nfft": 4096, "wiener_iters": 0,
        "end_iters": 0, "wiener_residual": False, "cac": True, "depth": 6, "rewrite": True,
        "hybrid": True, "hybrid_old": False, "multi_freqs": [], "multi_freqs_depth": 3,
        "freq_emb": 0.2, "emb_scale": 10, "emb_smooth": True, "kernel_size": 8, "stride": 4,
        "time_stride": 2, "context": 1, "context_enc": 0, "norm_starts": 4, "norm_groups": 4,
        "dconv_mode": 1, "dconv_depth": 2, "dconv_comp": 4, "dconv_attn": 4, "dconv_lstm": 4,
        "dconv_init": 0.001, "rescale": 0.1,
    },
}  # fmt: skip


def test_the_fields_file_of_an_htdemucs_is_read() -> None:
    config = config_from_field(HT_YAML, name="x")
    assert (config.architecture, config.stems) == ("htdemucs", ("drums", "bass", "other", "vocals"))
    assert (config.sample_rate, config.channels) == (44100, 2)
    assert (config.chunking.chunk_size, config.chunking.convention) == (485100, "demucs")
    assert config.chunking.overlap == 4
    shape = HTDemucsConfig.of(config)
    assert shape == HTDemucsConfig(
        bottom_channels=512, dconv_mode=3, segment_length=485100, t_norm_out=True
    )


def test_the_fields_file_of_drumsep_describes_the_network_of_our_entry() -> None:
    config, entry = config_from_field(H_YAML, name="drumsep"), get_config("drumsep")
    assert config.architecture == entry.architecture
    assert config.stems == entry.stems
    assert config.chunking.chunk_size == entry.chunking.chunk_size
    assert config.chunking.convention == entry.chunking.convention == "demucs-short"
    # Without bands of frequency, the levels that would have them do not matter.
    assert HDemucsConfig.of(config) == HDemucsConfig(multi_freqs_depth=3)


def test_a_network_that_makes_all_stems_has_them_whatever_it_was_trained_for() -> None:
    data = copy.deepcopy(HT_YAML)
    data["training"]["target_instrument"] = "vocals"
    assert len(config_from_field(data, name="x").stems) == 4


def written(case: str, folder: Path) -> tuple[Path, Path, dict[str, torch.Tensor]]:
    """A golden case as the field's training leaves it: a YAML file and a plain state dict."""
    said, tensors = golden(case)
    name = case.partition("_")[0]
    own = ("sources", "segment")
    data = {
        "audio": {"chunk_size": 2205},
        "training": {
            "instruments": ["kick", "snare"], "samplerate": 44100, "segment": said["segment"],
            "target_instrument": None,
        },
        "model": name,
        name: {key: one for key, one in said.items() if key not in own},
    }  # fmt: skip
    config, weights = folder / f"config_{case}.yaml", folder / f"{case}.ckpt"
    config.write_text(yaml.safe_dump(data), encoding="utf-8")
    torch.save(state_of(tensors), weights)
    return config, weights, tensors


@pytest.mark.parametrize("case", ["htdemucs_bottom", "hdemucs_lstm"])
def test_yaml_and_state_dict_give_the_golden_output(case: str, tmp_path: Path) -> None:
    config, weights, tensors = written(case, tmp_path)
    folder = convert(None, tmp_path / "own", config=config, weights=weights)
    for model in (
        load_model(weights, config=config, device="cpu", backend="torch"),
        load_model(folder, device="cpu", backend="torch"),
    ):
        assert isinstance(model, Model)
        made = model.backend(tensors["short.input"].numpy())
        assert abs(made - tensors["short.output"].numpy()).max() <= 1e-5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["htdemucs"].update(polar=True),
         "HT-Demucs: unsupported option htdemucs.polar; supported: bottom_channels, cac, channels"),
        (lambda d: d["htdemucs"].update(t_sparse_self_attn=True),
         "HT-Demucs: t_sparse_self_attn can only be False, got True"),
        (lambda d: d["htdemucs"].update(wiener_iters="x"), "wiener_iters must be a whole number"),
        (lambda d: d.pop("htdemucs"), "no configuration of a HT-Demucs: htdemucs is missing"),
        (lambda d: d.pop("training"), "no configuration of a HT-Demucs: training is missing"),
        (lambda d: d["training"].pop("instruments"), "training.instruments is missing"),
        (lambda d: d["training"].pop("segment"), "training.segment is missing"),
        (lambda d: d["training"].update(segment="long"), "segment must be a finite number"),
        (lambda d: d["training"].update(samplerate=0), "training.samplerate must be a whole"),
        (lambda d: d["training"].update(instruments=["drums", "gong", "a", "b"]), "unknown stem"),
        (lambda d: d.update(model="demucs"), "model 'demucs' is of no known architecture; known: "
         "hdemucs, htdemucs"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_named_in_one_line(
    change: Callable[[dict[str, Any]], object], message: str, tmp_path: Path
) -> None:
    data = copy.deepcopy(HT_YAML)
    change(data)
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    with pytest.raises(ModelFormatError) as caught:
        read_config(path)
    line = str(caught.value)
    assert message in line
    assert line.startswith(str(path))
    assert "\n" not in line


def test_a_file_of_one_demucs_with_weights_of_the_other_is_told(tmp_path: Path) -> None:
    config, _, _ = written("htdemucs_bottom", tmp_path)
    _, weights, _ = written("hdemucs_lstm", tmp_path)
    with pytest.raises(ModelFormatError, match=r"does not fit its configuration: missing ") as told:
        load_model(weights, config=config, device="cpu", backend="torch")
    assert "\n" not in str(told.value)
