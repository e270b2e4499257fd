# SPDX-License-Identifier: GPL-3.0-or-later
"""BS-RoFormer and Mel-Band RoFormer against golden vectors from the field's own code.

The vectors were made with random weights by ZFTurbo/Music-Source-Separation-Training ccc011a.
"""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lars_plugin import Cascade
from lars_plugin.backends.openvino.runtime import has_openvino
from lars_plugin.errors import InputError, ModelFormatError
from lars_plugin.model import Wave
from lars_plugin.networks.registry import ARCHITECTURES
from lars_plugin.networks.roformer.bands import bands_per_bin, mel_bands
from lars_plugin.networks.roformer.config import (
    BSRoFormerConfig,
    MelRoFormerConfig,
    RoFormerConfig,
)
from lars_plugin.networks.roformer.prepost import MaskPrePost
from lars_plugin.separation.separator import Separator
from lars_plugin.testing import IdentityModel
from lars_plugin.zoo import get_config, load_model
from lars_plugin.zoo.convert import convert
from lars_plugin.zoo.yaml_configs import config_from_field, read_config
from tests.field_files import files, golden, golden_network, shape_of

CASES = (
    "bsroformer_stereo",
    "bsroformer_linear_mono",
    "melroformer_stereo",
    "melroformer_linear_mono",
)


