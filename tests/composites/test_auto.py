# SPDX-License-Identifier: GPL-3.0-or-later
"""Ensembles that trust the better model: ``auto:A,B``."""

from __future__ import annotations

import dataclasses
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lars_plugin import AutoEnsemble, Cascade, Separator, StemSeparator, load_model
from lars_plugin.composites.settled import with_preset
from lars_plugin.errors import InputError, ModelFormatError, ModelNotFoundError
from lars_plugin.model import Model, ModelConfig, Refinement
from lars_plugin.separation.streams.open import open_stream
from lars_plugin.testing import GainModel, IdentityModel
from lars_plugin.zoo.composite_specs import AutoSpec, PresetSpec, parse_name, part_names, spec_of
from tests.composites.test_confidence import RATE, kit, smeared

Wave = NDArray[np.float32]
KIT = ("kick", "snare", "hihat")


def named(name: str, model: Model) -> Model:
    return Model(dataclasses.replace(model.config, name=name), model.backend)


def gains(name: str, values: list[float], chunk: int = 300, **settings: object) -> Model:
    return named(name, GainModel(values, KIT, chunk, **settings))  # type: ignore[arg-type]


class Knows:
    """Separates one recording as well as it is told."""

    name = "knows"

    def __init__(self, stems: Wave) -> None:
        self._stems = stems

    def __call__(self, batch: Wave) -> Wave:
        return np.stack([self._stems[..., : batch.shape[2]] for _ in batch])


def knowing(name: str, stems: Wave) -> Model:
    config = IdentityModel(list(KIT), chunk_size=stems.shape[2]).config
    chunking = dataclasses.replace(config.chunking, overlap=1.0, convention="lars")
    return Model(dataclasses.replace(config, name=name, chunking=chunking), Knows(stems))


def sdr(truth: Wave, made: Wave) -> float:
    return 10 * float(np.log10((truth**2).sum() / ((truth - made) ** 2).sum()))


def test_the_better_model_counts_more_than_in_the_mean_and_stems_add_up() -> None:
    truth = kit(5.0)
    mixture = truth.sum(axis=0)
    parts = [knowing("good", smeared(truth, 0.05)), knowing("bad", smeared(truth, 0.6))]
    made = Separator(AutoEnsemble(parts)).separate(mixture, RATE)
    assert list(made) == list(KIT)
    mean = (smeared(truth, 0.05) + smeared(truth, 0.6)) / 2
    for number, stem in enumerate(KIT):
        assert sdr(truth[number], made[stem]) > sdr(truth[number], mean[number]) + 2
    np.testing.assert_allclose(sum(made[stem] for stem in KIT), mixture, atol=1e-5)


@settings(max_examples=8, deadline=None)
@given(
    cuts=st.lists(st.integers(0, 60000), max_size=6),
    samples=st.integers(0, 3 * RATE),
    rate=st.sampled_from([44100, 48000]),
    channels=st.sampled_from([1, 2]),
)
def test_any_split_gives_the_same_to_the_bit(
    cuts: list[int], samples: int, rate: int, channels: int
) -> None:
    model = AutoEnsemble([gains("a", [0.5, 0.3, 0.2]), gains("b", [0.2, 0.3, 0.5], 450)])
    rng = np.random.default_rng(samples)
    audio = rng.uniform(-0.5, 0.5, (channels, samples)).astype(np.float32)
    whole = Separator(model).separate(audio, rate)
    stream = open_stream(model, rate, channels, stems=["hihat", "kick"])
    parts, taken, given_ = [], 0, 0
    for size in [*cuts, samples]:
        parts.append(stream.push(audio[:, taken : taken + size]))
        taken, given_ = min(taken + size, samples), given_ + parts[-1].shape[2]
        assert taken - given_ <= stream.latency_samples
    made = np.concatenate([*parts, stream.flush()], axis=2)
    assert stream.flush().shape[2] == 0
    np.testing.assert_array_equal(made[0], whole["hihat"])
    np.testing.assert_array_equal(made[1], whole["kick"])


def test_cymbals_stand_for_ride_and_crash() -> None:
    six = IdentityModel(chunk_size=300)
    five = GainModel([0.2] * 5, (*six.config.stems[:4], "cymbals"), 300)
    model = AutoEnsemble([named("six", six), named("five", five)])
    assert model.config.stems == ("kick", "snare", "toms", "hihat", "cymbals")
    audio = kit(1.0).sum(axis=0)
    assert list(Separator(model).separate(audio, RATE)) == list(model.config.stems)


