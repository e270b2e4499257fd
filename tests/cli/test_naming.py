# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lars_plugin.cli.naming import DEFAULT_TEMPLATE, FIELDS, OutputNames, check_plan
from lars_plugin.errors import InputError


def names(template: str = DEFAULT_TEMPLATE, folder: str = "out", model: str = "m") -> OutputNames:
    return OutputNames(Path(folder), template, "wav", model)


def test_all_fields_are_filled_in() -> None:
    template = "-".join(f"{{{field}}}" for field in FIELDS if field != "ext") + ".{ext}"
    assert names(template).path(Path("music/take 1.flac"), "kick") == Path(
        "out/take 1-kick-m-music.wav"
    )
    assert names().path(Path("x.y.mp3"), "snare") == Path("out/x.y/snare.wav")


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{track}.{ext}", "needs {stem}"),
        ("{stem}", r"must end in \.{ext}"),
        ("{stem}.wav", r"must end in \.{ext}"),
        ("{stem!r}.{ext}", "only plain fields"),
        ("{stem:>9}.{ext}", "only plain fields"),
        ("{stem.__class__}.{ext}", "only plain fields"),
        ("{stem[0]}.{ext}", "only plain fields"),
        ("{}{stem}.{ext}", "only plain fields"),
        ("{artist}/{stem}.{ext}", "only plain fields"),
        ("{stem}}.{ext}", "no template"),
        ("{stem", "no template"),
        ("/{stem}.{ext}", "leads out of the output folder"),
        ("../{stem}.{ext}", "leads out of the output folder"),
        ("a/../../{stem}.{ext}", "leads out of the output folder"),
    ],
)
def test_templates_that_cannot_be_used_are_refused(template: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        names(template)


@pytest.mark.parametrize(
    ("source", "stem", "model"),
    [
        ("a.wav", "../kick", "m"),
        ("a.wav", "/etc/kick", "m"),
        ("a.wav", "..", "m"),
        ("a.wav", "", "m"),
        ("a.wav", "a\\kick", "m"),
        ("a.wav", "a\0", "m"),
        ("...wav", "kick", "m"),  # its name without extension is ".."
        ("a.wav", "kick", "../m"),
        ("/a.wav", "kick", "m"),  # lies in a folder without a name
    ],
)
def test_names_that_hold_a_path_are_refused(source: str, stem: str, model: str) -> None:
    with pytest.raises(InputError, match="cannot stand for"):
        names("{model}/{folder}/{track}/{stem}.{ext}", model=model).path(Path(source), stem)


@given(
    track=st.text(min_size=1).filter(lambda text: "/" not in text and "\0" not in text),
    stem=st.text(),
    template=st.sampled_from(
        ["{track}/{stem}.{ext}", "{stem}{track}.{ext}", ".{stem}/.{track}.{ext}", "{stem}/.{ext}"]
    ),
)
def test_no_name_leads_out_of_the_folder(track: str, stem: str, template: str) -> None:
    try:
        path = names(template).path(Path("in", track + ".wav"), stem)
    except InputError:
        return
    inside = os.path.abspath("out")
    assert os.path.commonpath([inside, os.path.abspath(path)]) == inside
    assert len(Path(os.path.abspath(path)).relative_to(inside).parts) == template.count("/") + 1


def test_outputs_that_collide_are_refused_with_advice() -> None:
    a, b = Path("x/song.wav"), Path("y/song.wav")
    plan = {path: [names().path(path, "kick")] for path in (a, b)}
    with pytest.raises(
        InputError, match=r"x/song\.wav and y/song\.wav would both .*out/song/kick\.wav.*{folder}"
    ):
        check_plan([a, b], plan)
    template = "{folder}/{track}/{stem}.{ext}"
    check_plan([a, b], {path: [names(template).path(path, "kick")] for path in (a, b)})


def test_two_ways_to_write_one_name_collide(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    plan = {
        Path("a"): [tmp_path / "real" / "k.wav"],
        Path("b"): [tmp_path / "link" / ".." / "real" / "k.wav"],
    }
    with pytest.raises(InputError, match="would both be written"):
        check_plan(list(plan), plan)


def test_an_output_over_any_input_is_refused() -> None:
    a, b = Path("out/a.wav"), Path("out/a/kick.wav")
    with pytest.raises(InputError, match=r"out/a/kick\.wav would overwrite an input"):
        check_plan([a, b], {a: [Path("out/a/kick.wav")]})
