# SPDX-License-Identifier: GPL-3.0-or-later
"""Running ``lars separate`` again: what is skipped, what is done again, what is left alone."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lars_plugin.audio import read_audio
from lars_plugin.cli.makings import _MIDI_SETTINGS
from lars_plugin.cli.midi_options import add_hit_options
from lars_plugin.zoo.transcribers import transcriber_digest, transcriber_folders
from tests.cli.runs import Separate, drums, status


def files(folder: str = "o") -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in Path(folder).rglob("*.*") if path.is_file()}


@pytest.mark.parametrize("quiet", [[], ["-q"]])
def test_a_file_of_the_same_name_is_not_skipped_and_does_not_replace_the_others_stems(
    separate: Separate, quiet: list[str]
) -> None:
    drums("P1/Audio/drums.wav", 1)
    drums("P2/Audio/drums.wav", 2)
    assert separate("P1/Audio/drums.wav", *quiet)[0] == 0
    first = files()
    code, document, err = separate("P2/Audio/drums.wav", *quiet)
    assert code == 1
    assert files() == first
    (result,) = document["results"]
    assert (result["status"], result["outputs"]) == ("failed", {})
    assert "P1/Audio/drums.wav" in result["error"]
    assert "use --overwrite, or another -o folder" in result["error"]
    assert result["error"] in err
    # Each part of the advice works.
    for advice in (["-o", "o2"], ["--filename", "{path}/{track}/{stem}.{ext}"], ["--overwrite"]):
        code, document, _ = separate("P2/Audio/drums.wav", *advice)
        assert (code, status(document)) == (0, ["done"])
    code, document, _ = separate("P2/Audio/drums.wav")
    assert (code, status(document)) == (0, ["skipped"])
    assert document["results"][0]["outputs"]["kick"] == "o/drums/kick.wav"


def test_what_is_the_same_is_skipped_whatever_its_times_and_place(separate: Separate) -> None:
    path = drums("in/a.wav")
    assert separate("in/a.wav")[0] == 0
    first = files()
    os.utime(path, (1, 1))  # touched
    assert status(separate("in/a.wav")[1]) == ["skipped"]
    shutil.move("in", "moved")
    assert status(separate("moved/a.wav")[1]) == ["skipped"]
    shutil.copy("moved/a.wav", "a.wav")
    assert status(separate("a.wav")[1]) == ["skipped"]
    shutil.copytree("o", "p")  # with times of its own
    assert status(separate("a.wav", "-o", "p")[1]) == ["skipped"]
    assert files() == first


def test_fewer_stems_of_the_same_are_skipped_and_more_are_done(separate: Separate) -> None:
    drums("a.wav")
    assert separate("a.wav", "--stems", "kick,snare")[0] == 0
    assert status(separate("a.wav", "--stems", "snare")[1]) == ["skipped"]
    assert status(separate("a.wav", "--stems", "toms")[1]) == ["done"]
    assert status(separate("a.wav", "--stems", "kick")[1]) == ["skipped"]
    assert status(separate("a.wav", "--stems", "kick,toms,snare")[1]) == ["skipped"]
    assert status(separate("a.wav")[1]) == ["done"]
    assert status(separate("a.wav")[1]) == ["skipped"]


def test_a_residual_of_other_stems_is_another(separate: Separate) -> None:
    drums("a.wav")
    assert separate("a.wav", "--stems", "kick", "--residual")[0] == 0
    first = files()
    code, _, err = separate("a.wav", "--stems", "snare", "--residual")
    assert (code, files()) == (1, first)
    assert "residual.wav is there already, made in another way (stems kick, now snare)" in err
    assert status(separate("a.wav", "--stems", "kick", "--residual")[1]) == ["skipped"]


@pytest.mark.parametrize("same_size", [True, False])
@pytest.mark.parametrize("keep_time", [True, False])
def test_a_newer_bounce_of_the_same_path_is_done_again(
    separate: Separate, same_size: bool, keep_time: bool
) -> None:
    path = drums("a.wav", 1)
    before = path.stat()
    assert separate("a.wav", "--float32")[0] == 0
    old = read_audio("o/a/kick.wav")[0]
    drums("new.wav", 2, 4000 if same_size else 5000)
    if keep_time:
        os.utime("new.wav", ns=(before.st_atime_ns, before.st_mtime_ns))
    os.replace("new.wav", "a.wav")
    code, document, _ = separate("a.wav", "--float32")
    assert (code, status(document)) == (0, ["done"])
    new = read_audio("o/a/kick.wav")[0]
    assert new.shape[1] == (4000 if same_size else 5000)
    assert np.abs(new[:, :4000] - old).max() > 1e-4
    assert status(separate("a.wav", "--float32")[1]) == ["skipped"]


def test_stems_of_two_states_of_a_file_do_not_lie_side_by_side(separate: Separate) -> None:
    drums("a.wav", 1)
    assert separate("a.wav")[0] == 0
    drums("a.wav", 2)
    first = files()
    code, _, err = separate("a.wav", "--stems", "kick")
    assert (code, files()) == (1, first)
    assert "snare.wav lies in the same place, made from an older state of it" in err


def test_stems_of_another_file_do_not_get_others_beside_them(separate: Separate) -> None:
    drums("x/a.wav", 1)
    drums("y/a.wav", 2)
    assert separate("x/a.wav", "--stems", "kick")[0] == 0
    code, _, err = separate("y/a.wav", "--stems", "snare")
    assert code == 1
    assert "kick.wav lies in the same place, made from" in err
    assert not Path("o/a/snare.wav").exists()


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (["--preset", "best"], "preset not given, now best"),
        (["--overlap", "3"], "overlap not given, now 3.0"),
        (["--shifts", "2"], "shifts not given, now 2"),
        (["--wiener", "1"], "wiener not given, now 1.0"),
        (["--gate", "-40"], "gate not given, now -40.0"),
        (["--redistribute"], "redistribute off, now on"),
        (["--bits", "16"], "bits 24, now 16"),
        (["--rescale"], "rescale off, now on"),
        (["--precision", "bfloat16"], "precision auto, now bfloat16"),
    ],
)
def test_other_settings_are_neither_skipped_nor_written_over(
    separate: Separate, flags: list[str], reason: str
) -> None:
    drums("a.wav")
    assert separate("a.wav", "--stems", "kick")[0] == 0
    first = files()
    code, document, err = separate("a.wav", "--stems", "kick", *flags)
    assert (code, status(document)) == (1, ["failed"])
    assert f"made in another way ({reason}" in err
    assert files() == first
    assert separate("a.wav", "--stems", "kick", "--overwrite", *flags)[0] == 0
    assert status(separate("a.wav", "--stems", "kick", *flags)[1]) == ["skipped"]


def test_wav_and_flac_lie_side_by_side(separate: Separate) -> None:
    drums("a.wav")
    for _ in range(2):
        for flags in ([], ["--flac"]):
            assert separate("a.wav", "--stems", "kick", *flags)[0] == 0
    assert status(separate("a.wav", "--stems", "kick")[1]) == ["skipped"]
    assert status(separate("a.wav", "--stems", "kick", "--flac")[1]) == ["skipped"]


def test_another_model_and_other_weights_are_not_the_same(
    separate: Separate, tiny: Path, tmp_path: Path
) -> None:
    drums("a.wav")
    assert separate("a.wav", "--stems", "kick")[0] == 0
    first = files()
    for name in ("other", "tiny"):
        model = tmp_path / "models" / name
        shutil.copytree(tiny, model)
        config, weights = model / "config.yaml", model / "weights.safetensors"
        if name == "other":
            config.write_text(config.read_text().replace("name: tiny", "name: other"))
        else:
            old, data = weights.read_bytes(), bytearray(weights.read_bytes())
            data[-3] ^= 1
            weights.write_bytes(data)
            before, after = (hashlib.sha256(content).hexdigest() for content in (old, data))
            config.write_text(config.read_text().replace(before, after))
        code, _, err = separate("a.wav", "--stems", "kick", model=model)
        assert code == 1
        reason = "model tiny, now other" if name == "other" else "another version of model tiny"
        assert reason in err
    assert files() == first
    shutil.copytree(tiny, tmp_path / "elsewhere" / "tiny")
    code, document, _ = separate("a.wav", "--stems", "kick", model=tmp_path / "elsewhere" / "tiny")
    assert status(document) == ["skipped"]


def test_another_version_is_not_the_same(
    separate: Separate, monkeypatch: pytest.MonkeyPatch
) -> None:
    drums("a.wav")
    assert separate("a.wav", "--stems", "kick")[0] == 0
    monkeypatch.setattr("lars_plugin.cli.makings.__version__", "99")
    code, _, err = separate("a.wav", "--stems", "kick")
    assert code == 1
    assert ", now 99)" in err


def test_what_nothing_is_known_of_is_not_touched(separate: Separate) -> None:
    drums("a.wav")
    drums("o/a/kick.wav")
    first = files()
    code, _, err = separate("a.wav")
    assert (code, files()) == (1, first)
    assert "o/a/kick.wav is there already, and nothing tells what it was made from" in err
    assert separate("a.wav", "--overwrite")[0] == 0
    assert status(separate("a.wav")[1]) == ["skipped"]
    # Nor is a damaged record believed.
    (record,) = Path("o/a").glob(".lars-*.json")
    for content in (b"", b"{", b"[]", b'{"runs": [1]}', b'{"runs": [{"source": {}}]}', b"\xff"):
        record.write_bytes(content)
        code, _, err = separate("a.wav")
        assert code == 1
        assert "nothing tells what it was made from" in err


def test_stems_that_were_edited_are_not_replaced(separate: Separate) -> None:
    drums("a.wav", 1)
    assert separate("a.wav", "--stems", "kick")[0] == 0
    kick = Path("o/a/kick.wav")
    # To another size.
    kick.write_bytes(kick.read_bytes() + b"LIST\0\0\0\0")
    code, _, err = separate("a.wav", "--stems", "kick")
    assert code == 1
    assert "nothing tells by whom it was changed since" in err
    assert separate("a.wav", "--stems", "kick", "--overwrite")[0] == 0
    # In place: not in the way of a skip, but of a change of the input.
    os.utime(kick, (1, 1))
    assert status(separate("a.wav", "--stems", "kick")[1]) == ["skipped"]
    drums("a.wav", 2)
    code, _, err = separate("a.wav", "--stems", "kick")
    assert code == 1
    assert "kick.wav is there already, and was changed since" in err


def test_a_stem_that_was_taken_away_is_made_again(separate: Separate) -> None:
    drums("a.wav")
    assert separate("a.wav")[0] == 0
    Path("o/a/kick.wav").unlink()
    assert status(separate("a.wav")[1]) == ["done"]
    assert Path("o/a/kick.wav").exists()
    shutil.rmtree("o/a")
    assert status(separate("a.wav")[1]) == ["done"]


def test_an_input_that_changes_while_it_is_separated_is_done_again(
    separate: Separate, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lars_plugin.separation import files as module

    path = drums("a.wav")
    whole = module._write

    def write(*arguments: Any) -> None:
        whole(*arguments)
        path.write_bytes(path.read_bytes() + b"LIST\0\0\0\0")

    with monkeypatch.context() as patched:
        patched.setattr(module, "_write", write)
        assert separate("a.wav", "--stems", "kick")[0] == 0
    assert status(separate("a.wav", "--stems", "kick")[1]) == ["done"]
    assert status(separate("a.wav", "--stems", "kick")[1]) == ["skipped"]


def test_the_record_is_plain_json_that_names_input_model_and_settings(separate: Separate) -> None:
    path = drums("a.wav")
    assert separate("a.wav", "--stems", "kick", "--preset", "fast")[0] == 0
    (record,) = Path("o/a").glob(".lars-*.json")
    (run,) = json.loads(record.read_text())["runs"]
    assert run["source"]["path"] == str(path.resolve())
    assert run["source"]["size"] == path.stat().st_size
    assert len(run["source"]["sha256"]) == 64
    assert run["making"]["model"]["name"] == "tiny"
    (part,) = run["making"]["model"]["parts"]
    assert len(part["weights"]) == 64
    assert run["making"]["settings"]["preset"] == "fast"
    assert run["outputs"]["kick"]["file"] == "kick.wav"
    assert run["outputs"]["kick"]["size"] == Path("o/a/kick.wav").stat().st_size


# MIDI beside the stems.


def test_a_midi_file_is_made_again_only_as_stems_are(separate: Separate) -> None:
    drums("a.wav", 1, 20_000)
    made = Path("o/a/a.mid")
    assert separate("a.wav", "--midi")[0] == 0
    first = made.read_bytes()
    code, document, _ = separate("a.wav", "--midi")
    assert (code, status(document)) == (0, ["skipped"])
    assert document["results"][0]["outputs"]["midi"] == "o/a/a.mid"
    code, _, err = separate("a.wav", "--midi", "--bpm", "90")
    assert (code, made.read_bytes()) == (1, first)
    assert "a.mid is there already, made in another way (bpm 120, now 90)" in err
    assert separate("a.wav", "--midi", "--bpm", "90", "--overwrite")[0] == 0
    assert made.read_bytes() != first


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--transcriber", "none"], "now none"),
        (["--offset", "0.25"], "offset 0, now 0.25"),
        (["--quantise", "1/16"], "now 1/16"),
    ],
)
def test_a_midi_file_made_with_other_options_is_told(
    separate: Separate, options: list[str], reason: str
) -> None:
    drums("a.wav", 1, 20_000)
    assert separate("a.wav", "--midi")[0] == 0
    code, _, err = separate("a.wav", "--midi", *options)
    assert code == 1
    assert reason in err


def test_every_option_about_notes_is_recorded() -> None:
    parser = argparse.ArgumentParser()
    add_hit_options(parser)
    options = {action.dest for action in parser._actions} - {"help"}
    assert options == set(_MIDI_SETTINGS)


def test_other_weights_of_a_transcriber_are_another_transcriber(tmp_path: Path) -> None:
    own = transcriber_folders()["lars-transcriber"]
    shutil.copytree(own, tmp_path / "one")
    before = transcriber_digest(str(tmp_path / "one"))
    assert before == transcriber_digest("lars-transcriber")
    card = tmp_path / "one" / "transcriber.yaml"
    card.write_text(re.sub(r"kick: 0\.\d+", "kick: 0.11", card.read_text(), count=1))
    assert transcriber_digest(str(tmp_path / "one")) != before


def test_a_midi_file_of_somebody_else_is_not_replaced(separate: Separate) -> None:
    drums("a.wav", 1)
    Path("o/a").mkdir(parents=True)
    made = Path("o/a/a.mid")
    made.write_bytes(b"mine")
    code, _, err = separate("a.wav", "--midi")
    assert (code, made.read_bytes()) == (1, b"mine")
    assert "a.mid is there already, and nothing tells what it was made from" in err
    assert not Path("o/a/kick.wav").exists()
    assert separate("a.wav", "--midi", "--overwrite")[0] == 0
    assert made.read_bytes() != b"mine"
