# SPDX-License-Identifier: GPL-3.0-or-later
"""Excerpts as records have them."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from lars_plugin.training.render.records import Records, RecordsConfig

Wave = NDArray[np.float32]
ALWAYS = RecordsConfig(**dict.fromkeys(RecordsConfig.__dataclass_fields__, 1.0))


class Noise:
    """A source of decaying noise."""

    def __init__(self, stems: int) -> None:
        self.stems = stems
        self.rng = np.random.default_rng(0)

    def render(self, samples: int) -> Wave:
        """Another excerpt."""
        wave = self.rng.standard_normal((self.stems, 2, samples)) * 0.1
        return np.asarray(wave * np.exp(-np.arange(samples) / samples * 4), np.float32)


@pytest.mark.parametrize("stems", [6, 7])
def test_everything_at_once_gives_seven_rows_with_the_peak_of_the_source(stems: int) -> None:
    pytest.importorskip("av", reason="PyAV is an extra")
    peak = np.abs(Noise(stems).render(30000).sum(0)).max()
    result = Records(Noise(stems), 0, ALWAYS).render(30000)
    assert result.shape == (7, 2, 30000)
    assert result.dtype == np.float32
    assert np.isfinite(result).all()
    assert np.abs(result.sum(0)).max() == pytest.approx(peak, rel=1e-3)
    if stems == 6:
        # Hiss is a small part of the mixture.
        assert 0 < np.square(result[-1]).sum() < 0.05 * np.square(result.sum(0)).sum()


def test_mono_recordings_stay_mono() -> None:
    pytest.importorskip("av", reason="PyAV is an extra")
    stems = Noise(6).render(30000)
    stems[:, 1] = stems[:, 0]
    for seed in range(4):  # both encoders
        result = Records(Noise(6), seed, ALWAYS).treat(stems)
        np.testing.assert_array_equal(result[:, 0], result[:, 1])


def test_untreated_excerpts_are_as_they_were_and_nothing_is_beside_them() -> None:
    never = RecordsConfig(treated=0.0)
    result = Records(Noise(6), 0, never).render(5000)
    np.testing.assert_array_equal(result[:6], Noise(6).render(5000))
    assert not result[6].any()
    other = Records(Noise(7), 0, never).render(5000)
    np.testing.assert_array_equal(other, Noise(7).render(5000))


def test_the_same_seed_gives_the_same_record_and_silence_stays_silent() -> None:
    one, other = (Records(Noise(6), 3).render(20000) for _ in range(2))
    np.testing.assert_array_equal(one, other)
    silence = np.zeros((6, 2, 5000), np.float32)
    assert not Records(Noise(6), 0, ALWAYS).treat(silence).any()
