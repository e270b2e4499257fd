# SPDX-License-Identifier: GPL-3.0-or-later
"""Kits from packages: names, alignment and levels, Hydrogen's files, sound fonts."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from lars_plugin.errors import DatasetError
from lars_plugin.training.data import free_kits
from lars_plugin.training.data.free_kits import (
    KIT_SOURCES,
    KitSource,
    drum_of,
    file_hits,
    hydrogen_hits,
    make_free_kits,
)
from lars_plugin.training.data.kits import load_kits
from lars_plugin.training.data.one_shots import Hit, loudness, write_kit
from lars_plugin.training.data.pool import Pool, PoolConfig

_FONT = next(source for source in KIT_SOURCES if source.name == "timgm")


@pytest.mark.parametrize(
    ("name", "drum"),
    [
        ('Kick (Tama Superstar 22")', ("kick", "kick")),
        ("f3 - bass drum 2", ("kick", "kick")),
        ("Snare Rock", ("snare", "center")),
        ("Snare Rimshot (Pearl)", ("snare", "rim")),
        ("Rim Click (Pearl)", ("snare", "sidestick")),
        ("Closed HH", ("hihat", "closed")),
        ("Pedal HH", ("hihat", "pedal")),
        ("Open HH", ("hihat", "open")),
        ("Hi-Hat Semiopen (Paiste)", ("hihat", "half")),
        ("hihat_opened01", ("hihat", "open")),
        ("drum_cymbal_pedal", ("hihat", "pedal")),
        ("Ride Bell", ("ride", "bell")),
        ("ride-cup", ("ride", "bell")),
        ("Ride Jazz", ("ride", "bow")),
        ("China (Paiste Alpha 18)", ("crash", "china")),
        ("Crash Left", ("crash", "crash")),
        ("Floor Tom", ("toms", "low")),
        ("Tom Mid", ("toms", "mid")),
        ("VariBreaks Hat 1 Pd", ("hihat", "pedal")),
        ("Crash/Ride Bow (Paiste)", None),
        ("Hand Clap", None),
        ("Cowbell", None),
        ("Snare Roll", None),
        ("d#4 - cymbal 1", None),
    ],
)
def test_a_name_says_which_drum_it_is_or_nothing(name: str, drum: tuple[str, str] | None) -> None:
    assert drum_of(name) == drum


def test_loudness_of_the_standards_reference_tone() -> None:
    # ITU-R BS.1770-4: 997 Hz at 0 dBFS in one channel reads -3.01.
    tone = np.sin(2 * np.pi * 997 * np.arange(44100) / 44100).astype(np.float32)
    assert loudness(tone[None]) == pytest.approx(-3.01, abs=0.02)
    assert loudness(np.stack([tone, tone])) == pytest.approx(0.0, abs=0.02)


def burst(seconds: float, level: float, rate: int = 44100, lead: float = 0.1) -> Any:
    rng = np.random.default_rng(0)
    t = np.arange(int(seconds * rate)) / rate
    body = rng.standard_normal((1, len(t))) * np.exp(-t * 20) * level
    return np.concatenate([np.zeros((1, int(lead * rate))), body], axis=1).astype(np.float32)


def test_hits_start_at_their_attack_and_have_the_level_that_their_velocity_means(
    tmp_path: Path,
) -> None:
    hits = [
        Hit("snare", "center", "One", 127, burst(1.0, 0.2, 48000), 48000),
        Hit("snare", "center", "One", 60, burst(1.0, 0.02, 48000), 48000),
    ]
    rows = write_kit(tmp_path, "mine", hits)
    assert [row["velocity"] for row in rows] == [127, round(127 * 10 ** (-20 / 30))]
    waves = [soundfile.read(tmp_path / str(row["file"]), always_2d=True) for row in rows]
    assert all(rate == 44100 for _, rate in waves)
    levels = [loudness(wave.T.astype(np.float32)) for wave, _ in waves]
    assert levels[0] == pytest.approx(-23.0, abs=0.3)
    assert levels[0] - levels[1] == pytest.approx(20.0, abs=0.3)
    for wave, _ in waves:
        early = np.abs(wave[: int(0.005 * 44100)]).max()
        assert early > 0.1 * np.abs(wave).max()


def write_hydrogen(folder: Path) -> None:
    folder.mkdir(parents=True)
    for name in ("soft", "hard", "ride1", "clap"):
        soundfile.write(folder / f"{name}.wav", burst(0.5, 0.1).T, 44100)
    (folder / "drumkit.xml").write_text(
        """<?xml version="1.0"?>
