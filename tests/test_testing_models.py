# SPDX-License-Identifier: GPL-3.0-or-later
"""The models for tests have their stated property."""

from __future__ import annotations

import time

import numpy as np
import pytest
from numpy.typing import NDArray

from lars_plugin.errors import EngineError, InputError, NonFiniteError
from lars_plugin.model import Model
from lars_plugin.separation.separator import Separator
from lars_plugin.testing import (
    DelayModel,
    FailingModel,
    GainModel,
    IdentityModel,
    NaNModel,
    SlowModel,
)


def batch(chunks: int = 1, samples: int = 100) -> NDArray[np.float32]:
    shape = (chunks, 2, samples)
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)


@pytest.mark.parametrize(
    "model",
    [IdentityModel(), GainModel([1, 2], ["a", "b"]), DelayModel(3), SlowModel(0), NaNModel(9)],
)
def test_each_is_a_model_that_names_itself_and_leaves_its_input_alone(model: Model) -> None:
    assert isinstance(model, Model)
    assert model.config.name == type(model).__name__
    assert model.backend.name
    chunks = batch(3)
    result = model.backend(chunks)
    assert result.shape == (3, len(model.config.stems), 2, 100)
    assert result.dtype == np.float32
    np.testing.assert_array_equal(chunks, batch(3))
    result[:] = 0
    np.testing.assert_array_equal(chunks, batch(3))


def test_identity_stems_add_up_to_the_mixture() -> None:
    audio = batch(1, 5000)[0]
    stems = Separator(IdentityModel()).separate(audio, 44100)
    np.testing.assert_allclose(stems.sum(), audio, atol=1e-6)
    np.testing.assert_allclose(stems["kick"], audio / 6, atol=1e-6)


def test_shares_and_factors_are_per_stem() -> None:
    shared = IdentityModel(("kick", "snare"), shares=(0.25, 0.75)).backend(batch())
    np.testing.assert_allclose(shared[0, :, 0], [0.25 * batch()[0, 0], 0.75 * batch()[0, 0]])
    with pytest.raises(InputError, match="factors"):
        IdentityModel(("kick",), shares=(1, 2))
    with pytest.raises(InputError, match="factors"):
        GainModel((1, 2), ("kick",))


@pytest.mark.parametrize("samples", [0, 1, 40, 99, 100, 1000])
def test_a_delay_moves_each_chunk_behind_silence(samples: int) -> None:
    result = DelayModel(samples, IdentityModel(("kick",))).backend(batch(2))
    expected = np.concatenate([np.zeros((2, 2, samples), np.float32), batch(2)], axis=2)
    np.testing.assert_array_equal(result[:, 0], expected[..., :100])


def test_a_negative_delay_is_refused() -> None:
    with pytest.raises(InputError, match="negative"):
        DelayModel(-1)


def test_a_slow_model_takes_its_time_per_chunk() -> None:
    model = SlowModel(0.01)
    start = time.perf_counter()
    model.backend(batch(3))
    assert time.perf_counter() - start >= 0.03


@pytest.mark.parametrize("sizes", [[1, 1, 1, 1, 1], [2, 3], [5]])
@pytest.mark.parametrize("at", [0, 2, 4])
def test_a_fault_comes_at_its_chunk_however_they_are_batched(sizes: list[int], at: int) -> None:
    broken, failing = NaNModel(at), FailingModel(at, error=MemoryError("enough"))
    done = 0
    for size in sizes:
        chunks = np.flatnonzero(np.isnan(broken.backend(batch(size))).all(axis=(1, 2, 3)))
        hit = [at - done] if done <= at < done + size else []
        assert chunks.tolist() == hit
        if hit:
            with pytest.raises(MemoryError):
                failing.backend(batch(size))
        else:
            assert np.isfinite(failing.backend(batch(size))).all()
        done += size


def test_faults_reach_the_caller_as_typed_errors() -> None:
    with pytest.raises(NonFiniteError):
        Separator(NaNModel()).separate(batch()[0], 44100)
    with pytest.raises(EngineError, match="on purpose"):
        Separator(FailingModel()).separate(batch()[0], 44100)
