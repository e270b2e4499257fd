# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lars_plugin.cli.naming import DEFAULT_TEMPLATE, FIELDS, OutputNames, conflicts
from lars_plugin.errors import InputError


def names(template: str = DEFAULT_TEMPLATE, folder: str = "out", model: str = "m") -> OutputNames:
    return OutputNames(Path(folder), template, "wav", model)


def test_all_fields_are_filled_in() -> None:
    template = "-".join(f"{{{field}}}" for field in FIELDS if field != "ext") + ".{ext}"
    source = Path("all/music/take 1.flac")
    assert names(template).path(source, "kick", Path("all")) == Path(
        "out/take 1-kick-m-music-music-all-flac.wav"
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
        ("{stem}}.{ext}", "not a template"),
        ("{stem", "not a template"),
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


def test_the_path_is_that_below_the_folder_that_was_named_and_may_be_empty() -> None:
    template = "{root}/{path}/{track}.{suffix}/{stem}.{ext}"

    def path(source: str, root: str | None = None) -> str:
        found = names(template).path(Path(source), "kick", root if root is None else Path(root))
        return found.as_posix()

    assert path("all/P1/Audio/a.wav", "all") == "out/all/P1/Audio/a.wav/kick.wav"
    assert path("all/P1/Audio/a.wav", "all/P1") == "out/P1/Audio/a.wav/kick.wav"
    assert path("all/a.b.flac", "./all/") == "out/all/a.b.flac/kick.wav"
    # Named itself: the folders as seen from here, or, if it is elsewhere, from the root.
    assert path("P1/Audio/a") == "out/P1/Audio/a./kick.wav"
    assert path("a.wav") == "out/a.wav/kick.wav"
    assert path("/x/y/a.wav") == "out/x/y/a.wav/kick.wav"
    assert path("P1/.hidden./a.wav") == "out/P1/.hidden./a.wav/kick.wav"


@given(
    parts=st.lists(st.text("ab./\\", min_size=1, max_size=3), min_size=1, max_size=4),
    root=st.sampled_from([None, ".", "a", "/", "a/b"]),
    template=st.sampled_from(["{path}/{stem}.{ext}", "{root}/{path}/{suffix}/{stem}{track}.{ext}"]),
)
def test_no_path_leads_out_of_the_folder(parts: list[str], root: str | None, template: str) -> None:
    try:
        path = names(template).path(Path(*parts), "kick", root if root is None else Path(root))
        record = names(template).record(Path(*parts), root if root is None else Path(root))
    except InputError:
        return
    inside = os.path.abspath("out")
    for made in (path, record):
        assert os.path.commonpath([inside, os.path.abspath(made)]) == inside


def test_a_record_is_the_same_for_all_stems_and_another_for_another_input() -> None:
    long = Path("x/" + "n" * 240 + ".wav")
    sources = [Path("x/a.wav"), Path("y/a.wav"), Path("x/a.flac"), long]
    for template in (
        "{folder}/{track}.{suffix}/{stem}.{ext}",
        "{stem}-{folder}{track}{suffix}.{ext}",
        "{folder}/{stem}/{track}{suffix}.{ext}",
    ):
        records = [names(template).record(source) for source in sources]
        assert len(set(records)) == len(sources)
        assert all(record.name.startswith(".lars-") for record in records)
        assert all(len(record.name) < 200 for record in records)
    assert names().record(Path("a.wav")) == Path("out/a/.lars-stems.wav.json")


def test_outputs_that_collide_are_found_with_whom_and_where() -> None:
    a, b, c = Path("x/song.wav"), Path("y/song.wav"), Path("y/other.wav")
    plan = {path: [names().path(path, "kick")] for path in (a, b, c)}
    output = Path("out/song/kick.wav")
    assert conflicts([a, b, c], plan) == {a: (b, output), b: (a, output)}
    template = "{folder}/{track}/{stem}.{ext}"
    plan = {path: [names(template).path(path, "kick")] for path in (a, b, c)}
    assert conflicts([a, b, c], plan) == {}


def test_two_ways_to_write_one_name_collide(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    plan = {
        Path("a"): [tmp_path / "real" / "k.wav"],
        Path("b"): [tmp_path / "link" / ".." / "real" / "k.wav"],
    }
    assert set(conflicts(list(plan), plan)) == {Path("a"), Path("b")}


def test_two_outputs_of_one_input_collide() -> None:
    a, output = Path("a"), Path("out/k.wav")
    assert conflicts([a], {a: [output, output]}) == {a: (a, output)}


def test_an_output_over_any_input_is_found() -> None:
    a, b = Path("out/a.wav"), Path("out/a/kick.wav")
    assert conflicts([a, b], {a: [b]}) == {a: (None, b)}
