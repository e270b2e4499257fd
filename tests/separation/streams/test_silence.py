# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples near zero: denormals are silence for streams, backends and all that follows them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pedalboard import Phaser

from lars_plugin.audio.levels import QUIETEST, is_silent, without_denormals
from lars_plugin.backends.torch_backend import TorchBackend
from lars_plugin.chain import StemBoard
from lars_plugin.model import Backend, CausalBackend, Chunking, Model, ModelConfig, Refinement
from lars_plugin.networks.bandunet.core import BandCore
from lars_plugin.networks.bandunet.network import BandUNet
from lars_plugin.networks.bandunet.prepost import BandPrePost
from lars_plugin.refine.postprocess import PostProcessing
from lars_plugin.refine.refiner import Refiner
from lars_plugin.refine.spatial_wiener import SpatialFilter
from lars_plugin.separation.separator import Separator
from lars_plugin.separation.streams.live_rate import LiveRateStream
from tests.models import QUICK_BANDUNET, bandunet, causal

Wave = NDArray[np.float32]

STEMS = ("kick", "snare")
FIT = Refinement(window=8192, n_fft=510, components=1, iterations=2)
# Denormals, numbers just above them, and music that nobody hears.
LEVELS = (1e-44, 1e-40, 1e-38, 1e-35, 1e-30, 1e-26, 1e-21, 1e-15, 1e-10)


def network() -> BandUNet:
    return bandunet(len(STEMS), **QUICK_BANDUNET).eval()


def noise(level: float, samples: int = 5000) -> Wave:
    wave = np.random.default_rng(0).standard_normal((2, samples)) * level
    wave[:, : samples // 3] = 0  # silence before it
    return np.asarray(wave, np.float32)


def separator(backend: Backend, post: PostProcessing | None = None) -> Separator:
    config = ModelConfig("tiny", STEMS, Chunking(4096, 1.25), refinement=FIT)
    return Separator(Model(config, SpatialFilter(backend, 1024)), post=post)


@pytest.mark.parametrize("rate", [44100, 48000])
@pytest.mark.parametrize("steps", ["none", "all"])
def test_stems_of_what_is_hardly_there_are_finite_and_add_up(rate: int, steps: str) -> None:
    post = PostProcessing(wiener=1, gate=-40, redistribute=True) if steps == "all" else None
    chosen = separator(TorchBackend(network(), device="cpu"), post)
    for level in LEVELS:
        audio = noise(level)
        made = chosen.separate(audio, rate)
        total = sum(made[stem].astype(np.float64) for stem in STEMS)
        if 10 * level < QUIETEST:
            assert not np.any(total)
        elif rate == 44100 or post is not None:
            np.testing.assert_allclose(total, audio, atol=max(1e-4 * level, 3 * QUIETEST))
        assert all(np.isfinite(made[stem]).all() for stem in STEMS)


def test_ten_milliseconds_of_denormals_in_silence_are_silence_also_for_live_streams() -> None:
    chosen = separator(TorchBackend(network(), device="cpu"))
    audio = np.zeros((2, 30000), np.float32)
    audio[:, 9000:9441] = 1e-40
    for stem in chosen.separate(audio, 44100).values():
        assert not stem.any()
    live = Chunking(4096, 4, "live", lookahead=256, fade=64)
    stream = LiveRateStream(chosen.model, 48000, 2, chunking=live)
    made = np.concatenate([stream.push(audio), stream.flush()], axis=2)
    assert not made.any()


def test_a_chunk_of_denormals_is_silence_for_backends_and_the_fit() -> None:
    chunk = np.full((2, 4096), 1e-40, np.float32)
    seen = network()
    config = seen.config
    core = BandCore(seen).eval()

    def run(inputs: list[Wave]) -> list[Wave]:
        with torch.inference_mode():
            return [one.numpy() for one in core(*map(torch.from_numpy, inputs))]

    assert not BandPrePost(config, network)(chunk, run).any()
    assert not TorchBackend(network(), device="cpu")(chunk[None]).any()
    stems = np.stack([chunk, chunk])
    assert np.array_equal(Refiner(FIT, STEMS)(chunk, stems), stems)


def test_a_causal_network_hears_silence_in_denormals() -> None:
    model = causal(STEMS)
    backend = model.backend
    assert isinstance(backend, CausalBackend)
    stems, _ = backend.step(np.full((2, 640), 1e-40, np.float32), backend.initial_state())
    assert not stems.any()
    for level in LEVELS:
        audio = noise(level, 1500)
        parts = Separator(model).separate(audio, 44100).values()
        total = np.sum([part.astype(np.float64) for part in parts], axis=0)
        np.testing.assert_allclose(total, audio, atol=max(1e-4 * level, 3 * QUIETEST))


def test_a_board_survives_what_pedalboards_phaser_leaves_of_silence() -> None:
    board = StemBoard(
        pre=[Phaser()], separator=separator(TorchBackend(network(), device="cpu")), post=[]
    )
    made = board.process(noise(1e-40, 20000), 44100)
    assert np.isfinite(made).all()
    assert np.abs(made).max() < 1e-20


def test_silence_is_what_no_sample_stands_out_of_and_nan_is_not() -> None:
    assert is_silent(np.full((2, 5), -1e-31, np.float32))
    assert is_silent(np.zeros((2, 0), np.float32))
    for loud in (1e-29, -1e-29, np.nan, np.inf):
        wave = np.zeros((2, 5), np.float32)
        wave[1, 3] = loud
        assert not is_silent(wave)
        assert without_denormals(wave) is wave
    wave = np.array([[1e-40, -1e-31, 1.0, np.nan]], np.float32)
    kept = wave.copy()
    np.testing.assert_array_equal(without_denormals(wave), [[0, 0, 1.0, np.nan]])
    assert np.array_equal(wave, kept, equal_nan=True)
