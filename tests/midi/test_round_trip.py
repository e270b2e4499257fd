# SPDX-License-Identifier: GPL-3.0-or-later
"""MIDI to sound and back: strokes are found with their times and velocities."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lars_plugin import DrumHit, Stems, to_midi, transcribe
from lars_plugin.errors import InputError, NonFiniteError
from lars_plugin.midi.scoring import CLASSES, ClassScore, Stroke, add_scores, score_hits
from lars_plugin.midi.transcribe import find_hits
from lars_plugin.synthesis import SAMPLE_RATE

Play = Callable[..., dict[str, NDArray[np.float32]]]
Hits = Sequence[DrumHit]


def score(truth: Hits, found: Hits, tolerance: float = 0.05) -> dict[str, ClassScore]:
    def strokes(hits: Hits) -> list[Stroke]:
        return [Stroke(hit.time, hit.stem, hit.velocity) for hit in hits]

    return score_hits(strokes(truth), strokes(found), tolerance)


def bled(stems: dict[str, NDArray[np.float32]], db: float) -> dict[str, NDArray[np.float32]]:
    total = np.sum(list(stems.values()), axis=0)
    return {
        name: wave + np.float32(10 ** (db / 20)) * (total - wave) for name, wave in stems.items()
    }


@pytest.mark.parametrize("seed", range(3))
def test_what_was_played_is_found_within_ten_milliseconds(
    seed: int, play: Play, groove: Hits
) -> None:
    found = transcribe(Stems(play(groove, seed), SAMPLE_RATE))
    scores = score(groove, found, 0.01)
    total = add_scores(scores.values())
    assert total.f_measure >= 0.97
    mean, spread = total.timing
    assert abs(mean) <= 0.004
    assert spread <= 0.004
    scores = score(groove, found)
    for name in CLASSES:
        assert scores[name].f_measure >= 0.9, name
    for name in ("kick", "snare", "hihat"):
        assert scores[name].velocity_correlation >= 0.88, name


def test_bleed_of_thirty_decibels_hides_nothing_and_invents_little(
    play: Play, groove: Hits
) -> None:
    found = transcribe(Stems(bled(play(groove, 1), -30.0), SAMPLE_RATE))
    total = add_scores(score(groove, found).values())
    assert total.precision >= 0.9
    assert total.recall >= 0.95


@pytest.mark.parametrize("seed", range(2))
def test_rules_alone_find_most_of_it(seed: int, play: Play, groove: Hits) -> None:
    stems = play(groove, seed)
    found = find_hits(np.stack(list(stems.values())), SAMPLE_RATE, tuple(stems), None)
    assert add_scores(score(groove, found).values()).f_measure >= 0.85


def test_the_rate_of_the_stems_does_not_matter(play: Play, groove: Hits) -> None:
    import soxr

    stems = play(groove, 2)
    at_48 = {name: soxr.resample(wave.T, SAMPLE_RATE, 48000).T for name, wave in stems.items()}
    total = add_scores(score(groove, transcribe(Stems(at_48, 48000))).values())
    assert total.f_measure >= 0.95


def test_louder_and_quieter_recordings_give_the_same_hits(play: Play, groove: Hits) -> None:
    stems = play(groove, 0)
    quiet = {name: wave * np.float32(0.125) for name, wave in stems.items()}
    a, b = (transcribe(Stems(waves, SAMPLE_RATE)) for waves in (stems, quiet))
    assert [(hit.time, hit.stem, hit.velocity) for hit in a] == [
        (hit.time, hit.stem, hit.velocity) for hit in b
    ]


def test_midi_to_sound_to_midi_to_sound_to_midi_stays_the_same(
    play: Play, groove: Hits, tmp_path: Path
) -> None:
    from lars_plugin.training.data.grooves import read_groove

    first = transcribe(Stems(play(groove, 1), SAMPLE_RATE))
    to_midi(first, tmp_path / "first.mid", tempo=100)
    notes = read_groove(tmp_path / "first.mid")
    assert len(notes) == len(first)
    again = [DrumHit(note.onset, note.stem, note.articulation, note.velocity) for note in notes]
    second = transcribe(Stems(play(again, 1), SAMPLE_RATE))
    assert add_scores(score(first, second).values()).f_measure >= 0.95


@pytest.mark.parametrize("scale", ["log", "linear"])
def test_a_harder_hit_never_gets_a_lower_velocity(scale: str, play: Play) -> None:
    velocities = [20, 35, 50, 65, 80, 95, 110, 127]
    hits = [DrumHit(0.2 + 0.5 * k, "snare", velocity=v) for k, v in enumerate(velocities)]
    found = transcribe(Stems(play(hits, 3, 5.0), SAMPLE_RATE), velocity=scale)  # type: ignore[arg-type]
    got = [hit.velocity for hit in found if hit.stem == "snare"]
    assert len(got) == len(velocities)
    assert got == sorted(got)
    assert len(set(got)) == len(got)
    assert got[-1] == 127


def test_silence_has_no_hits(play: Play) -> None:
    assert transcribe(Stems(play([], seconds=1.0), SAMPLE_RATE)) == []


@pytest.mark.parametrize("samples", [0, 1, 50, 600])
def test_very_short_stems_are_no_error(samples: int) -> None:
    waves = {"kick": np.full((2, samples), 0.1, np.float32)}
    assert len(transcribe(Stems(waves, SAMPLE_RATE))) <= 1


def test_stems_other_than_drums_are_left_out(play: Play, groove: Hits) -> None:
    stems = play(groove, 0)
    noise = np.random.default_rng(0).standard_normal(stems["kick"].shape).astype(np.float32)
    alone = transcribe(Stems(stems, SAMPLE_RATE))
    assert transcribe(Stems({**stems, "vocals": noise, "bass": noise}, SAMPLE_RATE)) == alone


def test_what_cannot_be_transcribed_is_refused() -> None:
    wave = np.zeros((1, 100), np.float32)
    with pytest.raises(InputError, match="none of the stems vocals"):
        transcribe(Stems({"vocals": wave}, SAMPLE_RATE))
    with pytest.raises(InputError, match="8000"):
        transcribe(Stems({"kick": wave}, 4000))
    with pytest.raises(InputError, match="velocity scale"):
        transcribe(Stems({"kick": wave}, SAMPLE_RATE), velocity="loud")  # type: ignore[arg-type]
    with pytest.raises(NonFiniteError):
        transcribe(Stems({"kick": wave * np.nan}, SAMPLE_RATE))
