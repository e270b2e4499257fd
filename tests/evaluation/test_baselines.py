# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import importlib.util
import itertools
from collections.abc import Callable, Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lars_plugin.errors import InputError
from lars_plugin.evaluation.baselines import BASELINES, N_FFT, assign, mixture, nmf, oracle
from lars_plugin.evaluation.clips import Recording
from lars_plugin.evaluation.metrics import sdr

Wave = NDArray[np.float32]

Group = Callable[[Mapping[str, Wave]], dict[str, Wave]]


def record(references: dict[str, Wave]) -> Recording:
    total = np.asarray(np.sum(list(references.values()), axis=0), np.float32)
    return Recording(total, references, 44100)


def tones(*frequencies: float, samples: int = 20000) -> list[Wave]:
    """Tones struck in turn, so that they differ in time and frequency."""
    t = np.arange(samples) / 44100
    result = []
    for index, frequency in enumerate(frequencies):
        gate = (np.floor(t * 8) % len(frequencies) == index) * np.exp(-((t * 8) % 1) * 3)
        wave = 0.3 * np.sin(2 * np.pi * frequency * t) * gate
        result.append(np.stack([wave, 0.5 * wave]).astype(np.float32))
    return result


def bands(seed: int, count: int, samples: int) -> list[Wave]:
    """Noises of disjoint bands, whose SDR by masks is limited only by the window's skirts."""
    rng = np.random.default_rng(seed)
    spectrum = np.fft.rfft(rng.standard_normal((2, samples)))
    edges = np.linspace(0, spectrum.shape[1], count + 1).astype(int)
    result = []
    for low, high in itertools.pairwise(edges):
        part = np.zeros_like(spectrum)
        part[:, low:high] = spectrum[:, low:high]
        result.append((0.1 * np.fft.irfft(part, samples)).astype(np.float32))
    return result


@pytest.mark.parametrize("seed", [0, 1])
def test_the_oracle_beats_the_mixture_on_every_stem(
    seed: int, perform: Callable[..., dict[str, Wave]], stems_of: Group
) -> None:
    recording = record(stems_of(perform(seed)))
    estimates = oracle(recording)
    for name, reference in recording.references.items():
        assert sdr(reference, estimates[name]) > sdr(reference, recording.mixture) + 3


def test_the_oracle_separates_disjoint_bands_almost_perfectly() -> None:
    recording = record(dict(zip(("kick", "snare", "hihat"), bands(0, 3, 30000), strict=True)))
    result = oracle(recording)
    assert min(sdr(wave, result[name]) for name, wave in recording.references.items()) > 20


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**16), st.integers(1, 2), st.integers(1, 3 * N_FFT))
def test_oracle_estimates_add_up_to_the_mixture(seed: int, channels: int, samples: int) -> None:
    rng = np.random.default_rng(seed)
    recording = record(
        {
            name: rng.uniform(-0.3, 0.3, (channels, samples)).astype(np.float32)
            for name in ("kick", "snare", "ride")
        }
    )
    total = np.sum(list(oracle(recording).values()), axis=0)
    np.testing.assert_allclose(total, recording.mixture, atol=1e-5)


@pytest.mark.parametrize("name", BASELINES)
def test_silence_stays_silence(name: str) -> None:
    silence = np.zeros((2, 5000), np.float32)
    result = BASELINES[name](Recording(silence, {"kick": silence, "snare": silence}, 44100))
    assert all(not wave.any() for wave in result.values())


@pytest.mark.parametrize("name", BASELINES)
def test_a_baseline_estimates_every_reference_in_its_shape(
    name: str, perform: Callable[..., dict[str, Wave]], stems_of: Group
) -> None:
    references = stems_of(perform(3, 0.3, silent=("crash_left",)))
    before = {key: wave.copy() for key, wave in references.items()}
    recording = record(references)
    result = BASELINES[name](recording)
    for key, wave in references.items():
        assert result[key].shape == wave.shape
        assert result[key].dtype == np.float32
        assert np.isfinite(result[key]).all()
        np.testing.assert_array_equal(wave, before[key])


def test_nmf_takes_apart_what_differs_in_time_and_frequency() -> None:
    recording = record(dict(zip(("kick", "snare"), tones(200, 5000), strict=True)))
    result = nmf(recording)
    assert min(sdr(wave, result[name]) for name, wave in recording.references.items()) > 15


def test_nmf_estimates_add_up_to_the_mixture_and_leave_silent_stems_empty() -> None:
    kick, snare = tones(150, 3000)
    recording = record({"kick": kick, "snare": snare, "crash": np.zeros_like(kick)})
    result = nmf(recording)
    np.testing.assert_allclose(sum(result.values()), recording.mixture, atol=1e-5)
    assert not result["crash"].any()


def test_nmf_gives_the_same_numbers_again() -> None:
    recording = record(dict(zip(("kick", "snare"), tones(200, 5000, samples=8000), strict=True)))
    first, second = nmf(recording), nmf(recording)
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_each_component_goes_to_the_stem_that_it_resembles() -> None:
    rng = np.random.default_rng(0)
    spectra, activations = rng.uniform(0, 1, (40, 4)), rng.uniform(0, 1, (4, 30))
    spectra[:20, :2] *= 0.01  # the first two live high, the others low
    spectra[20:, 2:] *= 0.01
    truths = {
        "kick": spectra[:, 2:] @ activations[2:],
        "hihat": spectra[:, :2] @ activations[:2],
        "crash": np.zeros((40, 30)),
    }
    assert assign(spectra, activations, truths) == ["hihat", "hihat", "kick", "kick"]


def test_without_scikit_learn_nmf_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"lars-plugin\[evaluation\]"):
        nmf(record({"kick": tones(200)[0]}))


def test_the_mixture_is_the_mixture() -> None:
    recording = record(dict(zip(("kick", "snare"), tones(200, 5000), strict=True)))
    assert all(wave is recording.mixture for wave in mixture(recording).values())
