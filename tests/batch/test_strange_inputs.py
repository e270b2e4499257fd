# SPDX-License-Identifier: GPL-3.0-or-later
"""Names, manifests, places and ledgers that are not as they should be."""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from lars_plugin.batch.command import LEDGER
from lars_plugin.batch.jobs import Result
from lars_plugin.batch.ledger import Item, Ledger
from lars_plugin.cli import main
from tests.batch.runs import Batch, noise, states, stems_in


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_name_that_is_not_utf_8_is_told_and_the_others_are_done(
    inline: Batch, tmp_path: Path
) -> None:
    noise("in/a.wav", 0.1)
    os.rename("in/a.wav", b"in/\xff\xfe.wav")
    for name in ("new\nline", "q'uo\"te", "ünï 鼓", "-dash", "{stem}", "a%20b#c?"):
        noise(f"in/{name}.wav", 0.1)
    run = inline("in")
    assert run.code == 1
    assert "is not in UTF-8; rename the file or its folder" in run.err
    assert "internal error" not in run.err
    assert len(states(tmp_path / "o")) == 6
    assert {*states(tmp_path / "o").values()} == {"done"}
    assert len(stems_in(tmp_path / "o")) == 6 * 6
    assert "0 to do, 6 done already" in inline("in").err


@pytest.mark.parametrize(
    ("inputs", "out"),
    [
        (("in",), "in"),
        (("in/below",), "in"),
        (("in/below", "other"), "in"),
        (("in/*.wav",), "in"),
        (("in/a.wav", "in/b.wav"), "in"),
        (("in",), "."),
        (("in",), "link"),
    ],
)
def test_outputs_over_the_inputs_are_refused_in_one_line_before_the_run(
    inputs: tuple[str, ...], out: str, inline: Batch, tmp_path: Path
) -> None:
    for name in ("in/a", "in/b", "in/below/c", "other/d"):
        noise(f"{name}.wav", 0.1)
    Path("link").symlink_to("in")
    before = sorted(tmp_path.rglob("*"))
    run = inline(*inputs, out=out)
    assert run.code == 2
    assert len(run.err.splitlines()) == 1
    assert f"lars: error: {inputs[0]} lies in the output folder" in run.err
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["in", "in/**/*.wav"])
def test_outputs_below_the_inputs_are_no_inputs_of_the_next_run(name: str, inline: Batch) -> None:
    noise("in/a.wav", 0.1)
    noise("in/b/c.wav", 0.1)
    assert inline(name, out="in/stems").code == 0
    run = inline(name, out="in/stems")
    assert run.code == 0
    assert "0 to do, 2 done already" in run.err


def test_one_file_in_the_output_folder_does_not_stop_the_others(
    inline: Batch, tmp_path: Path
) -> None:
    noise("in/a.wav", 0.1)
    noise("o/b.wav", 0.1)
    run = inline("in", "o/b.wav")
    assert run.code == 1
    assert "b.wav lies in the output folder" in run.err
    assert states(tmp_path / "o") == {"a.wav": "done"}


@pytest.mark.parametrize(
    ("name", "data", "code", "said"),
    [
        ("l.csv", b"path,path\na.wav,b.wav\n", 2, "l.csv, line 1: two columns are called 'path'"),
        ("l.csv", b'path\n"a.wav\n', 2, "l.csv, line 1: "),
        ("l.csv", b"path\na\0.wav\n", 2, "l.csv, line 2: the path holds a zero byte"),
        ("l.csv", "path\n".encode("utf-16"), 2, "l.csv is not text in UTF-8"),
        ("l.csv", b"", 1, "l.csv lists no recordings"),
        ("l.csv", b"path\n", 1, "l.csv lists no recordings"),
        ("l.jsonl", b"\n", 1, "l.jsonl lists no recordings"),
        ("l.jsonl", b'{"path": "in/\\udcff.wav"}\n', 1, "is not in UTF-8; rename the file"),
        ("l.csv", b"path,model\na.wav,no-such\n", 1, "l.csv, line 2: no model 'no-such'"),
        ("l.csv", b"path,filename\na.wav,../x\n", 2, "l.csv, line 2: --filename '../x'"),
        ("l.csv", b"path\nnosuch://a/b.wav\n", 2, "l.csv, line 2: fsspec does not know nosuch:"),
    ],
)
def test_a_manifest_that_is_wrong_is_told_with_its_line(
    name: str, data: bytes, code: int, said: str, inline: Batch, tmp_path: Path
) -> None:
    noise("a.wav", 0.1)
    Path(name).write_bytes(data)
    run = inline(name, "-q")
    assert run.code == code
    assert said in run.err
    assert "internal error" not in run.err
    assert not stems_in(tmp_path / "o")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("l.csv", "Path,Bits\r\nin/a.wav,16\r\n\r\nin/b.wav,\r\n"),
        ("l.jsonl", '{"path": "in/a.wav", "bits": 16}\r\n\r\n{"path": "in/b.wav"}\r\n'),
    ],
)
def test_a_manifest_of_another_system_is_read(
    name: str, text: str, inline: Batch, tmp_path: Path
) -> None:
    noise("in/a.wav", 0.1)
    noise("in/b.wav", 0.1)
    Path(name).write_bytes(text.encode("utf-8-sig"))
    assert inline(name).code == 0
    assert states(tmp_path / "o") == {"a.wav": "done", "b.wav": "done"}


