# SPDX-License-Identifier: GPL-3.0-or-later
"""Kits, grooves and rendering."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lars_plugin.errors import DatasetError
from lars_plugin.synthesis import random_kit
from lars_plugin.training.data.grooves import load_grooves, read_groove
from lars_plugin.training.data.kits import load_kits
from lars_plugin.training.render.renderer import STEMS, Renderer, RendererConfig


def test_a_synthetic_kit_is_finite_peaks_at_one_and_follows_its_seed() -> None:
    for seed in range(3):
        kit, again = (random_kit(np.random.default_rng(seed)) for _ in range(2))
        assert tuple(kit.sounds) == STEMS
        for stem, sounds in kit.sounds.items():
            for name, wave in sounds.items():
                assert wave.dtype == np.float32
                assert np.abs(wave).max() == pytest.approx(1)
                assert np.array_equal(wave, again.sounds[stem][name])


def test_splits_never_share_a_kit(data: Any) -> None:
    assert set(load_kits(data.kits, "train").kits) == {"kit0", "kit1"}
    assert set(load_kits(data.kits, "validation").kits) == {"kit2"}


def test_a_hit_takes_the_nearest_layer_and_the_stated_gain_law(data: Any) -> None:
    rng = np.random.default_rng(0)
    (instrument,) = load_kits(data.kits, "train").kits["kit0"]["kick"]["kick"]
    assert sorted(instrument.layers) == [40, 120]
    for velocity, nearest in ((127, 120), (120, 120), (81, 120), (79, 40), (40, 40), (1, 40)):
        layer, take, gain = instrument.choose(velocity, rng)
        assert layer == nearest
        assert 0 <= take < len(instrument.layers[layer])
        assert gain == pytest.approx((velocity / layer) ** 1.5)


def test_a_groove_has_its_onsets_in_seconds(data: Any) -> None:
    notes = read_groove(data.grooves / "a.mid")
    np.testing.assert_allclose([n.onset for n in notes[:4]], [0.125, 0.375, 0.625, 0.875])
    assert [n.stem for n in notes[:6]] == list(STEMS)
    assert notes[3].velocity == 46


@pytest.mark.parametrize("loader", [load_kits, load_grooves])
def test_an_empty_folder_is_one_clear_error(loader: Any, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=str(tmp_path)):
        loader(tmp_path, "train")


def test_a_broken_midi_file_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "x.mid").write_bytes(b"MThd not midi at all")
    with pytest.raises(DatasetError, match=r"x\.mid"):
        read_groove(tmp_path / "x.mid")


def renderer(data: Any, seed: int, **settings: float) -> Renderer:
    return Renderer(
        load_kits(data.kits, "train").with_synthetic(1, 5),
        load_grooves(data.grooves, "train"),
        seed,
        RendererConfig(**settings),
    )


def test_a_stem_that_no_kit_has_is_named(data: Any) -> None:
    kits = load_kits(data.kits, "train")
    for stems in kits.kits.values():
        stems.pop("ride", None)
    with pytest.raises(DatasetError, match="no kit has ride"):
        Renderer(kits, load_grooves(data.grooves, "train"), 0)


def test_the_same_seed_renders_the_same_excerpts(data: Any) -> None:
    one, two, three = renderer(data, 1), renderer(data, 1), renderer(data, 2)
    for _ in range(3):
        a, b, c = (r.render(20000) for r in (one, two, three))
        assert np.array_equal(a, b)
        assert not np.array_equal(a, c)


def test_excerpts_are_finite_stereo_and_peak_at_full_scale_or_below(data: Any) -> None:
    always = {"room": 1.0, "bus": 1.0, "eq": 1.0, "saturation": 1.0, "lowpass": 1.0, "extra": 1.0,
              "microphones": 0.0, "dry": 0.0}  # fmt: skip
    sounding = np.zeros(6)
    wild = renderer(data, 3, **always)
    for _ in range(6):
        stems = wild.render(44100)
        assert stems.shape == (6, 2, 44100)
        assert stems.dtype == np.float32
        assert np.isfinite(stems).all()
        assert np.abs(stems.sum(0)).max() <= 1 + 1e-5
        sounding += np.abs(stems).max(axis=(1, 2)) > 1e-4
    assert (sounding > 0).all()


def test_excerpts_by_microphones_differ_and_peak_at_full_scale_or_below(data: Any) -> None:
    def heard(microphones: float) -> Any:
        one = renderer(data, 3, solo=0.0, microphones=microphones, room=0.0, dry=0.0)
        return one.render(44100)

    near, studio = heard(0.0), heard(1.0)
    assert np.isfinite(studio).all()
    assert np.abs(studio.sum(0)).max() <= 1 + 1e-5
    # The same strokes of the same drums, heard otherwise.
    assert np.array_equal(near.any((1, 2)), studio.any((1, 2)))
    assert not np.allclose(near, studio, atol=1e-3)


def test_dry_excerpts_have_no_room_no_tape_no_compressor_and_two_channels(data: Any) -> None:
    wet = dict.fromkeys(
        (
            "room", "plate", "overheads", "microphones", "saturation", "equaliser", "tape", "bus",
            "lowpass", "mono",
        ),
        1.0,
    )  # fmt: skip
    dry = renderer(data, 5, **wet, dry=1.0)
    without = renderer(data, 5, **dict.fromkeys(wet, 0.0), dry=1.0)
    drowned = renderer(data, 5, **wet, dry=0.0, one_sided=0.0)
    for _ in range(3):
        stems = dry.render(20000)
        assert np.array_equal(stems, without.render(20000))
        assert not np.array_equal(stems[:, 0], stems[:, 1])
        mono = drowned.render(20000)
        assert np.array_equal(mono[:, 0], mono[:, 1])


def test_as_many_excerpts_are_dry_as_the_setting_says() -> None:
    rng = np.random.default_rng(0)
    drawn = [RendererConfig(dry=0.25).draw(rng) for _ in range(400)]
    assert {config.room for config in drawn} == {0.0, RendererConfig.room}
    assert 70 < sum(config.room == 0 for config in drawn) < 130
    assert {config.timbre for config in drawn} == {RendererConfig.timbre}


def test_mono_excerpts_have_equal_channels(data: Any) -> None:
    stems = renderer(data, 4, mono=1.0, one_sided=0.0, dry=0.0).render(20000)
    assert np.array_equal(stems[:, 0], stems[:, 1])
