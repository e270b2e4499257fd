# SPDX-License-Identifier: GPL-3.0-or-later
"""Composites stand wherever a model can, are none themselves, and are made of loaded models."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import numpy as np
import pytest

import lars_plugin
from lars_plugin.composites.composite import Cascade, Composite, Ensemble
from lars_plugin.composites.drum_sum import with_drum_stem
from lars_plugin.composites.rechunk import rechunk
from lars_plugin.errors import EngineError
from lars_plugin.model import AnyModel, Chunking, Model
from lars_plugin.separation.separator import Separator
from lars_plugin.testing import GainModel

MUSIC = ("vocals", "drums", "other")
KIT = ("kick", "snare", "ride")
AUDIO = np.random.default_rng(1).uniform(-0.5, 0.5, (2, 3000)).astype(np.float32)


def music(chunk: int = 256) -> Model:
    return GainModel([0.1, 0.6, 0.3], MUSIC, chunk)


def kit(chunk: int = 100) -> Model:
    return GainModel([0.5, -0.25, 2], KIT, chunk)


KINDS: dict[str, Callable[[], Composite]] = {
    "cascade": lambda: Cascade(music(), kit()),
    "fused cascade": lambda: Cascade(music(), kit(256)),
    "ensemble": lambda: Ensemble([kit()], {"kick": {"GainModel": 2.0}}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_composite_is_no_model_but_stands_for_one(kind: str) -> None:
    composite = KINDS[kind]()
    assert isinstance(composite, AnyModel)
    assert not isinstance(composite, Model)
    stems = Separator(composite).separate(AUDIO, 44100)
    assert tuple(stems) == composite.config.stems
    assert composite.backend_name


@pytest.mark.parametrize("kind", KINDS)
def test_composites_are_copied_and_pickled_part_by_part(kind: str) -> None:
    composite = KINDS[kind]()
    assert copy.copy(composite) is composite
    assert copy.deepcopy(composite) is composite
    made = pickle.loads(pickle.dumps(composite))
    assert type(made) is type(composite)
    assert (made.config, made.fused) == (composite.config, composite.fused)
    assert [part.config for part in made.parts] == [part.config for part in composite.parts]
    one, two = (Separator(model).separate(AUDIO, 44100) for model in (made, composite))
    for name in two:
        np.testing.assert_array_equal(one[name], two[name])


def test_the_public_classes_are_those_that_load_names_too() -> None:
    cascade = lars_plugin.Cascade(music(), kit())
    ensemble = lars_plugin.Ensemble([kit()])
    assert isinstance(cascade, Cascade)
    assert isinstance(ensemble, Ensemble)
    for composite in (cascade, ensemble):
        assert type(pickle.loads(pickle.dumps(composite))) is type(composite)
    with pytest.raises(lars_plugin.ModelNotFoundError, match="no-such-model"):
        lars_plugin.Cascade("no-such-model", kit())
    with pytest.raises(lars_plugin.ModelNotFoundError, match="no-such-model"):
        lars_plugin.Ensemble([kit(), "no-such-model"])


def test_only_a_fused_composite_runs_on_one_chunk() -> None:
    chunk = AUDIO[None, :, :256]
    assert Cascade(music(), kit(256)).backend(chunk).shape == (1, 5, 2, 256)
    with pytest.raises(EngineError, match="cannot run on one chunk"):
        _ = Cascade(music(), kit()).backend
    # What runs its parts can be told all the same.
    assert Cascade(music(), kit()).backend_name == Cascade(music(), kit(256)).backend.name


def test_a_rechunked_composite_keeps_its_parts_chunk_sizes() -> None:
    live = Chunking(256, 8, "live", lookahead=16, fade=8)
    made = rechunk(Cascade(music(), kit(), fuse=False, name="mine"), live)
    assert isinstance(made, Cascade)
    assert made.config.name == "mine"
    assert not made.fused
    chunks = [part.config.chunking for part in made.parts]
    assert [one.chunk_size for one in chunks] == [256, 100]
    assert [(one.convention, one.step, one.lookahead) for one in chunks] == [("live", 32, 16)] * 2


def test_weights_are_copied() -> None:
    weights = {"kick": {"GainModel": 2.0}}
    model = Ensemble([kit()], weights)
    before = Separator(model).separate(AUDIO, 44100)
    weights["snare"] = {"GainModel": 1.0}
    weights["kick"]["GainModel"] = 5.0
    after = Separator(model).separate(AUDIO, 44100)
    assert list(after) == list(before) == ["kick"]
    np.testing.assert_array_equal(after["kick"], before["kick"])


def test_the_sum_of_drums_leaves_room_for_jobs_as_its_backend_does() -> None:
    model = GainModel([0.1, 0.6, 0.3], ("kick", "snare", "other"), 256)
    jobs: list[int] = []
    model.backend.share = jobs.append  # type: ignore[attr-defined]
    with_drum_stem(model).backend.share(3)  # type: ignore[attr-defined]
    assert jobs == [3]
