# SPDX-License-Identifier: GPL-3.0-or-later
"""Ensembles: means of models that may cut and name things differently."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lars_plugin.composites.composite import Cascade, Ensemble
from lars_plugin.errors import InputError
from lars_plugin.model import Chunking, Convention, Model, ModelConfig
from lars_plugin.separation.separator import Separator
from lars_plugin.separation.streams.open import open_stream
from lars_plugin.testing import DelayModel, FailingModel, GainModel, IdentityModel

Wave = NDArray[np.float32]

SIX = ("kick", "snare", "toms", "hihat", "ride", "crash")
FIVE = (*SIX[:4], "cymbals")


def noise(samples: int, channels: int = 2) -> Wave:
    rng = np.random.default_rng(2)
    return rng.uniform(-0.5, 0.5, (channels, samples)).astype(np.float32)


def named(name: str, model: Model) -> Model:
    """The model under another name, as an ensemble needs."""
    return Model(dataclasses.replace(model.config, name=name), model.backend)


def six(name: str = "six", chunk: int = 256, **settings: object) -> Model:
    return named(name, GainModel([1, 2, 3, 4, 5, 6], SIX, chunk, **settings))  # type: ignore[arg-type]


def five(name: str = "five", chunk: int = 100, **settings: object) -> Model:
    return named(name, GainModel([2, 4, 6, 8, 1], FIVE, chunk, **settings))  # type: ignore[arg-type]


def test_an_ensemble_is_the_mean_of_its_models() -> None:
    one = named("one", DelayModel(3, IdentityModel()))
    two = named("two", DelayModel(7, IdentityModel(chunk_size=300)))
    audio = noise(2000)
    made = Separator(Ensemble([one, two])).separate(audio, 44100)
    alone = [Separator(model).separate(audio, 44100) for model in (one, two)]
    assert list(made) == list(SIX)
    for stem in SIX:
        wanted = (alone[0][stem] + alone[1][stem]) / 2
        np.testing.assert_allclose(made[stem], wanted, atol=1e-6)


@settings(max_examples=10, deadline=None)
@given(cuts=st.lists(st.integers(0, 2000), max_size=8), rate=st.sampled_from([44100, 48000]))
def test_an_ensemble_is_the_same_to_the_bit_for_any_block_split(cuts: list[int], rate: int) -> None:
    audio = noise(2000)
    ensemble = Ensemble([six(), five(sample_rate=22050)])
    whole = np.stack(list(Separator(ensemble).separate(audio, rate).values()))
    stream = open_stream(ensemble, rate, 2)
    parts = [stream.push(audio[:, a:b]) for a, b in itertools.pairwise([0, *sorted(cuts), 2000])]
    parts.append(stream.flush())
    np.testing.assert_array_equal(np.concatenate(parts, axis=2), whole)


def test_the_slowest_model_decides_about_latency() -> None:
    slow, fast = six(), five()
    stream = open_stream(Ensemble([fast, slow]), 44100, 2)
    assert stream.latency_samples == open_stream(slow, 44100, 2).latency_samples
    given_, worst = 0, 0
    for taken in range(7, 2000, 7):
        given_ += stream.push(noise(7)).shape[2]
        worst = max(worst, taken - given_)
    assert worst <= stream.latency_samples


def test_where_one_model_gives_cymbals_the_others_ride_and_crash_are_added_up() -> None:
    audio = noise(1000)
    for models in ([six(), five()], [five(), six()]):
        made = Separator(Ensemble(models)).separate(audio, 44100)
        assert list(made) == list(FIVE)
        np.testing.assert_allclose(made["kick"], 1.5 * audio, atol=1e-5)
        np.testing.assert_allclose(made["cymbals"], (11 + 1) / 2 * audio, atol=1e-5)


def test_a_stem_that_one_model_has_comes_from_that_model() -> None:
    full = named("full", GainModel([1] * 6 + [9], (*SIX, "other"), 128))
    made = Separator(Ensemble([six(), full])).separate(noise(500), 44100)
    assert list(made) == [*SIX, "other"]
    np.testing.assert_allclose(made["other"], 9 * noise(500), atol=1e-5)


def test_weights_choose_by_stem_and_are_divided_by_their_sum() -> None:
    weights = {"cymbals": {"six": 1.0}, "kick": {"six": 0.3, "five": 0.9}, "toms": {"five": 2.0}}
    made = Separator(Ensemble([six(), five()], weights)).separate(noise(500), 44100)
    assert list(made) == ["cymbals", "kick", "toms"]
    for stem, factor in {"cymbals": 11, "kick": 0.25 * 1 + 0.75 * 2, "toms": 6}.items():
        np.testing.assert_allclose(made[stem], factor * noise(500), atol=1e-5)


def test_a_model_that_no_wanted_stem_is_made_of_is_not_run() -> None:
    broken = named("broken", FailingModel(0, five()))
    weights = {"kick": {"six": 1.0}, "snare": {"broken": 1.0}}
    made = Separator(Ensemble([six(), broken], weights), stems=["kick"]).separate(noise(500), 44100)
    np.testing.assert_allclose(made["kick"], noise(500), atol=1e-6)


class Chunkwise:
    """Stems that depend on where a chunk lies: a gain and the chunk's own mean square."""

    def __init__(self, gains: Sequence[float]) -> None:
        self.name, self.gains, self.runs = "chunkwise", np.asarray(gains, np.float32), 0

    def __call__(self, batch: Wave) -> Wave:
        self.runs += 1
        level = np.square(batch).mean(axis=(1, 2), keepdims=True)
        out: Wave = (batch * (1 + level))[:, None] * self.gains[:, None, None]
        return out


