# SPDX-License-Identifier: GPL-3.0-or-later
"""``lars midi``, ``lars separate --midi`` and ``lars evaluate --midi`` as they are typed."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import mido
import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file

from lars_plugin import Separator
from lars_plugin.audio import write_audio
from lars_plugin.cli import main
from lars_plugin.cli.midi_options import read_stems
from lars_plugin.errors import DatasetError
from lars_plugin.midi import settings
from lars_plugin.midi.hits import DrumHit
from lars_plugin.midi.picker import Picker
from lars_plugin.synthesis import SAMPLE_RATE, random_kit
from lars_plugin.testing import IdentityModel
from lars_plugin.training.data.examples import separate_excerpts
from lars_plugin.training.data.excerpts import Excerpt
from lars_plugin.training.data.grooves import Note
from lars_plugin.training.render.renderer import STEMS

Play = Callable[..., dict[str, NDArray[np.float32]]]


def notes(path: Path) -> list[int]:
    return [one.note for one in mido.MidiFile(path).tracks[1] if one.type == "note_on"]


def test_a_folder_of_stems_becomes_a_file_and_a_picture(
    stems_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, picture = tmp_path / "out.mid", tmp_path / "out.png"
    command = ["midi", str(stems_folder), "--model", "none", "-o", str(out)]
    command += ["--plot", str(picture)]
    command += ["--bpm", "130.4", "--quantise", "1/16", "--strength", "0.5"]
    code = main([*command, "--note-map", "superior"])
    said = capsys.readouterr().out
    assert code == 0, said
    assert "hits (kick" in said
    assert {36, 38, 22} <= set(notes(out))
    tempo = next(one for one in mido.MidiFile(out).tracks[0] if one.type == "set_tempo")
    assert tempo.tempo == round(60e6 / 130.4)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size < 150_000


def test_a_recording_is_separated_first_and_separate_writes_the_same_notes(
    stems_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mixture = stems_folder / "mix.wav"
    assert main(["midi", str(mixture), "-o", str(tmp_path / "a.mid"), "--preset", "fast"]) == 0
    command = ["separate", str(mixture), "-o", str(tmp_path / "out"), "--preset", "fast"]
    assert main([*command, "--float32"]) == 0
    # The stems are there: only the MIDI file is made.
    assert main([*command, "--float32", "--midi", "--json"]) == 0
    made = tmp_path / "out" / "mix" / "mix.mid"
    assert notes(made) == notes(tmp_path / "a.mid")
    said = capsys.readouterr().out
    result = json.loads(said[said.index("{\n") :])["results"][0]
    assert (result["status"], result["outputs"]["midi"]) == ("skipped", str(made))
    assert len(notes(made)) > 10


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name a recording"),
        (["x.wav", "--bpm", "fast"], "--bpm is a number or auto"),
        (["x.wav", "--quantise", "1/5"], "unknown grid"),
        (["x.wav", "--note-map", "none"], "no note map"),
        (["x.wav", "--velocity-range", "0"], "range of velocities"),
        (["x.wav", "--plot", "x.txt"], "a picture is"),
        (["--tune"], "--kits and --grooves"),
        (["--tune", "--kits", "k", "--grooves", "g", "--excerpts", "0"], "must be positive"),
        (["--tune", "--kits", "k", "--grooves", "g", "--steps", "0"], "--start"),
    ],
)
def test_wrong_usage_is_an_error_before_anything_is_done(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["midi", *arguments]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "there"),
    [
        (["-o", "a.mid"], "a.mid"),
        ([], "one.mid"),  # named after the folder
        (["-o", "b.mid", "--plot", "a.png"], "a.png"),
        (["-o", "link.mid"], "link.mid"),  # to nothing
    ],
)
def test_what_is_there_is_not_replaced_unless_that_is_asked_for(
    stems_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    there: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("link.mid").symlink_to("nowhere.mid")
    if there != "link.mid":
        Path(there).write_bytes(b"theirs")
    before = sorted(path.name for path in tmp_path.iterdir())
    assert main(["midi", str(stems_folder), "--model", "none", *options]) == 2
    assert f"{there} is there already; use --overwrite" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    if there != "link.mid":
        assert Path(there).read_bytes() == b"theirs"


def test_a_folder_without_stems_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["midi", str(tmp_path)]) == 2
    assert "holds no drum stems" in capsys.readouterr().err


@pytest.fixture(scope="module")
def data(
    tmp_path_factory: pytest.TempPathFactory,
    groove: Sequence[DrumHit],
    write_groove: Callable[[Path, Sequence[DrumHit]], None],
) -> Path:
    """One synthesised kit and one groove, for both splits."""
    root = tmp_path_factory.mktemp("data")
    rows = [["kit", "split", "file", "class", "articulation", "velocity", "instrument"]]
    for split in ("train", "validation"):
        kit = random_kit(np.random.default_rng(len(split))).sounds
        for stem, sounds in kit.items():
            for kind, wave in sounds.items():
                name = f"{split}_{stem}_{kind}.wav"
                write_audio(root / "kits" / name, wave[None, :30000] * 0.5, SAMPLE_RATE)
                rows.append([split, split, name, stem, kind, "127", "a"])
    with (root / "kits" / "manifest.csv").open("w", newline="") as handle:
        csv.writer(handle).writerows(rows)
    (root / "grooves").mkdir()
    write_groove(root / "grooves" / "a.mid", groove)
    return root


def test_rendered_clips_hold_the_strokes_that_are_heard(data: Path, tmp_path: Path) -> None:
    command = ["midi", "--render", str(tmp_path / "clips"), "--excerpts", "8", "--seconds", "4"]
    assert main([*command, "--kits", str(data / "kits"), "--grooves", str(data / "grooves")]) == 0
    assert main(["evaluate", str(tmp_path / "clips"), "--midi", "--model", "none", "--json",
                 str(tmp_path / "out.json")]) == 0  # fmt: skip
    true = json.loads((tmp_path / "out.json").read_text())["systems"]["true stems"]
    assert true["all_f_50ms"] >= 0.8
    assert min(scores["recall"] for scores in true["classes"].values()) >= 0.95


def test_tuning_is_one_call_and_its_settings_work(data: Path, tmp_path: Path) -> None:
    out, again = tmp_path / "midi.json", tmp_path / "again.json"
    # True stems, so that the result does not depend on the model.
    command = ["midi", "--tune", "--source", "stems", "--quiet"]
    command += ["--kits", str(data / "kits"), "--grooves", str(data / "grooves")]
    command += ["--excerpts", "48", "--seconds", "4"]
    start = Path(settings.__file__).parent / "tuned" / "stems.json"
    assert main([*command, "--steps", "20", "--start", str(start), "-o", str(out)]) == 0
    made = json.loads(out.read_text())
    assert (made["made"]["excerpts"], made["made"]["source"]) == (48, "stems")
    assert 100_000 < out.with_suffix(".weights.safetensors").stat().st_size < 300_000

    def weights(path: Path) -> dict[str, NDArray[np.float16]]:
        loaded: dict[str, NDArray[np.float16]] = load_file(path.with_suffix(".weights.safetensors"))
        return loaded

    picker = [name for name in weights(out) if name.startswith("picker.")]
    assert any(not np.array_equal(weights(out)[k], weights(start)[k]) for k in picker)
    # On drums that it was not trained on.
    assert np.mean(list(made["made"]["f_measure"].values())) > 0.8
    # Starting from it without a step keeps the picker and gives the same thresholds.
    assert main([*command, "--steps", "0", "--start", str(out), "-o", str(again)]) == 0
    kept = json.loads(again.read_text())
    assert all(np.array_equal(weights(again)[name], weights(out)[name]) for name in picker)
    assert kept["parts"] == made["parts"]


def test_a_picker_that_hears_nothing_of_a_drum_is_named_and_gets_a_plain_threshold(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = settings.read_settings(Path(settings.__file__).parent / "tuned" / "stems.json")
    arrays = own.picker.to_arrays()
    crash = own.stems.index("crash")
    arrays["w4"][:, crash], arrays["b4"][crash] = 0, -20
    deaf = replace(own, picker=Picker.from_arrays(arrays, len(own.stems)))
    deaf.save(tmp_path / "deaf.json")
    command = ["midi", "--tune", "--source", "stems", "--excerpts", "48", "--seconds", "4"]
    command += ["--kits", str(data / "kits"), "--grooves", str(data / "grooves"), "--steps", "0"]
    out = tmp_path / "midi.json"
    assert main([*command, "--start", str(tmp_path / "deaf.json"), "-o", str(out)]) == 0
    said = [line for line in capsys.readouterr().out.splitlines() if "is a guess" in line]
    assert [line.split("crash: ")[-1] for line in said] == [
        "no stroke was found, so the threshold is a guess;"
        " train the picker (--steps 1000), or on more excerpts"
    ]
    made = json.loads(out.read_text())
    assert (made["parts"]["crash"]["threshold"], made["parts"]["crash"]["offset_ms"]) == (0.5, 0)


def test_tuning_never_uses_the_validation_split(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["midi", "--tune", "--split", "validation", "--kits", str(data / "kits")]
    assert main([*command, "--grooves", str(data / "grooves")]) == 2
    assert "the train split" in capsys.readouterr().err


def test_what_was_separated_is_kept_and_not_mixed_with_other_settings(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    excerpts = [
        Excerpt(
            rng.uniform(-0.1, 0.1, (6, 2, 8000)).astype(np.float32),
            (Note(0.05 * k, "snare", "center", 90, 38),),
        )
        for k in range(2)
    ]
    separator = Separator(IdentityModel(list(STEMS)))
    first = list(separate_excerpts(iter(excerpts), separator, tmp_path, 2, "one"))
    # The second run renders and separates nothing.
    again = list(separate_excerpts(iter(()), separator, tmp_path, 2, "one"))
    assert [one.notes for one in again] == [one.notes for one in excerpts]
    for a, b, excerpt in zip(first, again, excerpts, strict=True):
        assert np.array_equal(a.estimated, b.estimated)
        assert np.abs(a.true - excerpt.waves).max() < 1e-4
    with pytest.raises(DatasetError, match="other settings"):
        next(separate_excerpts(iter(excerpts), separator, tmp_path, 2, "two"))
    other = Separator(IdentityModel(["drums"]))
    with pytest.raises(DatasetError, match="a model with the stems"):
        next(separate_excerpts(iter(excerpts), other, tmp_path, 2, "one"))


def test_offset_puts_the_grid_where_the_recording_begins(
    tmp_path: Path, play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = 15 / 127.3
    pattern = [
        DrumHit(0.41 + step * index, "kick" if index % 8 == 0 else "snare", velocity=110)
        for index in range(0, 16, 4)
    ]
    folder = tmp_path / "stems"
    folder.mkdir()
    for name, wave in play(pattern, 1, 3.0).items():
        write_audio(folder / f"{name}.wav", wave * 0.5, SAMPLE_RATE, bits="24")
    monkeypatch.chdir(tmp_path)

    def times(*options: str) -> list[float]:
        arguments = ["midi", str(folder), "--model", "none", "--bpm", "127.3", "-q"]
        name = f"{len(options)}{'-'.join(options).replace('/', '')}.mid"
        assert main([*arguments, *options, "-o", name]) == 0
        now, found = 0.0, []
        for message in mido.MidiFile(tmp_path / name):
            now += message.time
            found += [now] if message.type == "note_on" else []
        return found

    plain = times()
    assert len(plain) >= len(pattern)
    for offset in ("0.41", "auto"):
        moved = times("--quantise", "1/16", "--offset", offset)
        assert max(abs(a - b) for a, b in zip(moved, plain, strict=True)) < 0.012


@pytest.mark.parametrize("bad", [["--offset", "x"], ["--bpm", "auto", "--offset", "0.4"]])
def test_an_offset_that_makes_no_sense_is_wrong_usage(
    stems_folder: Path, bad: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["midi", str(stems_folder), "--model", "none", *bad]) == 2
    assert "--offset" in capsys.readouterr().err


def test_the_mixture_is_heard_without_a_model(
    stems_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def never(*_: object, **__: object) -> None:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr("lars_plugin.cli.midi.make_separator", never)
    out, picture = tmp_path / "out.mid", tmp_path / "out.png"
    command = ["midi", str(stems_folder / "mix.wav"), "--from", "mixture", "-o", str(out)]
    assert main([*command, "--plot", str(picture)]) == 0
    assert "hits (kick" in capsys.readouterr().out
    assert {36, 38} <= set(notes(out))
    assert picture.is_file()
    assert main([*command, "--overwrite", "--transcriber", "nobody"]) != 0
    assert "no transcriber 'nobody'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--from", "mixture", "--transcriber", "none"], "needs a transcriber"),
        (["--live-port", "x", "--transcriber", "lars-transcriber"], "whole recordings only"),
        (
            ["--live-port", "x", "--from", "mixture", "--transcriber", "lars-transcriber"],
            "name a causal one: lars-transcriber-live",
        ),
        (["--live-port", "x", "--from", "mixture", "--transcriber", "none"], "needs a transcriber"),
    ],
)
def test_what_excludes_each_other_is_told(
    stems_folder: Path, options: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["midi", str(stems_folder / "mix.wav"), *options]) != 0
    assert reason in capsys.readouterr().err


def test_a_folder_of_stems_is_no_mixture(
    stems_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["midi", str(stems_folder), "--from", "mixture"]) != 0
    assert "not a folder of stems" in capsys.readouterr().err


def test_a_folder_of_stems_is_heard_with_what_is_beside_the_drums(
    stems_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "song"
    shutil.copytree(stems_folder, folder)
    time = np.arange(round(4.0 * SAMPLE_RATE)) / SAMPLE_RATE
    other = np.tile(0.3 * np.sin(2 * np.pi * 110 * time), (2, 1)).astype(np.float32)
    write_audio(folder / "other.wav", other, SAMPLE_RATE, bits="24")
    assert set(read_stems(folder)) - set(read_stems(stems_folder)) == {"other"}
