# SPDX-License-Identifier: GPL-3.0-or-later
"""Rolls, double kicks, washy hi-hats, crashed rides."""

from __future__ import annotations

from typing import Any

import numpy as np

from lars_plugin.training.data.grooves import Note, load_grooves
from lars_plugin.training.data.kits import load_kits
from lars_plugin.training.render.playing import (
    add_double_kicks,
    add_roll,
    crash_the_ride,
    open_the_hihat,
)
from lars_plugin.training.render.renderer import STEMS, Renderer, RendererConfig

NOTES = [
    Note(0.1, "hihat", "closed", 50, 42),
    Note(0.2, "hihat", "pedal", 50, 44),
    Note(0.3, "crash", "crash", 60, 49),
    Note(0.4, "kick", "kick", 90, 36),
]


def test_rolls_and_double_kicks_are_fast_strokes_inside_the_excerpt() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        for play, stems in ((add_roll, {"snare", "toms"}), (add_double_kicks, {"kick"})):
            more = play(rng, NOTES, 4.0)
            assert more[: len(NOTES)] == NOTES
            added = more[len(NOTES) :]
            assert len(added) >= 4
            assert {note.stem for note in added} <= stems
            assert all(0 <= note.onset < 4.1 and 1 <= note.velocity <= 127 for note in added)
            gaps = np.diff([note.onset for note in added])
            assert gaps.mean() < 0.2


def test_the_hihat_opens_and_the_ride_is_crashed() -> None:
    opened = open_the_hihat(NOTES)
    assert [note.articulation for note in opened] == ["open", "pedal", "crash", "kick"]
    crashed = crash_the_ride(NOTES)
    assert [note.stem for note in crashed] == ["hihat", "hihat", "ride", "kick"]
    assert crashed[2].velocity == 127


def test_renderings_with_everything_at_once_are_finite_and_heard(data: Any) -> None:
    always = RendererConfig(
        roll=1.0, double_kicks=1.0, washy=1.0, ride_crash=1.0, plate=1.0, overheads=1.0,
        room=1.0, early=1.0, solo=0.0, dry=0.0,
    )  # fmt: skip
    kits, grooves = load_kits(data.kits, "train"), load_grooves(data.grooves, "train")
    renderer = Renderer(kits, grooves, 0, always)
    for _ in range(3):
        stems = renderer.render(60000)
        assert stems.shape == (len(STEMS), 2, 60000)
        assert np.isfinite(stems).all()
        assert stems[0].any()
        assert 0.009 < np.abs(stems.sum(0)).max() <= 1.001