def chunkwise(
    name: str, stems: Sequence[str], first: float, chunking: Chunking
) -> tuple[Model, Chunkwise]:
    backend = Chunkwise([first + index for index in range(len(stems))])
    # An architecture: networks are shown recordings without their direct current.
    return Model(ModelConfig(name, tuple(stems), chunking, architecture="x"), backend), backend


CHUNKINGS = [
    None,
    Chunking(256, 4, "hann", batch_size=3),
    Chunking(96, 2, "hann"),
    Chunking(200, 1.6, "msst", batch_size=2),
    Chunking(256, 8, "live", lookahead=16, fade=8),
    Chunking(300, 4 / 3, "demucs"),
]


@pytest.mark.parametrize("kind", ["recording", "direct current", "one side"])
@pytest.mark.parametrize("chunking", CHUNKINGS)
@pytest.mark.parametrize("convention", ["hann", "msst"])
def test_one_stem_of_a_fused_ensemble_is_that_stem_of_all_to_the_bit(
    convention: Convention, chunking: Chunking | None, kind: str
) -> None:
    own = Chunking(256, 2, convention)
    audio = noise(2000)
    if kind == "direct current":
        audio += np.float32(0.1)
    elif kind == "one side":
        audio[1] = 0
    (six_, one), (other, two), (songs, three) = (
        chunkwise("one", SIX, 1, own),
        chunkwise("two", ("kick", "snare"), 20, own),
        chunkwise("three", ("kick", "other"), 40, own),
    )
    weights = {
        "kick": {"one": 0.3, "three": 0.7},
        "snare": {"two": 1.0},
        "cymbals": {"one": 1.0},
        "other": {"three": 2.0},
    }
    ensemble = Ensemble([six_, other, songs], weights)
    assert ensemble.fused
    whole = open_stream(ensemble, chunking=chunking)
    wanted = np.concatenate([whole.push(audio), whole.flush()], axis=2)
    needed = {"kick": (one, three), "snare": (two,), "cymbals": (one,), "other": (three,)}
    for index, stem in enumerate(ensemble.config.stems):
        before = [backend.runs for backend in (one, two, three)]
        stream = open_stream(ensemble, chunking=chunking, stems=[stem])
        assert stream.latency_samples == whole.latency_samples
        given_, worst, parts = 0, 0, []
        for begin in range(0, 2000, 7):
            parts.append(stream.push(audio[:, begin : begin + 7]))
            given_ += parts[-1].shape[2]
            worst = max(worst, min(begin + 7, 2000) - given_)
        assert worst <= stream.latency_samples
        found = np.concatenate([*parts, stream.flush()], axis=2)
        np.testing.assert_array_equal(found[0], wanted[index])
        backends = (one, two, three)
        ran = {b for b, runs in zip(backends, before, strict=True) if b.runs > runs}
        assert ran == set(needed[stem])


