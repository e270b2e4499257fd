# SPDX-License-Identifier: GPL-3.0-or-later
"""Cascades are two separators one after the other, whatever the chunks, blocks and rates."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lars_plugin.composites.composite import Cascade, Ensemble
from lars_plugin.errors import EngineError, InputError, NonFiniteError
from lars_plugin.model import Chunking, Model, ModelConfig
from lars_plugin.refine.postprocess import PostProcessing
from lars_plugin.separation.separator import Separator
from lars_plugin.separation.streams.open import open_stream
from lars_plugin.stems import Stems
from lars_plugin.testing import DelayModel, FailingModel, GainModel, NaNModel

Wave = NDArray[np.float32]

MUSIC = ("vocals", "bass", "drums", "other")
KIT = ("kick", "snare", "ride")


def noise(samples: int, channels: int = 2, seed: int = 1) -> Wave:
    rng = np.random.default_rng(seed)
    return rng.uniform(-0.5, 0.5, (channels, samples)).astype(np.float32)


def music(chunk: int = 256, **settings: object) -> GainModel:
    return GainModel([0.1, 0.2, 0.6, 0.3], MUSIC, chunk, **settings)  # type: ignore[arg-type]


def kit(chunk: int = 100, **settings: object) -> Model:
    # Late within its chunk: so what comes out depends on where chunks lie.
    return DelayModel(3, GainModel([0.5, -0.25, 2], KIT, chunk, **settings))  # type: ignore[arg-type]


def in_turn(first: Model, second: Model, audio: Wave, rate: float = 44100) -> dict[str, Wave]:
    """What a user would do by hand."""
    above = Separator(first).separate(audio, rate)
    below = Separator(second).separate(above["drums"], rate)
    kept = {name: wave for name, wave in above.items() if name != "drums"}
    return {**kept, **below}


def assert_same(made: Stems, wanted: dict[str, Wave]) -> None:
    assert list(made) == list(wanted)
    for name, wave in wanted.items():
        np.testing.assert_allclose(made[name], wave, atol=1e-6)


@settings(max_examples=10, deadline=None)
@given(
    samples=st.integers(0, 1500),
    chunks=st.tuples(st.integers(20, 300), st.integers(20, 300)),
    channels=st.sampled_from([1, 2]),
)
def test_a_cascade_equals_two_separators_one_after_the_other(
    samples: int, chunks: tuple[int, int], channels: int
) -> None:
    first, second = music(chunks[0]), kit(chunks[1])
    audio = noise(samples, channels)
    made = Separator(Cascade(first, second, fuse=False)).separate(audio, 44100)
    assert_same(made, in_turn(first, second, audio))


@settings(max_examples=10, deadline=None)
@given(cuts=st.lists(st.integers(0, 2000), max_size=8), rate=st.sampled_from([44100, 48000]))
def test_a_cascade_is_the_same_to_the_bit_for_any_block_split(cuts: list[int], rate: int) -> None:
    audio = noise(2000)
    cascade = Cascade(music(), kit(sample_rate=22050))
    whole = np.stack(list(Separator(cascade).separate(audio, rate).values()))
    stream = open_stream(cascade, rate, 2)
    edges = [0, *sorted(cuts), 2000]
    parts = [stream.push(audio[:, a:b]) for a, b in itertools.pairwise(edges)]
    parts.append(stream.flush())
    np.testing.assert_array_equal(np.concatenate(parts, axis=2), whole)


def test_no_block_comes_later_than_the_latency_says_and_latencies_add_up() -> None:
    cascade = Cascade(music(), kit())
    stream = open_stream(cascade, 44100, 2)
    alone = [open_stream(part, 44100, 2).latency_samples for part in cascade.parts]
    assert stream.latency_samples == sum(alone)
    given_, worst = 0, 0
    for taken in range(7, 3000, 7):
        given_ += stream.push(noise(7, seed=taken)).shape[2]
        worst = max(worst, taken - given_)
    assert worst <= stream.latency_samples


def test_agreeing_chunks_are_run_once_and_added_up_once() -> None:
    first, second = music(128), GainModel([0.5, -0.25, 2], KIT, 128)
    cascade = Cascade(first, second)
    assert cascade.fused
    assert not Cascade(first, second, fuse=False).fused
    audio = noise(1000)
    made = Separator(cascade).separate(audio, 44100)
    # Gains do not mind where chunks lie, so here it has to be the same.
    assert_same(made, in_turn(first, second, audio))
    one, two = (open_stream(c, 44100, 2).latency_samples for c in (cascade, Cascade(first, kit())))
    assert one == open_stream(first, 44100, 2).latency_samples < two


def test_a_fused_cascade_is_the_second_network_on_the_first_ones_chunk() -> None:
    first, second = music(128), kit(128)
    chunks = noise(256).reshape(2, 1, 256)[..., :128]
    made = Cascade(first, second).backend(chunks)
    above = first.backend(chunks)
    np.testing.assert_array_equal(made[:, :3], above[:, [0, 1, 3]])
    np.testing.assert_array_equal(made[:, 3:], second.backend(above[:, 2]))


@pytest.mark.parametrize(
    "chunking",
    [
        Chunking(128, 4),
        Chunking(128, 2, "lars"),
        Chunking(128, 2, batch_size=3),
        Chunking(256, 2),
    ],
)
def test_chunks_that_do_not_agree_are_not_fused(chunking: Chunking) -> None:
    assert not Cascade(music(128), kit(chunking=chunking)).fused
    assert not Cascade(music(128), kit(128, sample_rate=48000)).fused


def test_one_overlap_for_all_fuses_what_a_preset_tells_apart() -> None:
    first = music(chunking=Chunking(128, 4))
    second = kit(chunking=Chunking(128, 2))
    assert not Cascade(first, second).fused
    separator = Separator(Cascade(first, second), overlap=2)
    assert separator.chunking == Chunking(128, 2)
    stream = separator.stream(44100, 2)
    assert stream.latency_samples == open_stream(second, 44100, 2).latency_samples


def test_stages_of_different_rates_and_channels_work_together() -> None:
    audio = noise(8000, 1)
    made = Separator(Cascade(music(channels=1), kit(sample_rate=22050))).separate(audio, 44100)
    assert {wave.shape for wave in made.values()} == {(1, 8000)}
    np.testing.assert_allclose(made["vocals"], 0.1 * audio, atol=1e-6)
    with pytest.raises(InputError, match="gives 2 channels, DelayModel takes 1"):
        Cascade(music(), kit(channels=1))


def test_a_stage_that_is_not_wanted_is_not_run() -> None:
    audio = noise(1000)
    broken = FailingModel(0, kit())
    made = Separator(Cascade(music(), broken), stems=["other", "vocals"]).separate(audio, 44100)
    assert list(made) == ["other", "vocals"]
    np.testing.assert_allclose(made["other"], 0.3 * audio, atol=1e-6)
    with pytest.raises(EngineError, match="on purpose"):
        Separator(Cascade(music(), broken), stems=["ride"]).separate(audio, 44100)


def test_of_a_fused_cascade_only_the_stages_that_are_needed_are_run() -> None:
    """And what they give is to the bit what they give of all."""
    audio = noise(2000)
    audio[1] = 0  # a view, whose rest is shared out among all stems
    first, second = (
        Model(dataclasses.replace(one.config, architecture="x"), one.backend)
        for one in (music(128), kit(128))
    )
    cascade = Cascade(first, second)
    assert cascade.fused
    whole = Separator(cascade).separate(audio, 44100)
    broken = Cascade(first, Model(second.config, FailingModel(0, second).backend))
    assert broken.fused
    above = [stem for stem in first.config.stems if stem != "drums"]
    made = Separator(broken, stems=above).separate(audio, 44100)
    for stem in above:
        np.testing.assert_array_equal(made[stem], whole[stem])
    for stem in second.config.stems:
        made = Separator(cascade, stems=[stem]).separate(audio, 44100)
        np.testing.assert_array_equal(made[stem], whole[stem])
    with pytest.raises(EngineError):
        Separator(broken, stems=[second.config.stems[0]]).separate(audio, 44100)


def test_of_an_ensemble_in_a_fused_cascade_only_the_models_that_are_needed_are_run() -> None:
    first, second = music(128), kit(128)
    name = second.config.stems[0]
    other = dataclasses.replace(second.config, name="other", stems=second.config.stems[1:])
    failing = Model(other, FailingModel(0, second).backend)
    both = Ensemble([second, failing], {name: {second.config.name: 1.0}, "ride": {"other": 1.0}})
    cascade = Cascade(first, both)
    assert cascade.fused
    made = Separator(cascade, stems=[name]).separate(noise(1000), 44100)
    wanted = Separator(Cascade(first, second), stems=[name]).separate(noise(1000), 44100)
    np.testing.assert_allclose(made[name], wanted[name], atol=1e-6)
    with pytest.raises(EngineError):
        Separator(cascade, stems=["ride"]).separate(noise(1000), 44100)


def test_stems_come_in_the_order_asked_for() -> None:
    audio = noise(1000)
    cascade = Cascade(music(), kit())
    everything = Separator(cascade).separate(audio, 44100)
    some = Separator(cascade, stems=["ride", "bass", "kick"]).separate(audio, 44100)
    assert list(some) == ["ride", "bass", "kick"]
    for name, wave in some.items():
        np.testing.assert_array_equal(wave, everything[name])


def test_progress_goes_through_the_recording_once() -> None:
    told: list[tuple[int, int]] = []
    Separator(Cascade(music(), kit())).separate(
        noise(200_000), 44100, progress=lambda done, total: told.append((done, total))
    )
    assert [total for _, total in told] == [200_000] * len(told)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1][0] == 200_000
    assert len(told) > 3


def test_a_fault_of_either_stage_is_told_with_its_name() -> None:
    for cascade in (
        Cascade(NaNModel(1, music()), kit()),
        Cascade(music(), NaNModel(1, kit())),
        Cascade(NaNModel(1, music(100)), kit(100)),
    ):
        with pytest.raises(NonFiniteError, match=r"NaNModel|cascade:"):
            Separator(cascade).separate(noise(2000), 44100)


def test_redistribution_makes_the_drums_add_up_to_the_drum_stem() -> None:
    audio = noise(30_000)
    for second in (kit(256), kit(100)):
        separator = Separator(Cascade(music(), second), post=PostProcessing(redistribute=True))
        made = separator.separate(audio, 44100)
        drums = sum(made[name] for name in KIT)
        np.testing.assert_allclose(drums, 0.6 * audio, atol=1e-5)
        np.testing.assert_allclose(made["vocals"], 0.1 * audio, atol=1e-6)


class _Causal:
    """Scales, and remembers: hop by hop, 16 samples late."""

    name = "causal"

    def initial_state(self) -> Wave:
        return np.zeros((2, 16), np.float32)

    def step(self, hops: Wave, state: Wave) -> tuple[Wave, Wave]:
        late = np.concatenate([state, hops], axis=1)
        factors = np.array([0.5, -0.25, 2], np.float32)[:, None, None]
        return factors * late[:, : hops.shape[1]], late[:, hops.shape[1] :]

    def __call__(self, batch: Wave) -> Wave:
        raise EngineError("only stepped here")


def test_a_causal_model_can_be_a_stage_and_is_never_fused() -> None:
    chunking = Chunking(64, 1, "causal", lookahead=16)
    causal = Model(ModelConfig("causal", KIT, chunking), _Causal())
    audio = noise(3000)
    cascade = Cascade(music(), causal)
    made = Separator(cascade).separate(audio, 44100)
    assert_same(made, in_turn(music(), causal, audio))
    assert open_stream(cascade, 44100, 2).latency_samples == (
        open_stream(music(), 44100, 2).latency_samples + 64 - 1 + 16
    )
    assert not Cascade(GainModel([1, 1], ("drums", "other"), chunking=chunking), causal).fused


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (kit(), kit(), "needs a music model with a drum stem, but DelayModel gives kick"),
        (music(), music(), "both give vocals, bass, other"),
    ],
)
def test_models_that_make_no_cascade_are_refused(first: Model, second: Model, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Cascade(first, second)


def test_cascades_of_ensembles_and_names_say_what_they_are() -> None:
    cascade = Cascade(music(), kit())
    assert cascade.config.name == "cascade:GainModel,DelayModel"
    assert cascade.config.stems == ("vocals", "bass", "other", *KIT)
    assert cascade.backend_name == "factors and factors, 3 samples late"
    with pytest.raises(EngineError, match="cannot run on one chunk"):
        cascade.backend(noise(256)[None])


def test_a_model_of_whole_songs_stands_for_a_music_model_by_the_sum_of_its_drums() -> None:
    song = GainModel([0.1, 0.2, 0.3, 0.4], ("kick", "snare", "ride", "other"), 256)
    audio = noise(3000)
    made = Separator(Cascade(song, kit())).separate(audio, 44100)
    above = Separator(song).separate(audio, 44100)
    drums = above["kick"] + above["snare"] + above["ride"]
    assert_same(made, {"other": above["other"], **Separator(kit()).separate(drums, 44100)})
