# SPDX-License-Identifier: GPL-3.0-or-later
"""LarsNet: the published layout, and the numbers that the published code gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lars_plugin.backends.openvino.backend import OpenVINOBackend
from lars_plugin.backends.openvino.runtime import has_openvino
from lars_plugin.networks.larsnet.network import LarsNet, LarsNetConfig, LarsUNet
from lars_plugin.networks.larsnet.prepost import MagnitudePrePost
from lars_plugin.zoo.checkpoints import build_network
from lars_plugin.zoo.registry import get_config

# Of the published checkpoints: convolutions (out or in first, as PyTorch has them) by name.
PUBLISHED: dict[str, tuple[int, ...]] = {
    **{
        f"enc{level}.conv": (width, inputs, 5, 5)
        for level, (inputs, width) in enumerate(
            [(2, 16), (16, 32), (32, 64), (64, 128), (128, 256), (256, 512)], 1
        )
    },
    **{
        f"dec{level}.conv_trans": (inputs, width, 5, 5)
        for level, (inputs, width) in enumerate(
            [(512, 256), (512, 128), (256, 64), (128, 32), (64, 16), (32, 2)], 1
        )
    },
    "mask_layer.0": (2, 2, 4, 4),
}
NORMS = {
    "input_norm": 2048,
    **{f"enc{n}.bn": PUBLISHED[f"enc{n}.conv"][0] for n in range(1, 7)},
    **{f"dec{n}.bn": PUBLISHED[f"dec{n}.conv_trans"][1] for n in range(1, 7)},
}


def fill(network: nn.Module, seed: int) -> None:
    """Weights from a generator whose stream never changes; its order is the layout's."""
    rng = np.random.RandomState(seed)  # the golden numbers were made with it
    state: dict[str, Tensor] = {}
    for key, value in network.state_dict().items():
        if not value.is_floating_point():
            state[key] = value
            continue
        made: NDArray[np.float32] = rng.standard_normal(tuple(value.shape)).astype(np.float32)
        if key.endswith("running_var"):
            made = np.abs(made) + np.float32(0.5)
        elif value.dim() == 4:
            made *= np.float32(1.5 / np.sqrt(np.prod(value.shape[1:])))
        state[key] = torch.from_numpy(made)
    network.load_state_dict(state)


def small(wiener: float | None = None) -> LarsNet:
    config = LarsNetConfig(("kick", "snare"), bins=64, frames=64, wiener=wiener)
    network = LarsNet(config)
    fill(network.get_submodule("kick"), 1)
    fill(network.get_submodule("snare"), 2)
    return network.eval()


@pytest.fixture(scope="module")
def wave() -> Tensor:
    """Longer than the 64 frames that the small network sees at once: cut in two."""
    rng = np.random.RandomState(3)  # likewise
    made = rng.standard_normal((1, 2, 90000)).astype(np.float32) * np.float32(0.1)
    return torch.from_numpy(made)


AT = (0, 7, 1000, 30001, 65000, 70000, 89999)

# Samples at AT, left and right, and the energy of kick and snare, as the published code gave them
# for these weights and this wave.
PLAIN: tuple[list[list[list[float]]], tuple[float, float]] = (
    [
        [
            [-0.0013266, -0.0021731, 0.0035407, -0.0059714, -0.0038689, 0.0011602, -0.003367],
            [-0.0253733, -0.02349, -0.0038189, 0.0073133, -0.0118573, -0.006744, 0.014819],
        ],
        [
            [-0.0009077, -0.0021101, -0.0020013, -0.0118837, -0.0047766, 0.0056728, 0.0055555],
            [-0.0555252, -0.0500949, -0.0096942, 0.0142925, -0.0207189, -0.0140182, 0.0108197],
        ],
    ],
    (14.175394, 34.172771),
)
WIENER: tuple[list[list[list[float]]], tuple[float, float]] = (  # with the exponent 1.5
    [
        [
            [-0.0075269, -0.0094503, -0.0007307, -0.003848, -0.009073, 0.0078151, -0.0130276],
            [-0.0164061, -0.0152986, -0.0014376, 0.0036246, -0.006648, -0.0034188, 0.0077234],
        ],
        [
            [0.0031631, 0.0012545, -0.0092997, -0.0095107, -0.0013138, 0.0052261, 0.0052908],
            [-0.0453796, -0.0405506, -0.0074806, 0.0109277, -0.0151729, -0.0109578, 0.0036041],
        ],
    ],
    (10.779558, 23.533678),
)


@pytest.mark.parametrize(("wiener", "golden"), [(None, PLAIN), (1.5, WIENER)])
def test_the_numbers_are_those_of_the_published_code(
    wave: Tensor, wiener: float | None, golden: tuple[list[list[list[float]]], tuple[float, float]]
) -> None:
    with torch.inference_mode():
        stems = small(wiener)(wave)
    assert stems.shape == (1, 2, 2, 90000)
    samples, energies = golden
    np.testing.assert_allclose(stems[0][..., list(AT)].numpy(), samples, atol=2e-6)
    np.testing.assert_allclose((stems[0] ** 2).sum(dim=(1, 2)).numpy(), energies, rtol=1e-4)