<drumkit_info xmlns="http://www.hydrogen-music.org/drumkit"><instrumentList>
<instrument><name>Snare</name>
 <layer><filename>soft.wav</filename><min>0</min><max>0.5</max></layer>
 <layer><filename>hard.wav</filename><min>0.5</min><max>1</max></layer></instrument>
<instrument><name>Crash</name>
 <layer><filename>ride1.wav</filename><min>0</min><max>1</max></layer></instrument>
<instrument><name>Hand Clap</name><filename>clap.wav</filename></instrument>
</instrumentList></drumkit_info>""",
        encoding="utf-8",
    )


def test_hydrogen_layers_become_velocities_and_doubtful_names_are_left_out(tmp_path: Path) -> None:
    write_hydrogen(tmp_path / "kit")
    hits = list(hydrogen_hits(tmp_path / "kit"))
    assert [(hit.stem, hit.velocity) for hit in hits] == [("snare", 64), ("snare", 127)]
    (tmp_path / "kit" / "drumkit.xml").write_text("<no")
    with pytest.raises(DatasetError, match=r"drumkit\.xml"):
        list(hydrogen_hits(tmp_path / "kit"))


def test_an_unreadable_one_shot_is_left_out_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    soundfile.write(tmp_path / "kick01.wav", burst(0.3, 0.5).T, 44100)
    (tmp_path / "kick02.wav").write_bytes(b"no audio")
    assert [hit.instrument for hit in file_hits(tmp_path)] == ["kick01"]
    assert "kick02.wav" in caplog.text


def test_kits_of_packages_play_beside_others_and_their_licences_are_listed(
    data: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write_hydrogen(tmp_path / "source")
    there = KitSource("mine", "a-package", tmp_path / "source", "somebody", "CC0 1.0")
    gone = KitSource("gone", "another-package", tmp_path / "gone", "nobody", "CC0 1.0")
    monkeypatch.setattr(free_kits, "KIT_SOURCES", (there, gone))
    assert make_free_kits(tmp_path / "out") == {"mine": 2}
    assert "another-package is not installed" in caplog.text
    lines = (tmp_path / "out" / "licences.csv").read_text().splitlines()
    assert lines[1] == "mine,a-package,somebody,CC0 1.0"
    library = load_kits([data.kits, tmp_path / "out"], "train", exclude=("kit1",))
    assert set(library.kits) == {"kit0", "mine"}
    assert library.weight("mine", "snare") == pytest.approx(2.0)
    with pytest.raises(DatasetError, match="no kit nonsense"):
        load_kits([data.kits, tmp_path / "out"], "train", exclude=("nonsense",))
    monkeypatch.setattr(free_kits, "KIT_SOURCES", (gone,))
    with pytest.raises(DatasetError, match="apt-get install another-package"):
        make_free_kits(tmp_path / "none")


def test_no_kit_of_the_validation_clips_author_is_a_source() -> None:
    assert not any("MacArthur" in source.author for source in KIT_SOURCES)
    assert not any("Pearl" in str(source.path) for source in KIT_SOURCES)


@pytest.mark.skipif(
    shutil.which("fluidsynth") is None or not _FONT.path.is_file(),
    reason="needs fluidsynth and timgm6mb-soundfont",
)
def test_a_sound_fonts_kits_have_all_six_stems_and_no_sound_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from lars_plugin.training.data import font_kits

    monkeypatch.setattr(font_kits, "_PROGRAMS", (0, 0))
    hits = list(font_kits.font_hits(_FONT.path, "timgm"))
    assert {hit.stem for _, hit in hits} == {"kick", "snare", "toms", "hihat", "ride", "crash"}
    loud = [hit.wave.tobytes() for _, hit in hits if hit.velocity == 127]
    assert len(set(loud)) == len(loud)
    assert {kit for kit, _ in hits} == {"timgm_0"}


def test_rendering_waits_when_excerpts_have_not_been_drawn_often_enough(data: Any) -> None:
    config = PoolConfig(str(data.kits), str(data.grooves), 4096, 2, 64, 1, 1, 0, reuse=4.0)
    pool = Pool(config)
    try:
        pool.wait()
        for _ in range(200):
            pool.draw()
        # 12 ahead (six batches), one for every four drawn, and one that was on its way.
        assert pool.rendered <= 12 + pool.drawn / 4 + 2
    finally:
        pool.close()
