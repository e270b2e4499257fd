# SPDX-License-Identifier: GPL-3.0-or-later
"""Stems: an immutable mapping that adds up."""

from __future__ import annotations

import numpy as np
import pytest

from lars_plugin import InputError, Stems


def stems() -> Stems:
    rng = np.random.default_rng(0)
    return Stems(
        {n: rng.standard_normal((2, 50)).astype(np.float32) for n in ("kick", "snare")}, 48000
    )


def test_stems_are_a_mapping_in_order() -> None:
    assert list(stems()) == ["kick", "snare"]
    assert (stems().channels, stems().samples, stems().sample_rate) == (2, 50, 48000)
    assert "kick, snare; 2 x 50 at 48000 Hz" in repr(stems())


def test_stems_cannot_be_written_through() -> None:
    source = np.zeros((1, 5), np.float32)
    result = Stems({"kick": source}, 44100)
    with pytest.raises(ValueError, match="read-only"):
        result["kick"][0, 0] = 1
    source[0, 0] = 1  # the caller's own array stays writable


def test_residual_and_sum_give_the_mixture_back() -> None:
    mixture = np.random.default_rng(1).standard_normal((2, 50)).astype(np.float32)
    result = stems()
    np.testing.assert_allclose(result.sum() + result.residual(mixture), mixture, atol=1e-6)
    with pytest.raises(InputError):
        result.residual(mixture[:, :40])


def test_select_orders_and_refuses_unknown_names() -> None:
    assert list(stems().select(["snare", "kick"])) == ["snare", "kick"]
    with pytest.raises(InputError, match="no stem toms"):
        stems().select(["toms"])


@pytest.mark.parametrize(
    "waves", [{}, {"a": np.zeros(3)}, {"a": np.zeros((1, 3)), "b": np.zeros((1, 4))}]
)
def test_shapes_must_agree(waves: dict[str, np.ndarray]) -> None:
    with pytest.raises(InputError):
        Stems(waves, 44100)