def test_it_is_the_drum_stage_of_a_cascade_and_a_node_of_a_chain() -> None:
    model = AutoEnsemble([gains("a", [0.5, 0.3, 0.2]), gains("b", [0.2, 0.3, 0.5])])
    audio = kit(2.5).sum(axis=0)
    alone = Separator(model).separate(audio, RATE)
    music = GainModel([0.0, 1.0], ("vocals", "drums"), 300)
    cascaded = Separator(Cascade(music, model)).separate(audio, RATE)
    assert list(cascaded) == ["vocals", *KIT]
    np.testing.assert_allclose(cascaded["kick"], alone["kick"], atol=1e-6)
    node = StemSeparator(model, stems="kick")
    np.testing.assert_allclose(node(audio, RATE), alone["kick"], atol=1e-5)


def test_it_is_never_fused_and_survives_pickling() -> None:
    model = AutoEnsemble(["lars-live", "lars-mini@fast"], backend="torch")
    assert not model.fused
    assert model.config.name == "auto:lars-live,lars-mini@fast"
    again = pickle.loads(pickle.dumps(model))
    assert isinstance(again, AutoEnsemble)
    assert again.config == model.config


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ([], "two models or more, got none"),
        ([gains("a", [1, 2, 3])], "two models or more, got a"),
        ([gains("a", [1, 2, 3])] * 2, "names a model twice"),
        (
            [gains("a", [1, 2, 3]), gains("b", [1, 2, 3], sample_rate=48000)],
            "one sample rate, got a 44100 Hz, b 48000 Hz",
        ),
        (
            [gains("a", [1, 2, 3]), named("b", GainModel([1, 2], KIT[:2], 300))],
            "same stems, but b has no hihat",
        ),
    ],
)
def test_what_cannot_be_chosen_from_is_refused_in_one_line(
    models: list[Model], message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        AutoEnsemble(models)
    assert "\n" not in str(caught.value)


def test_names_spell_them() -> None:
    assert parse_name("auto:a, b+c") == AutoSpec(("a", "b+c"))
    assert parse_name("a@fast") == PresetSpec("a", "fast")
    assert parse_name("auto:a,b@best") == AutoSpec(("a", "b@best"))
    assert part_names("auto:a,b@best") == ("a", "b")
    assert parse_name("a@home") is None


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("auto:", InputError, "write auto:A,B"),
        ("auto:lars-mini", InputError, "write auto:A,B"),
        ("auto:lars-mini,", InputError, "write auto:A,B"),
        ("auto:lars-mini,nobody", ModelNotFoundError, "no model 'nobody'"),
        ("auto:lars-mini,lars-fullmix", InputError, "lars-mini has no other"),
        ("lars-mini@slow", InputError, "unknown preset 'slow' of lars-mini; use fast"),
        ("auto:lars-mini,lars-live@quick", InputError, "unknown preset 'quick' of lars-live"),
    ],
)
def test_bad_names_are_refused(text: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        load_model(text, backend="torch")


def test_files_spell_them_too(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("auto: [lars-mini, lars-live]\n")
    assert spec_of(file) == AutoSpec(("lars-mini", "lars-live"), "mine")
    file.write_text("auto: [lars-mini, lars-live]\nstems: {kick: lars-mini}\n")
    with pytest.raises(ModelFormatError, match="auto is a list of models' names"):
        spec_of(file)


def test_a_part_keeps_its_own_preset_whatever_the_whole_has() -> None:
    base = gains("a", [1, 2, 3])
    fit = Refinement(window=1800, n_fft=120, fits=1, presets={"fast": 0, "best": 3})
    config = ModelConfig(**{
        **{f.name: getattr(base.config, f.name) for f in dataclasses.fields(base.config)},
        "presets": {"fast": 1.5, "best": 4.0},
        "refinement": fit,
    })  # fmt: skip
    fast = with_preset(Model(config, base.backend), "fast")
    assert fast.config.name == "a@fast"
    for preset in (None, "best"):
        settled = Separator(fast, preset=preset)._settled
        assert settled.config.chunking.overlap == 1.5
        assert settled.config.refinement is not None
        assert settled.config.refinement.fits == 0
    with pytest.raises(InputError, match="made of several models"):
        with_preset(AutoEnsemble([base, gains("b", [1, 2, 3])]), "fast")
