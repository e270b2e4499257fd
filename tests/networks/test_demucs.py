# SPDX-License-Identifier: GPL-3.0-or-later
"""HT-Demucs and Hybrid Demucs against golden vectors of the field's implementation.

The vectors are of PyPI demucs 4.1 with random weights, stored in half precision as packages are.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from lars_plugin.backends.openvino.backend import OpenVINOBackend
from lars_plugin.backends.openvino.runtime import has_openvino
from lars_plugin.backends.torch_backend import TorchBackend
from lars_plugin.errors import InputError, ModelFormatError
from lars_plugin.model import Chunking, Convention, Model, ModelConfig
from lars_plugin.networks.bandunet.config import BandUNetConfig
from lars_plugin.networks.demucs.config import HDemucsConfig, HTDemucsConfig
from lars_plugin.networks.demucs.network import HDemucs, HTDemucs
from lars_plugin.networks.demucs.prepost import HybridPrePost
from lars_plugin.networks.mdx23c.config import MDX23CConfig
from lars_plugin.networks.registry import ARCHITECTURES
from lars_plugin.networks.roformer.config import BSRoFormerConfig
from lars_plugin.separation.separator import Separator
from lars_plugin.zoo.checkpoints import load_state

GOLDEN = Path(__file__).parents[1] / "golden"
CASES = (
    *("htdemucs_bottom", "htdemucs_options", "htdemucs_magnitudes"),
    *("hdemucs_lstm", "hdemucs_old"),
)


def golden(case: str) -> tuple[nn.Module, dict[str, Tensor]]:
    said: dict[str, Any] = json.loads((GOLDEN / f"{case}.json").read_text(encoding="utf-8"))
    tensors = load_file(GOLDEN / f"{case}.safetensors")
    row = ARCHITECTURES[case.split("_", 1)[0]]
    shape_class: Any = row.shape_class()
    network = row.build(shape_class(len(said["sources"]), **shape_class.from_package(said)))
    prefix = "state."
    state = {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}
    assert {tensor.dtype for tensor in state.values()} == {torch.float16}
    load_state(network, state, case)
    return network.eval(), tensors


@pytest.mark.parametrize("case", CASES)
def test_published_state_dicts_load_unchanged_and_give_the_golden_output(case: str) -> None:
    network, tensors = golden(case)
    for name in ("forward", "short"):
        before = tensors[f"{name}.input"].clone()
        with torch.inference_mode():
            found = network(tensors[f"{name}.input"])
        assert found.shape == tensors[f"{name}.output"].shape
        assert found.dtype == torch.float32
        assert (found - tensors[f"{name}.output"]).abs().max() <= 1e-5
        assert torch.equal(before, tensors[f"{name}.input"])


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(
    ("case", "convention"), [("htdemucs_bottom", "demucs"), ("hdemucs_lstm", "demucs-short")]
)
def test_whole_recordings_equal_the_fields_apply_model(
    case: str, convention: Convention, batch: int
) -> None:
    network, tensors = golden(case)
    chunking = Chunking(2205, 4 / 3, convention, batch)
    model = Model(ModelConfig("golden", ("kick", "snare"), chunking), TorchBackend(network))
    for name in ("apply", "apply_short"):
        stems = Separator(model).separate(tensors[f"{name}.input"].numpy(), 44100)
        wanted = tensors[f"{name}.output"].numpy()
        np.testing.assert_allclose(np.stack(list(stems.values())), wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("case", "convention"), [("htdemucs_bottom", "demucs"), ("hdemucs_lstm", "demucs-short")]
)
def test_shifts_equal_those_of_the_fields_apply_model(case: str, convention: Convention) -> None:
    network, tensors = golden(case)
    model = Model(
        ModelConfig("golden", ("kick", "snare"), Chunking(2205, 4 / 3, convention)),
        TorchBackend(network),
    )
    audio = tensors["apply.input"].numpy()
    stems = Separator(model, shifts=3).separate(audio, 44100)
    wanted = tensors["apply_shifts.output"].numpy()
    np.testing.assert_allclose(np.stack(list(stems.values())), wanted, atol=1e-5)
    # Where chunks lie has a part in what such a network makes.
    assert np.abs(wanted - tensors["apply.output"].numpy()).max() > 0.01


@pytest.mark.parametrize(
    ("build", "parameters"),
    [
        # Half of the bytes of the published half-precision files, but for their headers.
        (
            lambda: HTDemucs(HTDemucsConfig(bottom_channels=512, dconv_mode=3)),
            41_984_456,
        ),
        (lambda: HTDemucs(HTDemucsConfig(stems=6, dconv_mode=3)), 27_414_996),
        (lambda: HDemucs(HDemucsConfig()), 83_637_832),
    ],
)
def test_full_size_configurations_have_the_published_parameter_counts(
    build: Any, parameters: int
) -> None:
    with torch.device("meta"):  # shapes only: no memory, no arithmetic
        network = build()
    assert sum(p.numel() for p in network.parameters()) == parameters


def test_bands_of_frequency_may_become_channels() -> None:
    torch.manual_seed(0)
    settings: dict[str, Any] = {"channels": 8, "nfft": 256, "depth": 2, "t_heads": 1}
    network = HTDemucs(HTDemucsConfig(2, num_subbands=2, t_layers=1, **settings)).eval()
    with torch.inference_mode():
        assert network(torch.randn(1, 2, 1000)).shape == (1, 2, 2, 1000)
    # Four bands of two channels of complex numbers went in, and as many of each stem came out.
    shapes = {key: value.shape for key, value in network.state_dict().items()}
    assert shapes["encoder.0.conv.weight"][1] == 8
    assert shapes["decoder.1.conv_tr.weight"][1] == 16


def test_a_trained_length_is_filled_up_and_not_exceeded() -> None:
    network, _ = golden("htdemucs_bottom")
    assert isinstance(network, HTDemucs)
    assert network.config.segment_length == 2205
    with pytest.raises(InputError, match="takes 2205 samples at most, got 2206"):
        network(torch.zeros(1, 2, 2206))
    with pytest.raises(InputError, match="longer than the 2205 samples"):
        network.config.check_chunking(Chunking(2206))
    network.config.check_chunking(Chunking(2000))


def test_only_hybrid_demucs_takes_a_last_chunk_that_is_short() -> None:
    chunking = Chunking(2205, 4 / 3, "demucs-short")
    HDemucsConfig().check_chunking(chunking)
    with pytest.raises(InputError, match=r"demucs-short end with a recording.*: use demucs$"):
        HTDemucsConfig().check_chunking(chunking)
    for shape in (BSRoFormerConfig(n_fft=2048), MDX23CConfig(), BandUNetConfig()):
        with pytest.raises(InputError, match="demucs-short"):
            shape.check_chunking(chunking)


def test_stored_positions_are_as_many_as_a_chunk_needs() -> None:
    network, _ = golden("htdemucs_options")
    assert isinstance(network, HTDemucs)
    shape = dataclasses.replace(network.config, t_max_positions=20)
    assert shape.positions(16 * 20) == 20
    shape.check_chunking(Chunking(16 * 20))
    with pytest.raises(InputError, match="is 20, but chunks of 321 samples need 21"):
        shape.check_chunking(Chunking(16 * 20 + 1))
    with torch.inference_mode():
        small = HTDemucs(shape).eval()
        assert small(torch.randn(1, 2, 320)).shape == (1, 2, 2, 320)
        with pytest.raises(InputError, match="has 20 positions, its input needs 21"):
            small(torch.randn(1, 2, 321))


@pytest.mark.parametrize("channels", [1, 2])
def test_silence_and_single_samples_are_finite(channels: int) -> None:
    torch.manual_seed(0)
    config = HDemucsConfig(2, channels, channels=8, nfft=64, depth=3, dconv_attn=9, dconv_lstm=9)
    network = HDemucs(config).eval()
    with torch.inference_mode():
        for wave in (torch.zeros(1, channels, 100), torch.full((1, channels, 1), 0.5)):
            assert torch.isfinite(network(wave)).all()


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (HTDemucsConfig, {"cac": False}, "no iterative Wiener filter, got 0"),
        (HTDemucsConfig, {"nfft": 4100}, "nfft must be a multiple of 8"),
        (HTDemucsConfig, {"kernel_size": 7}, "kernel_size must be the stride and twice"),
        (HTDemucsConfig, {"t_heads": 7}, "t_heads must be a divisor"),
        (HTDemucsConfig, {"t_emb": "learned"}, "t_emb must be sin, cape or scaled, got 'learned'"),
        (HTDemucsConfig, {"channels": 4}, "dconv_comp must be at most"),
        (HTDemucsConfig, {"num_subbands": 3}, "num_subbands must be a divisor of the bins"),
        (HTDemucsConfig, {"depth": True}, "depth must be a whole number of at least 1, got True"),
        (HTDemucsConfig, {"multi_freqs": (0.5,), "kernel_size": 6}, "must be twice the stride"),
        (HTDemucsConfig, {"multi_freqs": (2.0,)}, "multi_freqs must be shares"),
        (HTDemucsConfig, {"multi_freqs": (0.75, 0.25)}, "shares between 0 and 1 that rise"),
        (HTDemucsConfig, {"multi_freqs": (0.5, 0.5)}, "shares between 0 and 1 that rise"),
        (HTDemucsConfig, {"multi_freqs": (0.001,)}, "at least a kernel"),
        (HDemucsConfig, {"multi_freqs": (0.5,), "multi_freqs_depth": 6}, "multi_freqs"),
        (HTDemucsConfig, {"channels_time": 24}, "channels_time must be channels"),
        (HTDemucsConfig, {"t_max_period": 0}, "t_max_period must be positive"),
        (HTDemucsConfig, {"emb_scale": None}, "emb_scale must be a finite number"),
        (HDemucsConfig, {"freq_emb": "2"}, "freq_emb must be a finite number"),
        (HTDemucsConfig, {"norm_starts": 0, "norm_groups": 5}, "norm_groups must be a divisor"),
        (HDemucsConfig, {"depth": 4}, "depth must be so large that frequency ends"),
        (HDemucsConfig, {"nfft": 2048}, r"nfft must be 4 \* 1024"),
        (HDemucsConfig, {"dconv_depth": 0}, "must not be 0"),
    ],
)
def test_settings_that_make_no_network_are_named(
    kind: Any, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        kind(**settings)


def test_missing_and_renamed_tensors_are_named() -> None:
    network, tensors = golden("htdemucs_bottom")
    state = {k[6:]: v for k, v in tensors.items() if k.startswith("state.")}
    state["encoder.0.convolution.weight"] = state.pop("encoder.0.conv.weight")
    with pytest.raises(ModelFormatError) as caught:
        load_state(network, state, "a.th")
    assert "missing encoder.0.conv.weight; unexpected encoder.0.convolution.weight" in str(
        caught.value
    )


HYBRIDS = [case for case in CASES if case.startswith("htdemucs")]


@pytest.mark.parametrize("case", HYBRIDS)
@pytest.mark.parametrize("threads", [1, 3])
def test_spectra_in_numpy_around_the_core_give_the_golden_output(case: str, threads: int) -> None:
    network, tensors = golden(case)
    assert isinstance(network, HTDemucs)
    prepost = HybridPrePost(network.config, lambda: network)
    core = prepost.core()
    seen: list[tuple[tuple[int, ...], ...]] = []

    def run(inputs: list[Any]) -> list[Any]:
        seen.append(tuple(one.shape for one in inputs))
        with torch.inference_mode():
            return [one.numpy() for one in core(*map(torch.from_numpy, inputs))]

    for name in ("forward", "short"):
        wave = tensors[f"{name}.input"].numpy()
        made = np.stack([prepost(one, run, threads) for one in wave])
        np.testing.assert_allclose(made, tensors[f"{name}.output"].numpy(), atol=1e-5)
        assert seen[-1] == prepost.core_shapes(*wave.shape[1:])
    assert not prepost(np.zeros((network.config.audio_channels, 900), np.float32), run).any()
    whole = network.config.segment_length
    if whole:
        with pytest.raises(InputError, match="samples at most"):
            prepost(np.ones((2, whole + 1), np.float32), run)


@pytest.mark.skipif(not has_openvino(), reason="OpenVINO is not installed")
@pytest.mark.parametrize("case", HYBRIDS)
def test_openvino_gives_the_golden_output(case: str, tmp_path: Path) -> None:
    network, tensors = golden(case)
    assert isinstance(network, HTDemucs)
    backend = OpenVINOBackend(
        HybridPrePost(network.config, lambda: network), identity={"case": case}, cache=tmp_path
    )
    made = backend(tensors["forward.input"].numpy())
    np.testing.assert_allclose(made, tensors["forward.output"].numpy(), atol=1e-4)
