# SPDX-License-Identifier: GPL-3.0-or-later
"""Shifts: the mean of several separations whose chunks lie elsewhere."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lars_plugin.composites.composite import Cascade, Ensemble
from lars_plugin.composites.rechunk import rechunk
from lars_plugin.errors import InputError, ModelFormatError
from lars_plugin.model import Chunking, Convention, Model, Wave
from lars_plugin.refine.postprocess import PostProcessing
from lars_plugin.separation.separator import Separator
from lars_plugin.separation.streams.open import open_stream
from lars_plugin.separation.streams.shifted import shift_offsets
from lars_plugin.testing import DelayModel, GainModel, IdentityModel
from lars_plugin.zoo.yaml_configs import config_as_data, config_from_dict

RATE = 1000  # half a second of it is short
STEMS = ("kick", "snare")
OFFLINE: tuple[Convention, ...] = ("msst", "lars", "hann", "demucs", "demucs-short")


def model(convention: Convention = "demucs", **more: Any) -> Model:
    """Its stems depend on where its chunks lie."""
    chunking = Chunking(300, 1.5, convention, **more)
    return DelayModel(40, IdentityModel(STEMS, sample_rate=RATE, chunking=chunking))


def noise(samples: int, channels: int = 2) -> Wave:
    rng = np.random.default_rng(samples)
    return rng.uniform(-0.5, 0.5, (channels, samples)).astype(np.float32)


def stacked(separator: Separator, audio: Wave, rate: float = RATE) -> Wave:
    return np.stack(list(separator.separate(audio, rate).values()))


def test_offsets_are_spread_over_half_a_second() -> None:
    assert shift_offsets(1, 44100) == (0,)
    assert shift_offsets(3, 44100) == (0, 7350, 14700)
    assert shift_offsets(2, RATE) == (0, 250)


@pytest.mark.parametrize("convention", OFFLINE)
@pytest.mark.parametrize("samples", [1, 299, 1000, 2345])
def test_the_result_is_the_mean_of_separations_behind_silence(
    convention: Convention, samples: int
) -> None:
    audio, plain = noise(samples), Separator(model(convention))
    wanted = np.mean(
        [
            stacked(plain, np.pad(audio, ((0, 0), (offset, 0))))[..., offset:]
            for offset in shift_offsets(4, RATE)
        ],
        axis=0,
    )
    made = stacked(Separator(model(convention), shifts=4), audio)
    np.testing.assert_allclose(made, wanted, atol=1e-6)
    assert samples < 1000 or np.abs(made - stacked(plain, audio)).max() > 0.01


def test_one_shift_is_none_to_the_bit() -> None:
    audio = noise(2345)
    plain, once = Separator(model()), Separator(model(), shifts=1)
    assert np.array_equal(stacked(plain, audio), stacked(once, audio))


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(OFFLINE),
    st.integers(0, 2000),
    st.lists(st.integers(0, 2000), max_size=6),
    st.integers(2, 5),
    st.integers(1, 3),
)
def test_any_split_gives_the_same_samples_as_many_as_went_in_and_in_time(
    convention: Convention, samples: int, cuts: list[int], shifts: int, batch: int
) -> None:
    audio = noise(samples)
    stream = open_stream(model(convention, shifts=shifts, batch_size=batch))
    whole = np.concatenate([stream.push(audio), stream.flush()], axis=2)
    assert whole.shape == (2, 2, samples)
    stream.reset()
    parts, pushed, given = [], 0, 0
    for block in np.split(audio, sorted(min(cut, samples) for cut in cuts), axis=1):
        parts.append(stream.push(block))
        pushed, given = pushed + block.shape[1], given + parts[-1].shape[2]
        assert pushed - given <= stream.latency_samples
    parts.append(stream.flush())
    assert np.array_equal(np.concatenate(parts, axis=2), whole)
    assert stream.flush().shape[2] == 0


@pytest.mark.parametrize(("rate", "channels"), [(RATE, 1), (1600, 2), (1600, 1)])
def test_other_rates_channels_and_stems_work_as_without_shifts(rate: int, channels: int) -> None:
    audio = noise(1700, channels)
    post = PostProcessing(gate=-60)
    separator = Separator(model(), shifts=3, stems=["snare"], post=post)
    made = separator.separate(audio, rate)
    assert list(made) == ["snare"]
    assert made["snare"].shape == audio.shape
    assert np.isfinite(made["snare"]).all()


def test_parts_of_composites_are_shifted() -> None:
    kit = GainModel([1, 2], STEMS, 200, sample_rate=RATE)
    music = GainModel([1, 1, 1], ("vocals", "drums", "other"), 300, sample_rate=RATE)
    ensemble = Ensemble([
        model(),
        Model(dataclasses.replace(kit.config, name="kit"), kit.backend),
    ])  # fmt: skip
    audio = noise(1900)
    for composite in (ensemble, Cascade(music, kit)):
        stems = Separator(composite, shifts=2).separate(audio, RATE)
        assert all(stem.shape == audio.shape for stem in stems.values())
        # What only scales its input gives the same wherever chunks lie.
        plain = Separator(composite).separate(audio, RATE)
        if composite is not ensemble:
            for name, stem in stems.items():
                np.testing.assert_allclose(stem, plain[name], atol=1e-5)
    alone = stacked(Separator(model(), shifts=2), audio)
    scaled = stacked(Separator(kit), audio)
    mean = stacked(Separator(ensemble, shifts=2), audio)
    np.testing.assert_allclose(mean, (alone + scaled) / 2, atol=1e-5)


def test_a_fused_composite_is_shifted_as_one() -> None:
    one, two = model(), model()
    two = Model(dataclasses.replace(two.config, name="two"), two.backend)
    ensemble = Ensemble([one, two])
    assert ensemble.fused
    audio = noise(1900)
    made = stacked(Separator(ensemble, shifts=3), audio)
    np.testing.assert_allclose(made, stacked(Separator(one, shifts=3), audio), atol=1e-6)


def test_copies_and_models_configurations_keep_shifts() -> None:
    audio = noise(1500)
    separator = Separator("lars-live-low", stems=["kick"])
    assert pickle.loads(pickle.dumps(separator)).chunking.shifts == 1
    wanted = stacked(Separator(model(), shifts=3), audio)
    assert np.array_equal(stacked(copy.copy(Separator(model(), shifts=3)), audio), wanted)
    own = model(shifts=3)
    assert np.array_equal(stacked(Separator(own), audio), wanted)
    data = config_as_data(dataclasses.replace(own.config, architecture="x", name="x"))
    assert data["chunking"]["shifts"] == 3
    assert config_from_dict(data).chunking == own.config.chunking
    data["chunking"]["shifts"] = 0
    with pytest.raises(ModelFormatError, match="shifts must be positive, got 0"):
        config_from_dict(data)


def test_live_streams_have_no_shifts() -> None:
    with pytest.raises(InputError, match="causal chunks have no shifts, got 2"):
        Separator("lars-live", shifts=2)
    live = rechunk(model(shifts=3), Chunking(300, 3, "live"))
    assert live.config.chunking.shifts == 1
    for wrong in (0, -1):
        with pytest.raises(InputError, match="shifts must be positive"):
            Separator(model(), shifts=wrong)


def test_a_shifted_stream_begins_at_the_start_only() -> None:
    stream = open_stream(model(shifts=2))
    assert stream.begin_at(0) == 0
    assert stream.begin_at(700) is None
