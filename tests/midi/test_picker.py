# SPDX-License-Identifier: GPL-3.0-or-later
"""The network that finds strokes: what it depends on, and that training works."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from lars_plugin.midi import picker as picker_module
from lars_plugin.midi.bands import FINE_BANDS
from lars_plugin.midi.onsets import levels_db
from lars_plugin.midi.picker import (
    APART,
    CONTEXT,
    DILATIONS,
    LATER,
    LOOK_AHEAD,
    PAST,
    Picker,
    find_peaks,
    prepared,
)
from lars_plugin.midi.scoring import match
from lars_plugin.training.midi.fit_picker import Heard, fit_picker


@pytest.fixture(scope="module")
def trained() -> tuple[Picker, list[Heard]]:
    """Two drums that leak into each other, 12 dB down, and a network that learnt them."""
    rng = np.random.default_rng(0)
    heard = []
    for _ in range(12):
        levels = np.full((3, 600, FINE_BANDS), -60.0) + rng.normal(0, 2, (3, 600, FINE_BANDS))
        strokes = []
        for stem in range(2):
            bands = slice(0, 6) if stem == 0 else slice(4, 14)
            moments = np.cumsum(rng.integers(20, 60, 12))
            moments = moments[moments < 560]
            strokes.append(moments.astype(np.float64))
            for moment in moments:
                loud = rng.uniform(-8, 0)
                fall = loud - 0.6 * np.arange(40)
                for place, gain in ((stem, 0.0), (1 - stem, -12.0), (2, 0.0)):
                    part = levels[place, moment : moment + 40, bands]
                    np.maximum(part, (fall + gain)[: len(part), None], out=part)
        heard.append(Heard((10 ** (levels / 10)).astype(np.float32), tuple(strokes)))
    return fit_picker(heard[:9], steps=250, hidden=12, seed=1), heard[9:]


def levels_of(one: Heard) -> NDArray[np.float32]:
    return levels_db(one.energies, 1.0)


def test_strokes_of_unseen_excerpts_are_found_and_leaks_are_not(
    trained: tuple[Picker, list[Heard]],
) -> None:
    network, unseen = trained
    pairs = strokes = hits = 0
    for one in unseen:
        for row, moments in zip(network(levels_of(one)), one.strokes, strict=True):
            frames = find_peaks(row)
            found = [float(frame) for frame in frames if row[frame] > 0.25]
            pairs += len(match(list(moments), found, 1.0))
            strokes += len(moments)
            hits += len(found)
    assert pairs >= 0.95 * strokes
    assert pairs >= 0.95 * hits  # with the leaks there would be two for each


def test_the_network_in_numpy_is_the_one_that_was_trained(
    trained: tuple[Picker, list[Heard]],
) -> None:
    network, unseen = trained
    frames = prepared(levels_of(unseen[0])).transpose(1, 0, 2).reshape(600, -1)
    x = torch.from_numpy(np.ascontiguousarray(frames.T))[None]
    for number, dilation in enumerate(DILATIONS, 1):
        weights = getattr(network, f"w{number}")
        shaped = weights.reshape(5, -1, weights.shape[1]).transpose(2, 1, 0)
        bias = torch.from_numpy(getattr(network, f"b{number}"))
        x = torch.relu(
            torch.nn.functional.conv1d(x, torch.from_numpy(shaped.copy()), bias, dilation=dilation)
        )
    logits = torch.einsum("bhn,hs->bsn", x, torch.from_numpy(network.w4))[0]
    wanted = torch.sigmoid(logits + torch.from_numpy(network.b4)[:, None]).numpy()
    assert np.abs(network.run(frames) - wanted).max() < 1e-5


@pytest.mark.parametrize("group", [1, 7, 600])
def test_how_a_recording_is_cut_changes_nothing(
    trained: tuple[Picker, list[Heard]], group: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, unseen = trained
    whole = network(levels_of(unseen[0]))
    monkeypatch.setattr(picker_module, "_GROUP", group)
    assert whole.shape == (2, 600)
    assert np.abs(network(levels_of(unseen[0])) - whole).max() < 1e-5


def test_a_moment_depends_on_what_is_near_it_only(trained: tuple[Picker, list[Heard]]) -> None:
    network, unseen = trained
    levels = levels_of(unseen[0])
    changed = levels.copy()
    changed[:, 300] = 0.0
    differs = np.flatnonzero((network(levels) != network(changed)).any(axis=0))
    assert differs.min() >= 300 - (CONTEXT - PAST)
    assert differs.max() <= 300 + PAST


@given(st.lists(st.integers(0, 20), min_size=1, max_size=60), st.integers(0, 59))
def test_a_peak_is_known_when_the_look_ahead_is(values: list[int], cut: int) -> None:
    row = np.asarray(np.asarray(values) / 20, np.float32)
    found = find_peaks(row)
    assert all(row[k] >= row[max(0, k - APART) : k + 1 + LATER].max() for k in found)
    known = found[found < cut - LATER]
    again = find_peaks(row[:cut])
    assert list(again[again < cut - LATER]) == list(known)
    assert LOOK_AHEAD == CONTEXT - PAST + LATER


def test_training_twice_gives_the_same_network() -> None:
    rng = np.random.default_rng(2)
    heard = [
        Heard(
            rng.random((2, 300, FINE_BANDS), np.float32),
            (np.array([50.0, 120.0, 200.0]),),
        )
    ]
    state = torch.random.get_rng_state()
    one, two = (fit_picker(heard, steps=3, hidden=4) for _ in range(2))
    assert np.array_equal(one.w1, two.w1)
    assert torch.equal(torch.random.get_rng_state(), state)
    on = fit_picker(heard, steps=1, hidden=4, start=one, rate=1e-9)
    assert np.abs(on.w2 - one.w2).max() < 1e-6
