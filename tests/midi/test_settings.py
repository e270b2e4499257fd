# SPDX-License-Identifier: GPL-3.0-or-later
"""What was tuned for a model: kept, found, and refused when broken."""

from __future__ import annotations

import json
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest

from lars_plugin.errors import ModelFormatError
from lars_plugin.midi.features import RING_COUNT, feature_count
from lars_plugin.midi.scorer import Scorer
from lars_plugin.midi.settings import (
    SETTINGS_FILE,
    Settings,
    StemSettings,
    own_settings,
    read_settings,
    settings_for,
)

STEMS = ("kick", "hihat")


def scorer(count: int, seed: int) -> Scorer:
    rng = np.random.default_rng(seed)
    return Scorer(
        rng.standard_normal(count),
        rng.random(count) + 0.5,
        rng.standard_normal((3, count)),
        rng.standard_normal(3),
        rng.standard_normal(3),
        np.asarray(0.25),
    )


@pytest.fixture
def settings() -> Settings:
    count = feature_count(len(STEMS))
    parts = {
        "kick": StemSettings(scorer(count, 0), 0.4, -0.0015),
        "hihat": StemSettings(
            scorer(count, 1),
            0.3,
            0.0,
            MappingProxyType({"open": scorer(count + RING_COUNT, 2)}),
        ),
    }
    return Settings(STEMS, MappingProxyType(parts), MappingProxyType({"excerpts": 3}))


def test_settings_come_back_as_they_were_written(settings: Settings, tmp_path: Path) -> None:
    settings.save(tmp_path / SETTINGS_FILE)
    again = settings_for(tmp_path)
    assert again is not None
    assert again.stems == STEMS
    assert dict(again.made) == {"excerpts": 3}
    assert set(again.parts["hihat"].articulations) == {"open"}
    known = np.random.default_rng(3).standard_normal((50, feature_count(2)))
    for stem in STEMS:
        mine, read = settings.parts[stem], again.parts[stem]
        assert (read.threshold, read.offset) == pytest.approx((mine.threshold, mine.offset))
        assert np.abs(read.scorer(known) - mine.scorer(known)).max() < 0.02


def test_a_model_without_a_file_has_no_settings(tmp_path: Path) -> None:
    assert settings_for(tmp_path) is None


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data.update(version=2), "tune the model again"),
        (lambda data: data.pop("stems"), "broken"),
        (lambda data: data.update(stems=["kick", "vocals"]), "no drums"),
        (lambda data: data["parts"].pop("kick"), "no drums"),
        (lambda data: data["parts"]["kick"].update(threshold=1.5), "threshold of kick"),
        (lambda data: data["parts"]["kick"]["scorer"]["mean"].pop(), "mean"),
        (lambda data: data["parts"]["kick"]["scorer"].update(bias="x"), "broken"),
    ],
)
def test_a_broken_file_is_refused_with_its_fault(
    settings: Settings, tmp_path: Path, damage: object, message: str
) -> None:
    path = tmp_path / SETTINGS_FILE
    settings.save(path)
    data = json.loads(path.read_text())
    damage(data)  # type: ignore[operator]
    path.write_text(json.dumps(data))
    with pytest.raises(ModelFormatError, match=message):
        read_settings(path)


def test_lars_mini_and_the_package_bring_settings_for_the_six_stems() -> None:
    six = {"kick", "snare", "toms", "hihat", "ride", "crash"}
    for made in (settings_for("lars-mini"), own_settings("stems"), own_settings("mixture")):
        assert made is not None
        assert set(made.stems) == six
        # As the file says: "hihat" tells closed, pedal and open by their sounds.
        assert set(made.parts["hihat"].articulations) <= {"pedal", "open"}
    by_cascade = settings_for("cascade:mdx23c-music,lars-mini")
    assert by_cascade is not None
    assert by_cascade.made == settings_for("lars-mini").made  # type: ignore[union-attr]