def test_the_layout_is_that_of_the_published_checkpoints() -> None:
    config = get_config("larsnet")
    with torch.device("meta"):
        network = build_network(config)
    assert isinstance(network, LarsNet)
    assert config.stems == ("kick", "snare", "toms", "hihat", "cymbals")
    for stem in config.stems:
        state = network.get_submodule(stem).state_dict()
        wanted: dict[str, tuple[int, ...]] = {
            f"{name}.weight": shape for name, shape in PUBLISHED.items()
        }
        for name, shape in PUBLISHED.items():
            wanted[f"{name}.bias"] = (shape[1] if "trans" in name else shape[0],)
        for name, width in NORMS.items():
            for key in ("weight", "bias", "running_mean", "running_var"):
                wanted[f"{name}.{key}"] = (width,)
            wanted[f"{name}.num_batches_tracked"] = ()
        assert {key: tuple(tensor.shape) for key, tensor in state.items()} == wanted
    assert sum(p.numel() for p in network.parameters()) == 5 * 9_828_680


def test_a_chunk_of_the_zoo_is_what_the_networks_see_at_once() -> None:
    config = get_config("larsnet")
    frames = 1 + config.chunking.chunk_size // config.network["hop_length"]
    assert frames == config.network["frames"]
    assert config.chunking.chunk_size % config.network["hop_length"] == 0


def test_masks_lie_between_nothing_and_everything_and_wiener_masks_add_up(wave: Tensor) -> None:
    network = LarsUNet(LarsNetConfig(("kick",), bins=64, frames=64)).eval()
    sums = []
    with torch.inference_mode():
        mask = network(torch.rand(1, 2, 64, 64))
        assert 0 < mask.min() < mask.max() < 1
        # What lies above the bins that the networks see is in no stem: so compare two exponents.
        for exponent in (0.5, 1.0):
            config = LarsNetConfig(("a", "b"), bins=64, frames=64, wiener=exponent)
            shared = LarsNet(config).eval()
            sums.append(shared(wave[..., :20000])[0].sum(dim=0))
    torch.testing.assert_close(*sums, atol=1e-4, rtol=0)


def test_silence_gives_silence_and_a_batch_is_its_parts(wave: Tensor) -> None:
    network = small()
    with torch.inference_mode():
        assert not network(torch.zeros(1, 2, 8192)).any()
        batch = torch.cat([wave[..., :20000], wave[..., 20000:40000]])
        parts = torch.cat([network(part[None]) for part in batch])
        torch.testing.assert_close(network(batch), parts, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"features": (16, 32)}, "has 6 levels"),
        ({"frames": 100}, "multiples of 64"),
        ({"bins": 4096}, "do not fit n_fft"),
        ({"wiener": 0.0}, "exponent must be above 0"),
    ],
)
def test_shapes_that_cannot_be_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LarsNetConfig(("kick",), **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(("wiener", "golden"), [(None, PLAIN), (1.5, WIENER)])
def test_spectra_in_numpy_around_the_core_give_the_published_numbers(
    wave: Tensor, wiener: float | None, golden: tuple[list[list[list[float]]], tuple[float, float]]
) -> None:
    network = small(wiener)
    prepost = MagnitudePrePost(network.config, lambda: network)
    core = prepost.core()

    def run(inputs: list[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        assert [one.shape for one in inputs] == list(prepost.core_shapes(2, wave.shape[2]))
        with torch.inference_mode():
            return [core(*map(torch.from_numpy, inputs)).numpy()]

    stems = prepost(wave[0].numpy(), run, threads=2)
    np.testing.assert_allclose(stems[..., list(AT)], golden[0], atol=2e-6)
    np.testing.assert_allclose((stems**2).sum(axis=(1, 2)), golden[1], rtol=1e-4)
    assert not prepost(np.zeros((2, 9000), np.float32), run).any()


@pytest.mark.parametrize("length", [2100, 4096, 5000, 66560])
def test_any_length_is_the_same_with_and_without_pytorchs_spectra(length: int) -> None:
    network = small()
    prepost = MagnitudePrePost(network.config, lambda: network)
    core = prepost.core()
    rng = np.random.default_rng(length)
    part = (0.1 * rng.standard_normal((2, length))).astype(np.float32)

    def run(inputs: list[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        with torch.inference_mode():
            return [core(*map(torch.from_numpy, inputs)).numpy()]

    with torch.inference_mode():
        wanted = network(torch.from_numpy(part[None]))[0].numpy()
    np.testing.assert_allclose(prepost(part, run), wanted, atol=2e-6)


@pytest.mark.skipif(not has_openvino(), reason="OpenVINO is not installed")
@pytest.mark.parametrize("wiener", [None, 1.5])
def test_openvino_gives_the_same(wave: Tensor, wiener: float | None, tmp_path: Path) -> None:
    network = small(wiener)
    backend = OpenVINOBackend(
        MagnitudePrePost(network.config, lambda: network), identity={"a": 1}, cache=tmp_path
    )
    made = backend(wave.numpy())
    with torch.inference_mode():
        wanted = network(wave).numpy()
    noise = np.square(made - wanted).sum()
    assert 10 * np.log10(np.square(wanted).sum() / noise) > 90  # dB
    # One of the two networks alone, unless each stem depends on all.
    alone = backend.only((1,))
    assert (alone is None) == (wiener is not None)
    if alone is not None:
        np.testing.assert_allclose(alone(wave.numpy()), made[:, 1:], atol=1e-5)
        assert backend.only((1,)) is alone
