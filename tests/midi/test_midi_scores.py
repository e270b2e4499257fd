# SPDX-License-Identifier: GPL-3.0-or-later
"""``lars evaluate --midi``: strokes found in clips, songs and their variants."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lars_plugin.audio import write_audio
from lars_plugin.cli import main
from lars_plugin.evaluation.datasets import find_clips
from lars_plugin.evaluation.midi import evaluate_midi
from lars_plugin.evaluation.variants import spread_over_variants
from lars_plugin.midi.hits import DrumHit
from lars_plugin.synthesis import SAMPLE_RATE

Wave = NDArray[np.float32]


def test_evaluate_makes_the_table(
    stems_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "figures.json"
    command = ["evaluate", str(stems_folder.parent), "--midi", "--model", "none"]
    assert main([*command, "--json", str(out)]) == 0
    said = capsys.readouterr().out
    assert "true stems, 50 ms" in said
    assert "lars-transcriber, drums, 30 ms" in said
    assert "Articulations named correctly" in said
    figures = json.loads(out.read_text())
    assert figures["clips"] == 1
    true = figures["systems"]["true stems"]
    assert true["all_f_50ms"] >= 0.9
    assert true["all_f_50ms"] >= true["all_f_30ms"]
    assert true["all_f_50ms"] > figures["systems"]["lars-transcriber, drums"]["all_f_50ms"]
    hats = [one for one in true["articulations"] if one["stem"] == "hihat"]
    assert {one["played"] for one in hats} == {"closed", "open"}
    right = sum(one["strokes"] for one in hats if one["played"] == one["found"])
    assert right >= 0.8 * sum(one["strokes"] for one in hats)


def test_evaluate_needs_the_truth(
    stems_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "one").mkdir()
    for path in stems_folder.glob("*.wav"):
        shutil.copy(path, tmp_path / "one")
    assert main(["evaluate", str(tmp_path), "--midi", "--model", "none"]) == 1
    assert "notes.csv" in capsys.readouterr().err


def test_variants_of_clips_are_transcribed_too(
    stems_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "scores.json"
    command = ["evaluate", str(stems_folder.parent), "--midi", "--model", "none", "--limit", "1"]
    assert main([*command, "--variants", "mono,left,lp5", "--json", str(out)]) == 0
    said = capsys.readouterr().out
    assert "by variant, mean over the classes" in said
    assert "by variant, snare" in said
    scores = json.loads(out.read_text())
    assert list(scores) == ["mono", "left", "lp5"]
    kicks = [
        one["systems"]["lars-transcriber, drums"]["classes"]["kick"]["f_50ms"]
        for one in scores.values()
    ]
    assert min(kicks) > 0.6


def test_what_is_heard_of_a_variant_is_the_variant(
    stems_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[Wave] = []

    def hear(audio: Wave, *_: object, **__: object) -> list[DrumHit]:
        heard.append(audio)
        return []

    monkeypatch.setattr("lars_plugin.evaluation.midi.transcribe_mixture", hear)
    clips = find_clips(stems_folder.parent)[1]
    for name in ("plain", "left", "inverted"):
        evaluate_midi(spread_over_variants(clips, [name]), stems_folder.parent, [])
    plain, left, inverted = heard
    assert plain[1].any()
    assert not left[1].any()
    assert left[0].any()
    np.testing.assert_array_equal(inverted[1], -inverted[0])


def test_a_song_with_onsets_is_scored_from_its_drums_and_from_all_of_it(
    stems_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "songs" / "one"
    folder.mkdir(parents=True)
    drums = stems_folder / "mix.wav"
    (folder / "drums.wav").write_bytes(drums.read_bytes())
    time = np.arange(round(4.0 * SAMPLE_RATE)) / SAMPLE_RATE
    other = np.tile(0.01 * np.sin(2 * np.pi * 110 * time), (2, 1)).astype(np.float32)
    write_audio(folder / "other.wav", other, SAMPLE_RATE, bits="24")
    with (stems_folder / "notes.csv").open() as handle:
        rows = [f"{row['onset']},{row['class']}" for row in csv.DictReader(handle)]
    (folder / "onsets.csv").write_text("\n".join(["onset,class", "0.5,other", *rows]) + "\n")
    out = tmp_path / "scores.json"
    command = ["evaluate", str(folder.parent), "--midi", "--model", "none", "--json", str(out)]
    assert main(command) == 0
    assert "lars-transcriber, mixture" in capsys.readouterr().out
    scores = json.loads(out.read_text())["systems"]
    assert set(scores) == {"lars-transcriber, drums", "lars-transcriber, mixture"}
    kick = scores["lars-transcriber, drums"]["classes"]["kick"]
    assert kick["f_50ms"] > 0.7
    assert kick["strokes"] == sum(row.endswith(",kick") for row in rows)
    assert kick["velocity_correlation"] is None
