# SPDX-License-Identifier: GPL-3.0-or-later
"""Stems that add up at the model's rate add up at every rate: nothing is lost in conversion."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lars_plugin.audio.levels import QUIETEST
from lars_plugin.chain import StemSeparator
from lars_plugin.composites.composite import Cascade, Ensemble
from lars_plugin.errors import EngineError
from lars_plugin.model import AnyModel, Chunking, Model, ModelConfig
from lars_plugin.refine.postprocess import PostProcessing
from lars_plugin.separation.separator import Separator
from lars_plugin.separation.streams.open import open_stream
from lars_plugin.testing import FailingModel, GainModel, IdentityModel

Wave = NDArray[np.float32]

RATES = (8000, 16000, 22050, 32000, 44100, 48000, 88200, 96000, 192000)
MUSIC = ("vocals", "drums", "other")


class _Bands:
    """Its stems are the low part, what is between, and the rest; they add up."""

    name = "bands"

    def __call__(self, batch: Wave) -> Wave:
        low = _smooth(batch, 12)
        middle = _smooth(batch - low, 3)
        return np.stack([low, middle, batch - low - middle], axis=1)


class _Causal(_Bands):
    """The same hop by hop, without looking beyond a hop."""

    def initial_state(self) -> None:
        return None

    def step(self, hops: Wave, state: None) -> tuple[Wave, None]:
        made: Wave = self(hops[None])[0]
        return made, state


def _smooth(wave: Wave, width: int) -> Wave:
    out: Wave = wave.copy()
    for shift in range(1, width):
        out[..., shift:] += wave[..., :-shift]
    return np.asarray(out / np.float32(width), np.float32)


def bands(
    stems: tuple[str, ...] = ("kick", "snare", "hihat"), chunk: int = 1000, rate: int = 44100
) -> Model:
    return Model(ModelConfig(f"bands {chunk}", stems, Chunking(chunk, 2), rate), _Bands())


def causal() -> Model:
    chunking = Chunking(504, 1, "causal")
    return Model(ModelConfig("causal", ("kick", "snare", "hihat"), chunking), _Causal())


def noise(samples: int, channels: int = 2, seed: int = 0) -> Wave:
    rng = np.random.default_rng(seed)
    return rng.uniform(-0.5, 0.5, (channels, samples)).astype(np.float32)


def missing_db(stems: Wave, audio: Wave) -> float:
    """What the stems leave of the audio, against it."""
    left = audio - stems.sum(axis=0, dtype=np.float64)
    power = np.square(audio, dtype=np.float64).sum()
    return float(10 * np.log10(np.square(left).sum() / power + 1e-30))


def separated(model: AnyModel, audio: Wave, rate: float, **settings: object) -> Wave:
    made = Separator(model, **settings).separate(audio, rate)  # type: ignore[arg-type]
    return np.stack(list(made.values()))


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(
    "model", [bands(), causal(), bands(rate=32000)], ids=["chunked", "causal", "32 kHz"]
)
def test_stems_add_up_to_the_recording_at_every_rate(
    rate: int, channels: int, model: Model
) -> None:
    audio = noise(rate // 4 + 7, channels)
    assert missing_db(separated(model, audio, rate), audio) < -120


@pytest.mark.parametrize("rate", [1000, 11025, 44099.5, 47952.05, 705600, 768000])
def test_so_they_do_at_rates_that_nobody_expects(rate: float) -> None:
    audio = noise(int(rate) // 5 + 1000)
    assert missing_db(separated(bands(), audio, rate), audio) < -120


@pytest.mark.parametrize("samples", [1, 2, 15, 16, 17, 100, 1023, 1025])
def test_so_do_the_shortest_recordings(samples: int) -> None:
    for rate in RATES:
        audio = noise(samples)
        assert missing_db(separated(bands(), audio, rate), audio) < -120


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from([8000, 22050, 44100.5, 48000, 96000]),
    st.sampled_from([1, 2]),
    st.integers(0, 9000),
    st.lists(st.integers(0, 3000), max_size=10),
)
def test_shares_are_the_same_to_the_bit_for_any_block_split(
    rate: float, channels: int, samples: int, cuts: list[int]
) -> None:
    audio = noise(samples, channels, seed=samples)
    stream = open_stream(bands(), rate, channels)
    expected = np.concatenate([stream.push(audio), stream.flush()], axis=2)
    stream.reset()
    edges = [0, *sorted(min(cut, samples) for cut in cuts), samples]
    parts = []
    for start, end in itertools.pairwise(edges):
        block = audio[:, start:end].copy()
        parts.append(stream.push(block))
        block[:] = np.nan  # the caller may do as it likes with its block
    parts.append(stream.flush())
    assert np.array_equal(np.concatenate(parts, axis=2), expected)


@pytest.mark.parametrize("rate", [8000, 44100, 48000, 96000])
@pytest.mark.parametrize("names", [["hihat"], ["snare", "kick"]])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_stem_is_the_same_whichever_others_are_asked_for(
    rate: int, names: list[str], channels: int
) -> None:
    audio = noise(20_000, channels)
    everything = Separator(bands()).separate(audio, rate)
    some = Separator(bands(), stems=names).separate(audio, rate)
    assert list(some) == names
    for name in names:
        assert np.array_equal(some[name], everything[name])


def test_what_is_lost_goes_to_the_stems_that_hold_the_top_of_the_band() -> None:
    t = np.arange(48000) / 48000
    heard = np.sin(2 * np.pi * 80 * t) + 0.05 * np.sin(2 * np.pi * 12000 * t)
    beyond = 0.1 * np.sin(2 * np.pi * 23000 * t)
    audio = np.tile(heard + beyond, (2, 1)).astype(np.float32)
    kick, _, hihat = separated(bands(), audio, 48000)
    wave = np.exp(-2j * np.pi * 23000 * t[5000:-5000])
    levels = [abs((stem[:, 5000:-5000] * wave).mean()) * 2 for stem in (kick, hihat)]
    assert levels[0] < 0.003
    assert levels[1] > 0.09


def test_what_the_model_itself_leaves_is_nobodys() -> None:
    shares = [0.4, 0.2, 0.1]
    audio = noise(30_000)
    whole = separated(GainModel([1.0], ["kick"], 1000), audio, 48000)[0]
    np.testing.assert_allclose(whole, audio, atol=1e-6)
    nothing = separated(GainModel([0.0], ["kick"], 1000), audio, 48000)[0]  # only what was lost
    some = separated(GainModel(shares, ["kick", "snare", "toms"], 1000), audio, 48000)
    np.testing.assert_allclose(some.sum(axis=0), 0.7 * audio + 0.3 * nothing, atol=1e-5)


def test_both_channels_get_the_same_shares_so_that_the_image_stays() -> None:
    one = noise(20_000, 1)
    left, right = np.float32(0.5), np.float32(-0.25)
    made = separated(bands(), np.concatenate([left * one, right * one]), 96000)
    np.testing.assert_allclose(made[:, 1], made[:, 0] * (right / left), atol=1e-6)


def test_silence_stays_silence_and_stems_too_small_to_square_harm_nobody() -> None:
    assert not separated(bands(), np.zeros((2, 9000), np.float32), 48000).any()
    for level in (1e-38, 1e-30, 1e-20, 1e15):
        audio = np.float32(level) * noise(9000)
        made = separated(bands(), audio, 48000)
        assert np.isfinite(made).all()
        left = audio - made.sum(axis=0, dtype=np.float64)
        # What is 600 dB below full scale counts as silence (lars_plugin/audio/levels.py).
        assert np.abs(left).max() < max(1e-6 * level, QUIETEST)


@pytest.mark.parametrize("rate", [22050, 44100, 48000, 96000])
@pytest.mark.parametrize("fuse", [True, False])
def test_cascades_add_up(rate: int, fuse: bool) -> None:
    audio = noise(20_000)
    for drums in (bands(), bands(rate=48000)):
        cascade = Cascade(bands(MUSIC), drums, fuse=fuse)
        assert cascade.fused == (fuse and drums.config.sample_rate == 44100)
        everything = Separator(cascade).separate(audio, rate)
        assert missing_db(np.stack(list(everything.values())), audio) < -120
        for names in (["other"], ["hihat", "vocals"], ["kick"]):
            some = Separator(cascade, stems=names).separate(audio, rate)
            assert list(some) == names
            for name in names:
                assert np.array_equal(some[name], everything[name])
    post = PostProcessing(redistribute=True)
    assert missing_db(separated(Cascade(bands(MUSIC), bands()), audio, rate, post=post), audio) < (
        -120
    )


def test_a_drum_stage_that_is_not_wanted_is_not_run_at_other_rates_either() -> None:
    audio = noise(5000)
    for rate in (22050, 48000):
        cascade = Cascade(bands(MUSIC), FailingModel(0, bands(chunk=700)))
        assert Separator(cascade, stems=["other"]).separate(audio, rate)["other"].any()
        with pytest.raises(EngineError, match="on purpose"):
            Separator(cascade, stems=["kick"]).separate(audio, rate)


@pytest.mark.parametrize("rate", [22050, 44100, 48000, 96000])
def test_ensembles_add_up(rate: int) -> None:
    audio = noise(20_000)
    for other in (bands(chunk=900), bands(chunk=900, rate=32000)):
        ensemble = Ensemble([bands(), other])
        assert missing_db(separated(ensemble, audio, rate), audio) < -120


@pytest.mark.parametrize("rate", [8000, 48000])
def test_redistribution_still_makes_stems_add_up_that_do_not_by_themselves(rate: int) -> None:
    audio = noise(30_000)
    post = PostProcessing(redistribute=True)
    model = GainModel([0.4, 0.2, 0.1], ["kick", "snare", "toms"], 1000)
    assert missing_db(separated(model, audio, rate), audio) > -20
    assert missing_db(separated(model, audio, rate, post=post), audio) < -120


@pytest.mark.parametrize("rate", RATES)
def test_a_board_with_all_stems_at_unity_gives_the_recording_back(rate: int) -> None:
    audio = noise(20_000)
    made = StemSeparator(IdentityModel())(audio, rate)
    assert missing_db(made[None], audio) < -120