@pytest.mark.parametrize("portable", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_the_fields_state_dicts_load_unchanged_and_give_the_golden_output(
    case: str, portable: bool
) -> None:
    network, tensors = golden_network(case, portable=portable)
    before = tensors["forward.input"].clone()
    with torch.inference_mode():
        made = network(tensors["forward.input"])
    assert made.shape == tensors["forward.output"].shape
    assert made.dtype == torch.float32
    assert (made - tensors["forward.output"]).abs().max() <= 1e-5
    assert torch.equal(before, tensors["forward.input"])


@pytest.mark.parametrize(
    ("shape", "parameters"),
    [
        # As the field's code has them, without its 64 constant rotary frequencies.
        (BSRoFormerConfig(), 131_704_100),
        (MelRoFormerConfig(stems=1), 228_202_788),
    ],
)
def test_full_size_configurations_have_the_published_parameter_counts(
    shape: RoFormerConfig, parameters: int
) -> None:
    row = next(one for one in ARCHITECTURES.values() if one.shape_class() is type(shape))
    with torch.device("meta"):  # shapes only: no memory, no arithmetic
        network = row.build(shape)
    assert sum(p.numel() for p in network.parameters()) == parameters


# First bins of bands, from librosa 0.11: filters.mel(sr, n_fft, n_mels) > 0.
MEL = {
    (44100, 2048, 60): (0, 4, 7, 10, 13, 16, 19, 22),
    (48000, 1024, 32): (0, 3, 6, 8, 11, 14, 16, 19),
}


@pytest.mark.parametrize("key", MEL)
def test_mel_bands_are_those_of_the_fields_filters(key: tuple[int, int, int]) -> None:
    rate, n_fft, count = key
    bands = mel_bands(count, n_fft, rate)
    assert tuple(first for first, _ in bands[: len(MEL[key])]) == MEL[key]
    assert bands[-1][1] == n_fft // 2 + 1


@given(st.integers(1, 300), st.integers(32, 2048), st.sampled_from([8000, 22050, 44100, 96000]))
def test_a_mel_network_is_refused_or_its_bands_cover_all_bins(
    count: int, half: int, rate: int
) -> None:
    sizes: dict[str, Any] = {
        "num_bands": count,
        "n_fft": 2 * half,
        "hop_length": 8,
        "sample_rate": rate,
    }
    bands = mel_bands(count, 2 * half, rate)
    if all(first < end for first, end in bands) and bands_per_bin(bands, half + 1).all():
        assert MelRoFormerConfig(**sizes).bands == bands
    else:
        with pytest.raises(InputError, match=f"num_bands {count} do not cover the {half + 1} bins"):
            MelRoFormerConfig(**sizes)


@pytest.mark.parametrize("case", CASES)
def test_silence_gives_silence_and_examples_of_a_batch_do_not_mix(case: str) -> None:
    network, tensors = golden_network(case)
    wave = tensors["forward.input"]
    with torch.inference_mode():
        assert not network(torch.zeros_like(wave)).any()
        torch.testing.assert_close(network(wave)[1:], network(wave[1:]), atol=1e-5, rtol=1e-4)


@settings(max_examples=10, deadline=None)
@given(st.integers(65, 3000))
def test_any_length_above_half_a_window_comes_back(length: int) -> None:
    network, _ = golden_network("melroformer_stereo")
    with torch.inference_mode():
        assert network(torch.randn(1, 2, length)).shape == (1, 2, 2, length)


@pytest.mark.parametrize("case", CASES)
def test_a_published_pair_of_files_separates_and_streams(case: str, tmp_path: Path) -> None:
    config, weights = files(case, tmp_path)
    model = load_model(weights, config=config, device="cpu", backend="torch")
    assert model.config.chunking.chunk_size == 2000
    assert model.config.chunking.overlap == 2
    channels = model.config.channels
    wave = (0.1 * np.random.default_rng(0).standard_normal((channels, 5000))).astype(np.float32)
    stems = Separator(model).separate(wave, 44100)
    assert tuple(stems) == model.config.stems
    assert all(stem.shape == wave.shape and stem.any() for stem in stems.values())
    folder = convert(None, tmp_path / "converted", weights=weights, config=config)
    again = load_model(folder, device="cpu", backend="torch")
    assert again.config.network == model.config.network
    for name, stem in Separator(again).separate(wave, 44100).items():
        np.testing.assert_array_equal(stem, stems[name])


def test_a_cascade_takes_the_drums_of_a_roformer_apart(tmp_path: Path) -> None:
    config, weights = files("bsroformer_stereo", tmp_path)
    music = load_model(weights, config=config, device="cpu", backend="torch")
    wave = (0.1 * np.random.default_rng(0).standard_normal((2, 5000))).astype(np.float32)
    above = Separator(music).separate(wave, 44100)
    stems = Separator(Cascade(music, IdentityModel(["kick"]))).separate(wave, 44100)
    assert set(stems) == {"bass", "vocals", "kick"}
    np.testing.assert_allclose(stems["kick"], above["drums"], atol=1e-5)
    np.testing.assert_allclose(stems["bass"], above["bass"], atol=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_spectra_and_masks_in_numpy_around_the_core_give_the_golden_output(case: str) -> None:
    network, tensors = golden_network(case)
    prepost = MaskPrePost(network.config, lambda: network)
    core = prepost.core()
    seen: list[tuple[int, ...]] = []

    def run(inputs: list[Wave]) -> list[Wave]:
        seen.extend(one.shape for one in inputs)
        with torch.inference_mode():
            return [core(*map(torch.from_numpy, inputs)).numpy()]

    for wave, wanted in zip(tensors["forward.input"], tensors["forward.output"], strict=True):
        made = prepost(wave.numpy(), run)
        assert np.abs(made - wanted.numpy()).max() <= 1e-5
    assert seen[:1] == list(prepost.core_shapes(*tensors["forward.input"].shape[1:]))
    assert not prepost(np.zeros((network.config.audio_channels, 500), np.float32), run).any()


@pytest.mark.skipif(not has_openvino(), reason="OpenVINO is not installed")
@pytest.mark.parametrize("case", ["bsroformer_linear_mono", "melroformer_stereo"])
def test_openvino_gives_the_golden_output(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LARS_CACHE", str(tmp_path / "cache"))
    config, weights = files(case, tmp_path)
    model = load_model(weights, config=config, device="cpu", backend="openvino")
    assert model.backend.name == "openvino cpu float32"
    _, tensors = golden(case)
    made = model.backend(tensors["forward.input"].numpy())
    assert np.abs(made - tensors["forward.output"].numpy()).max() <= 1e-5
    row = case.partition("_")[0]
    with pytest.raises(InputError, match=f"no int8 for {row} networks; it has float32, bfloat16"):
        load_model(weights, config=config, device="cpu", backend="openvino", precision="int8")


@pytest.mark.skipif(not has_openvino(), reason="OpenVINO is not installed")
@pytest.mark.parametrize("case", ["bsroformer_stereo", "melroformer_stereo"])
def test_a_converted_network_takes_no_every_second_value(case: str) -> None:
    import openvino

    from lars_plugin.backends.openvino.convert import convert as to_openvino

    network, tensors = golden_network(case)
    prepost = MaskPrePost(network.config, lambda: network)
    graph = to_openvino(prepost, prepost.core_shapes(*tensors["forward.input"].shape[1:]))
    # What it is taken from, OpenVINO keeps until the end, in each layer anew: gigabytes.
    for operation in graph.get_ops():
        if operation.get_type_name() in ("Slice", "StridedSlice"):
            assert (operation.input_value(3).get_node().get_data() == 1).all()
    compiled = openvino.compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    for wave, wanted in zip(tensors["forward.input"], tensors["forward.output"], strict=True):
        made = prepost(wave.numpy(), lambda inputs: [np.asarray(compiled(inputs)[0])])
        assert np.abs(made - wanted.numpy()).max() <= 1e-5


@pytest.mark.parametrize("case", CASES)
def test_what_only_training_needs_changes_nothing(case: str) -> None:
    field, _ = golden(case)
    changed = copy.deepcopy(field)
    changed["model"] |= {"sage_attention": True, "attn_dropout": 0.5, "multi_stft_hop_size": 7}
    changed["model"] |= {"use_torch_checkpoint": True, "flash_attn": False, "use_pope": False}
    changed["model"] |= {"num_residual_streams": 1, "stft_normalized": True}
    assert shape_of(changed) == shape_of(field)


def test_options_that_a_file_leaves_out_have_the_fields_values() -> None:
    for case, hidden in (("bsroformer_stereo", 2), ("melroformer_stereo", 1)):
        field, _ = golden(case)
        for key in ("mask_estimator_depth", "mlp_expansion_factor", "freq_transformer_depth"):
            del field["model"][key]
        shape = shape_of(field)
        assert shape.mask_estimator_depth == hidden
        assert (shape.mlp_expansion_factor, shape.freq_transformer_depth) == (4, 2)
        assert shape.zero_dc


@pytest.mark.parametrize(
    ("case", "changes", "message"),
    [
        ("bsroformer_stereo", {"use_pope": True}, r"model\.use_pope True is not supported.*False"),
        ("bsroformer_stereo", {"num_residual_streams": 4}, r"num_residual_streams 4 is not.* 1$"),
        ("bsroformer_stereo", {"add_value_residual": True}, "add_value_residual True is not"),
        ("bsroformer_stereo", {"freq_range": [0, 20]}, r"freq_range \[0, 20\] is not supported"),
        ("bsroformer_stereo", {"ff_mult": 4}, r"option model\.ff_mult; supported: .*dim_head"),
        ("bsroformer_stereo", {"stft_win_length": 32}, "stft_win_length 32 is not.* 64"),
        ("bsroformer_stereo", {"freqs_per_bands": [30, 4]}, "must sum to n_fft / 2 . 1 = 33"),
        ("bsroformer_stereo", {"freqs_per_bands": [33]}, "list of two or more"),
        (
            "bsroformer_stereo",
            {"freqs_per_bands": [33.0, 0]},
            "of at least 1, got 33.0",
        ),
        ("bsroformer_stereo", {"dim": None}, r"model\.dim is missing"),
        ("bsroformer_stereo", {"dim_head": 7}, "dim_head must be even"),
        ("bsroformer_stereo", {"heads": "two"}, "heads must be a whole number"),
        ("bsroformer_stereo", {"skip_connection": 1}, "skip_connection must be true or false"),
        ("bsroformer_stereo", {"num_stems": 2}, r"num_stems is 2, but training names 3 stems"),
        ("bsroformer_stereo", {"stereo": False}, "num_channels is 2, but model.stereo means 1"),
        ("bsroformer_stereo", {"stft_hop_length": 40}, "hop_length at most half of it"),
        ("melroformer_stereo", {"sample_rate": 48000}, "48000 is not audio.sample_rate 44100"),
        ("melroformer_stereo", {"num_bands": 60}, "num_bands 60 do not cover the 65 bins"),
    ],
)
def test_settings_that_do_not_work_are_named_in_one_line(
    case: str, changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    config, _ = files(case, tmp_path, model=changes)
    with pytest.raises(ModelFormatError, match=message) as caught:
        read_config(config)
    assert "\n" not in str(caught.value)


def test_mel_bands_have_the_rate_that_the_fields_code_gives_them() -> None:
    field, _ = golden("melroformer_stereo")
    del field["model"]["sample_rate"]
    del field["audio"]["sample_rate"]
    bands = shape_of(field).bands
    assert bands == mel_bands(6, 128, 44100)
    field["audio"]["sample_rate"] = 44100
    assert shape_of(field).bands == bands
    # Here the field's bands would be those of 44100 Hz.
    field["audio"]["sample_rate"] = 48000
    with pytest.raises(
        InputError, match=r"model\.sample_rate \(44100, not given\) is not audio\.sample_rate 48000"
    ):
        shape_of(field)
    field["model"]["sample_rate"] = 48000
    assert shape_of(field).bands == mel_bands(6, 128, 48000)
    del field["audio"]["sample_rate"]
    with pytest.raises(InputError, match=r"48000 is not audio\.sample_rate 44100"):
        shape_of(field)
    # The bands of a BS-RoFormer are bins: any rate is fine.
    field, _ = golden("bsroformer_stereo")
    field["audio"]["sample_rate"] = 48000
    assert config_from_field(field, name="x").sample_rate == 48000


def test_a_file_of_an_unknown_architecture_is_told_what_is_known(tmp_path: Path) -> None:
    config = tmp_path / "config_scnet.yaml"
    config.write_text("audio: {chunk_size: 4096}\nmodel: {band_SR: [1]}\n", encoding="utf-8")
    with pytest.raises(
        ModelFormatError, match=r"mdx23c \(num_subbands\).*melroformer \(num_bands\)"
    ):
        read_config(config)


def test_a_chunk_shorter_than_half_a_window_is_refused(tmp_path: Path) -> None:
    config, weights = files("melroformer_stereo", tmp_path, audio={"chunk_size": 64})
    with pytest.raises(ModelFormatError, match="chunk_size 64 must be more than half of n_fft 128"):
        load_model(weights, config=config, device="cpu", backend="torch")


BANDS = [*[2] * 24, *[4] * 12, *[12] * 8, *[24] * 8, *[48] * 8, 128, 129]
# What both of the field's files say alike.
ALIKE: dict[str, Any] = {
    "stereo": True,
    "dim_head": 64,
    "heads": 8,
    "time_transformer_depth": 1,
    "freq_transformer_depth": 1,
    "linear_transformer_depth": 0,
    "stft_n_fft": 2048,
    "stft_win_length": 2048,
    "stft_normalized": False,
    "mask_estimator_depth": 2,
    "skip_connection": False,
    "flash_attn": True,
    "freqs_per_bands": BANDS,
}
# As in config_bs_roformer_384_8_2_485100.yaml of the field's release v1.0.12.
MUSIC_YAML: dict[str, Any] = {
    "audio": {"chunk_size": 485100, "num_channels": 2, "sample_rate": 44100},
    "model": {
        **ALIKE,
        "dim": 384,
        "depth": 8,
        "num_stems": 4,
        "stft_hop_length": 441,
        "mlp_expansion_factor": 2,
    },
    "training": {"instruments": ["drums", "bass", "other", "vocals"]},
    "inference": {"batch_size": 2, "num_overlap": 2},
}
# As in BS-Rofo-SW-Fixed.yaml, whose audio section names another hop than its network has.
SW_YAML: dict[str, Any] = {
    "audio": {"chunk_size": 588800, "hop_length": 441, "num_channels": 2, "sample_rate": 44100},
    "model": {
        **ALIKE,
        "dim": 256,
        "depth": 12,
        "num_stems": 6,
        "stft_hop_length": 512,
        "mlp_expansion_factor": 4,
        "use_torch_checkpoint": False,
        "dim_freqs_in": 1025,
    },
    "training": {
        "instruments": ["bass", "drums", "other", "vocals", "guitar", "piano"],
        "target_instrument": None,
    },
    "inference": {"batch_size": 1, "dim_t": 1101, "num_overlap": 2, "normalize": False},
}


@pytest.mark.parametrize(
    ("model", "field"), [("bs-roformer-music", MUSIC_YAML), ("bs-roformer-sw", SW_YAML)]
)
def test_an_entry_is_what_its_authors_yaml_says(model: str, field: dict[str, Any]) -> None:
    described, entry = config_from_field(field, name=model), get_config(model)
    for name in ("stems", "sample_rate", "channels", "chunking", "architecture", "network"):
        assert getattr(described, name) == getattr(entry, name), name


def test_shapes_are_frozen_and_their_defaults_are_whole() -> None:
    shape = BSRoFormerConfig()
    with pytest.raises(dataclasses.FrozenInstanceError):
        shape.dim = 1  # type: ignore[misc]
    assert len(shape.bands) == 62
    assert shape.bands[-1] == (896, 1025)
