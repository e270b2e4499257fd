# SPDX-License-Identifier: GPL-3.0-or-later
"""TRANSCRIBE: the engine writes what ``lars midi`` writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import mido
import numpy as np
import pytest

from lars_plugin.audio import read_audio, write_audio
from lars_plugin.bridge.local_engine import EngineThread
from lars_plugin.cli import main
from lars_plugin.errors import AudioFileError, CancelledError, InputError, LarsError
from lars_plugin.model import AnyModel
from lars_plugin.zoo import load_model
from tests.drums import kicks_and_snares

RATE = 44100
SECONDS = 4
NAME = "lars-live"  # the quickest of the zoo

MODELS: dict[str, Callable[[], AnyModel]] = {NAME: lambda: load_model(NAME)}


@pytest.fixture(scope="module")
def engine() -> Iterator[EngineThread]:
    with EngineThread(MODELS) as engine:
        yield engine


@pytest.fixture(scope="module")
def beat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Kicks and snares, twice a second."""
    path = tmp_path_factory.mktemp("beat") / "beat.wav"
    write_audio(path, kicks_and_snares(RATE, SECONDS, peak=0.6), RATE, bits="32f")
    return path


@pytest.fixture(scope="module")
def stems(engine: EngineThread, beat: Path) -> list[Path]:
    with engine.client() as client:
        return client.separate_file(beat, beat.parent / "stems", NAME, bits="32f")


def notes(path: Path) -> list[tuple[int, int, int]]:
    """(tick, note, velocity) of each stroke."""
    now, found = 0, []
    for message in mido.MidiFile(path).tracks[1]:
        now += message.time
        if message.type == "note_on":
            found.append((now, message.note, message.velocity))
    return found


@pytest.mark.parametrize("tempo", [0.0, 97.5])
def test_the_file_of_all_drums_is_that_of_lars_midi_to_the_byte(
    engine: EngineThread, beat: Path, stems: list[Path], tmp_path: Path, tempo: float
) -> None:
    wanted = tmp_path / "wanted.mid"
    words = ["midi", str(beat), "-o", str(wanted), "--model", NAME, "--quiet"]
    assert main(words + (["--bpm", str(tempo)] if tempo else [])) == 0
    seen: list[tuple[int, int]] = []
    with engine.client() as client:
        made = client.transcribe_stems(
            stems, tmp_path / "midi", tempo=tempo, progress=lambda *far: seen.append(far)
        )
    assert made[0] == tmp_path / "midi" / "drums.mid"
    assert made[0].read_bytes() == wanted.read_bytes()
    assert seen[-1] == (SECONDS * RATE, SECONDS * RATE)
    # Each stem's file has its own strokes, and all files together have all of them.
    parts = {path.stem: notes(path) for path in made[1:]}
    assert {"kick", "snare"} <= set(parts) <= {path.stem for path in stems}
    assert min(map(len, parts.values())) > 0
    assert sorted(note for part in parts.values() for note in part) == sorted(notes(wanted))
    assert {note for _, note, _ in parts["kick"]} == {36}  # General MIDI's
    assert sorted(path.name for path in (tmp_path / "midi").iterdir()) == sorted(
        path.name for path in made
    )


def test_what_cannot_be_transcribed_is_told_of_and_leaves_no_file(
    engine: EngineThread, stems: list[Path], tmp_path: Path
) -> None:
    folder = tmp_path / "midi"
    other = tmp_path / "stems"
    other.mkdir()
    write_audio(other / "kick.wav", np.zeros((2, 100), np.float32), 44100)
    write_audio(other / "snare.wav", np.zeros((2, 100), np.float32), 48000)
    wrong: list[tuple[list[Path], float, type[LarsError], str]] = [
        ([tmp_path / "kick.wav"], 0.0, AudioFileError, "kick.wav"),
        ([tmp_path / "vocals.wav"], 0.0, InputError, "is a drum"),
        ([other / "kick.wav", other / "snare.wav"], 0.0, InputError, "rate"),
        (stems, -3.0, InputError, "tempo|BPM"),
    ]
    with engine.client() as client:
        for paths, tempo, kind, why in wrong:
            with pytest.raises(kind, match=why):
                client.transcribe_stems(paths, folder, tempo=tempo)
            assert not folder.exists()
        # Long, so that the work is not over before the word has come.
        wave, rate = read_audio(stems[0])
        long = tmp_path / "long" / stems[0].name
        long.parent.mkdir()
        write_audio(long, np.tile(wave, (1, 1 + 300 * RATE // wave.shape[1])), round(rate))
        with pytest.raises(CancelledError):
            client.transcribe_stems([long], folder, progress=lambda done, total: False)
        assert not folder.exists()
        client.ping()


def test_an_engine_with_bounds_touches_no_other_folder(beat: Path, tmp_path: Path) -> None:
    outside = beat.parent / "drums"
    outside.mkdir()
    write_audio(outside / "kick.wav", np.zeros((2, 100), np.float32), RATE)
    write_audio(tmp_path / "kick.wav", np.zeros((2, 100), np.float32), RATE)
    with EngineThread(MODELS, roots=[tmp_path]) as engine, engine.client() as client:
        for stem, folder in (
            (outside / "kick.wav", tmp_path / "midi"),
            (tmp_path / "kick.wav", outside / "midi"),
        ):
            with pytest.raises(InputError, match="may not touch"):
                client.transcribe_stems([stem], folder)
        made = client.transcribe_stems([tmp_path / "kick.wav"], tmp_path / "midi")
    assert [path.name for path in made] == ["drums.mid"]  # silence has no hits
