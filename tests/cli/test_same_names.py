# SPDX-License-Identifier: GPL-3.0-or-later
"""Inputs of one name: they do not stop the others, and the advice about them works."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.runs import Separate, drums, status


@pytest.mark.parametrize(
    "inputs",
    [
        ["P1/Audio/drums.wav", "P2/Audio/drums.wav"],
        ["P1", "P2"],
        ["."],
        ["*/Audio/*.wav"],
        ["P?"],
        ["take.wav", "take.flac"],
        ["takes"],
        [".", "--filename", "{track}_{stem}.{ext}"],
        [".", "--filename", "{stem}.{ext}"],
        [".", "--filename", "{folder}/{stem}.{ext}"],
        ["takes", "--filename", "{track}-{stem}.{ext}", "--midi"],
    ],
)
def test_the_advice_about_names_works_when_it_is_followed(
    separate: Separate, inputs: list[str]
) -> None:
    drums("P1/Audio/drums.wav", 1)
    drums("P2/Audio/drums.wav", 2)
    for number, name in enumerate(("take.wav", "take.flac", "takes/a.wav", "takes/a.flac")):
        drums(name, number)
    flags = ["--stems", "kick"]
    code, document, err = separate(*inputs, *flags)
    assert code != 0
    advice = err.split('tell them apart with --filename "')[1].split('"')[0]
    code, document, err = separate(*inputs, *flags, "--filename", advice)
    assert (code, err) == (0, "")
    outputs = [output for result in document["results"] for output in result["outputs"].values()]
    assert len(set(outputs)) == len(outputs) >= 2
    assert set(status(document)) == {"done"}
    assert set(status(separate(*inputs, *flags, "--filename", advice)[1])) == {"skipped"}


def test_advice_repeats_no_field_of_the_template(separate: Separate) -> None:
    drums("P1/Audio/drums.wav", 1)
    drums("P2/Audio/drums.wav", 2)
    flags = ["P1", "P2", "--stems", "kick", "--filename"]
    _, _, err = separate(*flags, "{path}/{track}/{stem}.{ext}")
    assert 'with --filename "{root}/{path}/{track}/{stem}.{ext}"' in err
    assert separate(*flags, "{root}/{path}/{track}/{stem}.{ext}")[0] == 0


def test_one_pair_does_not_stop_the_others(separate: Separate) -> None:
    for number, name in enumerate(("x/a.wav", "y/a.wav", "b.wav", "c.wav")):
        drums(name, number)
    code, document, err = separate("x/a.wav", "y/a.wav", "b.wav", "c.wav", "--stems", "kick")
    assert code == 1
    found = {result["input"]: result["status"] for result in document["results"]}
    assert found == {"x/a.wav": "failed", "y/a.wav": "failed", "b.wav": "done", "c.wav": "done"}
    assert sorted(path.name for path in Path("o").iterdir()) == ["b", "c"]
    assert err.count("x/a.wav and y/a.wav would both be written to o/a/kick.wav") == 2


def test_folders_of_one_name_in_two_places_get_advice_that_works(separate: Separate) -> None:
    drums("a/P/drums.wav", 1)
    drums("b/P/drums.wav", 2)
    code, _, err = separate("a/P", "b/P")
    assert code == 2
    assert "separate them one after the other, each with an -o folder of its own" in err
    assert separate("a/P", "-o", "oa")[0] == 0
    assert separate("b/P", "-o", "ob")[0] == 0


def test_an_output_over_an_input_spares_the_others_and_the_input(separate: Separate) -> None:
    before = drums("kick.wav", 1).read_bytes()
    drums("deep/b.wav", 2)
    code, document, _ = separate(
        "kick.wav", "deep/b.wav", "-o", ".", "--filename", "{path}/{stem}.{ext}", "--overwrite",
        "--stems", "kick",
    )  # fmt: skip
    assert code == 1
    assert {r["input"]: r["status"] for r in document["results"]} == {
        "kick.wav": "failed",
        "deep/b.wav": "done",
    }
    assert Path("kick.wav").read_bytes() == before