@pytest.fixture
def memory() -> Iterator[None]:
    store = fsspec.filesystem("memory").store
    store.clear()
    yield
    store.clear()


@pytest.mark.usefixtures("memory")
def test_a_ledger_of_other_remote_outputs_is_not_believed(inline: Batch) -> None:
    noise("in/a.wav", 0.1)
    assert inline("in", out="memory://one/stems").code == 0
    run = inline("in", out="memory://two/stems")
    assert run.code == 2
    assert "is of outputs in memory://one/stems; give another --ledger" in run.err
    assert inline("in", "--ledger", "two.sqlite", out="memory://two/stems").code == 0
    assert fsspec.filesystem("memory").exists("/two/stems/a/kick.wav")
    assert inline("in", "--ledger", "two.sqlite").code == 2


def test_a_worker_without_a_temporary_folder_says_so_of_its_file(
    inline: Batch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise("in/a.wav", 0.1)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    run = inline("in")
    assert run.code == 1
    assert "No such file or directory" in run.err
    assert states(tmp_path / "o") == {"a.wav": "failed"}


@pytest.mark.parametrize("option", ["--piece-minutes", "--cpus-per-worker", "--memory-per-worker"])
@pytest.mark.parametrize("value", ["-1", "nan", "inf", "x"])
def test_amounts_are_0_or_more(option: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["batch", "in", f"{option}={value}"]) == 2
    assert f"argument {option}: " in capsys.readouterr().err


def test_outputs_in_a_place_that_needs_a_package_are_refused_before_the_run(
    inline: Batch, tmp_path: Path
) -> None:
    noise("in/a.wav", 0.1)
    run = inline("in", out="nosuch://a/b")
    assert run.code == 2
    assert "fsspec does not know nosuch://" in run.err
    assert not list(tmp_path.glob(f"*{LEDGER}"))


def test_files_that_were_in_each_others_way_are_done_when_they_are_not_any_more(
    inline: Batch, tmp_path: Path
) -> None:
    noise("a/x.wav", 0.1)
    noise("b/x.wav", 0.1, seed=1)
    run = inline("a", "b")
    assert run.code == 1
    assert run.err.count("would both be written") == 2
    assert not stems_in(tmp_path / "o")
    assert inline("a").code == 0
    # Somebody's file in the way, too.
    noise("in/y.wav", 0.1)
    noise("o/y/kick.wav", 0.1)
    assert inline("in").code == 1
    Path("o/y/kick.wav").unlink()
    assert inline("in").code == 0


def test_a_ledger_of_a_newer_version_or_none_yet_is_told(inline: Batch, tmp_path: Path) -> None:
    noise("in/a.wav", 0.1)
    path = tmp_path / "o" / LEDGER
    path.parent.mkdir()
    path.touch()
    assert main(["batch", "--status", "o"]) == 0
    base = sqlite3.connect(path)
    base.execute("PRAGMA user_version = 99")
    base.close()
    assert "not a ledger of this version" in inline("in").err
    assert main(["batch", "--status", "o"]) == 2


def test_rows_are_found_in_whatever_order_inputs_come(tmp_path: Path) -> None:
    def item(name: str, size: int = 1) -> Item:
        return Item(f"/in/{name}", "/in", "{}", size, "1", "d")

    def waiting(*items: Item) -> str:
        with Ledger(tmp_path / LEDGER) as ledger:
            ledger.begin_run("local")
            ledger.register(items)
            jobs = ledger.next_jobs(100)
            for job in jobs:
                ledger.begun(job, "w")
                ledger.done(Result(job.key, "done"))
            assert sum(ledger.counts().values()) == len({one.location for one in items})
            return "".join(sorted(job.location[-1] for job in jobs))

    abcd = [item(name) for name in "abcd"]
    assert waiting(*abcd) == "abcd"
    assert waiting(*abcd[::-1]) == ""
    assert waiting(abcd[2], item("e"), abcd[0], abcd[0], item("b", 5)) == "be"
    assert waiting(*abcd) == "b"
    assert waiting(abcd[3], abcd[1], item("e")) == ""
    # Of two rows for one file the last counts, always.
    assert waiting(item("a", 7), item("a", 8)) == "a"
    assert waiting(item("a", 7), item("a", 8)) == ""