def test_stems_of_a_fused_ensemble_come_in_the_order_that_is_wanted() -> None:
    ensemble = Ensemble([six(), named("full", GainModel([1] * 6 + [9], (*SIX, "other"), 256))])
    whole = Separator(ensemble).separate(noise(1000), 44100)
    some = Separator(ensemble, stems=["other", "kick"]).separate(noise(1000), 44100)
    assert list(some) == ["other", "kick"]
    for stem, wave in some.items():
        np.testing.assert_array_equal(wave, whole[stem])


def test_models_with_the_same_chunks_share_one_overlap_add() -> None:
    one, two = (named(n, DelayModel(d, six())) for n, d in (("one", 3), ("two", 9)))
    ensemble = Ensemble([one, two])
    assert ensemble.fused
    assert not Ensemble([one, five()]).fused
    chunks = noise(256)[None]
    wanted = (one.backend(chunks) + two.backend(chunks)) / 2
    np.testing.assert_allclose(ensemble.backend(chunks), wanted, atol=1e-6)
    made = Separator(ensemble).separate(noise(2000), 44100)
    alone = [Separator(model).separate(noise(2000), 44100) for model in (one, two)]
    for stem in SIX:
        mean = (alone[0][stem] + alone[1][stem]) / 2
        np.testing.assert_allclose(made[stem], mean, atol=1e-5)


def test_an_ensemble_can_be_the_drum_stage_of_a_cascade() -> None:
    music = GainModel([0.5, 0.25], ("drums", "other"), 200)
    made = Separator(Cascade(music, Ensemble([six(), five()]))).separate(noise(3000), 44100)
    assert list(made) == ["other", *FIVE]
    np.testing.assert_allclose(made["kick"], 0.75 * noise(3000), atol=1e-5)


def test_live_chunks_reach_every_part() -> None:
    live = Chunking(256, 8, "live", lookahead=16, fade=8)
    ensemble = Ensemble([six(), five()])
    stream = open_stream(ensemble, 44100, 2, chunking=live)
    # step 32, lookahead and fade fit into both
    assert stream.latency_samples == 32 - 1 + 16 + 8
    made = np.concatenate([stream.push(noise(1000)), stream.flush()], axis=2)
    np.testing.assert_allclose(made[0], 1.5 * noise(1000), atol=1e-5)


@pytest.mark.parametrize(
    ("models", "weights", "message"),
    [
        ([], None, "at least one model"),
        ([six(), six()], None, "names a model twice: six, six"),
        ([six(), five(channels=1)], None, "differ in channels"),
        ([six(), five()], {"ride": {"five": 1.0}}, "weights for ride: five gives only kick"),
        ([six(), five()], {"kick": {"seven": 1.0}}, "weights for kick name seven; there are six"),
        ([six(), five()], {"kick": {"six": 0.0}}, "weights for kick are all 0"),
        ([six(), five()], {"kick": {"six": -1.0}}, "must be 0 or more, got -1"),
        ([six(), five()], {}, "name no stem"),
        (
            [six(), named("four", IdentityModel((*SIX[:3], "cymbals")))],
            None,
            "cymbals of four hold the hi-hat",
        ),
    ],
)
def test_models_that_make_no_ensemble_are_refused(
    models: list[Model], weights: dict[str, dict[str, float]] | None, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        Ensemble(models, weights)
