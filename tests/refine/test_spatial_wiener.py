# SPDX-License-Identifier: GPL-3.0-or-later
"""The multichannel Wiener filter after a network."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lars_plugin.errors import InputError
from lars_plugin.evaluation.metrics import sdr
from lars_plugin.model import CausalBackend, Refinement
from lars_plugin.refine.refiner import Refiner
from lars_plugin.refine.spatial_wiener import SpatialFilter
from lars_plugin.separation.streams.views import view_of

Wave = NDArray[np.float32]


class Given:
    """Says these stems, whatever it is asked."""

    name = "given"

    def __init__(self, stems: Wave) -> None:
        self.stems = stems
        self.jobs = 1

    def share(self, jobs: int) -> None:
        self.jobs = jobs

    def __call__(self, batch: Wave) -> Wave:
        return np.asarray(np.repeat(self.stems[None], len(batch), axis=0), np.float32)


def panned(gains: list[tuple[float, float]], samples: int = 40000, seed: int = 0) -> Wave:
    """Independent noise in bursts, ``(stems, 2, samples)``, each with its place."""
    rng = np.random.default_rng(seed)
    bursts = (rng.random((len(gains), samples // 2000 + 1)) < 0.6).repeat(2000, axis=1)
    waves = rng.standard_normal((len(gains), samples)) * bursts[:, :samples] * 0.1
    return np.asarray(waves[:, None] * np.array(gains)[..., None], np.float32)


def test_two_drums_in_two_places_come_apart_though_the_estimates_hold_much_of_each_other() -> None:
    stems = panned([(1.0, 1.0), (0.3, 1.0)])
    mixture = stems.sum(0)
    rough = np.stack([0.8 * stems[0] + 0.2 * stems[1], 0.2 * stems[0] + 0.8 * stems[1]])
    result = SpatialFilter(Given(rough), 2048)(mixture[None])[0]
    for truth, before, after in zip(stems, rough, result, strict=True):
        assert sdr(truth, after) > sdr(truth, before) + 3


@settings(max_examples=15, deadline=None)
@given(
    angles=st.lists(st.floats(0, np.pi / 2), min_size=1, max_size=4),
    level=st.sampled_from([1e-4, 1.0, 30.0]),
    seed=st.integers(0, 99),
)
def test_stems_add_up_to_the_mixture_and_nothing_that_went_in_is_changed(
    angles: list[float], level: float, seed: int
) -> None:
    stems = panned([(np.cos(a), np.sin(a)) for a in angles], 9000, seed) * np.float32(level)
    mixture = stems.sum(0)
    rough = stems[::-1] * np.float32(0.5) + mixture * np.float32(0.5 / len(stems))
    batch, kept = mixture[None].copy(), mixture.copy()
    result = SpatialFilter(Given(rough), 1024)(batch)[0]
    if float(np.mean((mixture[0] - mixture[1]) ** 2)) > 2e-4 * float(np.mean(mixture**2)):
        np.testing.assert_allclose(result.sum(0), mixture, atol=1e-5 * level)
    assert np.isfinite(result).all()
    assert np.array_equal(batch[0], kept)


@pytest.mark.parametrize("what", ["mono", "silence", "short", "not finite"])
def test_what_has_no_direction_comes_as_the_backend_made_it(what: str) -> None:
    stems = panned([(1.0, 1.0), (1.0, 1.0) if what == "mono" else (0.3, 1.0)])
    if what == "short":
        stems = stems[..., :2000]
    mixture = stems.sum(0) * (0 if what == "silence" else 1)
    rough = stems[::-1].copy()
    if what == "not finite":
        rough[1, 0, 7] = np.nan
    result = SpatialFilter(Given(rough), 2048)(mixture[None])[0]
    assert np.array_equal(result, rough, equal_nan=True)


@pytest.mark.parametrize(("ratio", "mono"), [(0.7, True), (1.4, False)])
def test_views_fits_and_the_filter_agree_on_what_is_mono(ratio: float, mono: bool) -> None:
    # Power of the difference of the channels against that of both.
    spread = float(np.sqrt(ratio * 1e-4 / 2))
    stems = panned([(1 + spread, 1 - spread), (1 + spread, 1 - spread)])
    mixture = stems.sum(0)
    rough = stems[::-1].copy()
    assert np.array_equal(SpatialFilter(Given(rough), 2048)(mixture[None])[0], rough) == mono
    assert (view_of(mixture) is None) == mono
    plain = Refinement(window=40000, n_fft=1200, iterations=1)
    trusting = dataclasses.replace(plain, mono_trust={"kick": 0.9})
    one, other = (Refiner(fit, ("kick", "snare"))(mixture, rough) for fit in (plain, trusting))
    # Trust in mono matters if it is.
    assert np.array_equal(one, other) != mono


def test_a_mono_model_passes_through() -> None:
    rough = panned([(1.0, 1.0)])[:, :1]
    filtered = SpatialFilter(Given(rough), 2048)
    assert np.array_equal(filtered(rough[:, 0][None])[0], rough)


class Bare:
    """A backend and nothing more."""

    name = "bare"

    def __call__(self, batch: Wave) -> Wave:
        return batch[:, None]


class Hops(Bare):
    """A causal one."""

    def initial_state(self) -> None:
        return None

    def step(self, hops: Wave, state: None) -> tuple[Wave, None]:
        return hops[None], state


def test_the_filter_passes_on_how_many_share_a_backend_and_nothing_else_of_it() -> None:
    given_, bare = Given(panned([(1.0, 1.0)])), Bare()
    SpatialFilter(given_, 2048).share(3)
    SpatialFilter(bare, 2048).share(3)  # which need not care
    assert (given_.jobs, SpatialFilter(bare, 2048).name) == (3, "bare")
    assert not isinstance(SpatialFilter(bare, 2048), CausalBackend)
    with pytest.raises(AttributeError):
        SpatialFilter(given_, 2048).stems  # type: ignore[attr-defined]  # noqa: B018


def test_a_causal_backend_is_refused_on_every_python_version() -> None:
    with pytest.raises(InputError, match="hop by hop; leave it out"):
        SpatialFilter(Hops(), 2048)


def test_a_chunk_of_denormals_is_silence_and_what_is_faint_is_finite() -> None:
    rough = panned([(1.0, 1.0), (0.3, 1.0)])
    for level in (1e-44, 1e-40, 1e-38, 1e-33, 1e-30, 1e-25, 1e-20, 1e-15, 1e-10):
        stems = np.asarray(rough.astype(np.float64) * (level / np.abs(rough).max()), np.float32)
        mixture = stems.sum(0)
        result = SpatialFilter(Given(stems), 2048)(mixture[None])[0]
        assert np.isfinite(result).all()
        assert np.abs(result.sum(0) - mixture).max() <= 1e-5 * np.abs(mixture).max()
