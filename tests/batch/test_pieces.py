# SPDX-License-Identifier: GPL-3.0-or-later
"""Long recordings in pieces: the same bits, and nothing of the pieces is left."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from lars_plugin.batch.command import LEDGER
from lars_plugin.batch.jobs import Job, Result
from lars_plugin.batch.worker import Worker
from tests.batch.runs import Batch, noise, rows, states, stems_in

Separated = Callable[..., "dict[str, bytes]"]


@pytest.mark.parametrize(
    "more",
    [(), ("--residual", "--rescale"), ("--stems", "kick", "--flac")],
    ids=" ".join,
)
def test_pieces_put_together_are_the_stems_of_one_go_to_the_bit(
    more: tuple[str, ...], inline: Batch, separated: Separated, tmp_path: Path
) -> None:
    noise("in/long.wav", 9.3, seed=1)
    noise("in/mono.flac", 8.2, seed=2, channels=1)
    noise("in/short.wav", 0.4, seed=3)
    run = inline("in", "--piece-minutes", "0.04", *more)
    assert run.code == 0, run.err
    assert "long.wav: split (3 pieces)" in run.out
    assert "mono.flac: split (3 pieces)" in run.out
    assert "short.wav: split" not in run.out
    assert stems_in(tmp_path / "o") == separated("in", *more)
    assert not (tmp_path / "o/.lars-pieces").exists()
    assert rows(tmp_path / "o")["long.wav"]["attempts"] == 1


def test_a_recording_whose_stream_begins_at_its_beginning_only_is_done_in_one_go(
    inline: Batch, tmp_path: Path
) -> None:
    noise("in/long.wav", 6.0)
    run = inline("in", "--piece-minutes", "0.02", "--wiener", "1")
    assert run.code == 0, run.err
    assert "split" not in run.out


def test_pieces_that_are_done_are_not_done_again_and_those_of_other_settings_are(
    inline: Batch, separated: Separated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise("in/long.wav", 9.3, seed=1)
    done: list[int | None] = []
    do = Worker.do

    def interrupted(self: Worker, job: object) -> object:
        piece = job.piece  # type: ignore[attr-defined]
        if piece is not None and piece.number == 2 and len(done) <= 3:
            raise KeyboardInterrupt
        done.append(None if piece is None else piece.number)
        return do(self, job)  # type: ignore[arg-type]

    monkeypatch.setattr(Worker, "do", interrupted)
    assert inline("in", "--piece-minutes", "0.04").code == 130
    assert done == [None, 0, 1]
    done.append(-1)
    assert inline("in", "--piece-minutes", "0.04").code == 0
    assert done == [None, 0, 1, -1, 2, None]
    assert stems_in(tmp_path / "o") == separated("in")

    done.clear()
    assert inline("in", "--piece-minutes", "0.04", "--bits", "16", out="p").code == 130
    done += [-1, -1]
    assert inline("in", "--piece-minutes", "0.04", "--stems", "kick", out="p").code == 0
    assert done[-5:] == [None, 0, 1, 2, None]
    base = sqlite3.connect(tmp_path / "p" / LEDGER)
    assert base.execute("SELECT count(*) FROM pieces").fetchone() == (0,)
    base.close()


def test_an_input_that_ends_early_is_done_all_the_same(
    inline: Batch, separated: Separated, tmp_path: Path
) -> None:
    whole = noise("in/long.flac", 9.0).read_bytes()
    Path("in/long.flac").write_bytes(whole[: len(whole) * 2 // 3])
    run = inline("in", "--piece-minutes", "0.04")
    assert run.code in (0, 1)
    assert stems_in(tmp_path / "o") == separated("in")


def test_one_piece_that_fails_for_good_fails_the_file_once(
    inline: Batch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise("in/long.wav", 9.3, seed=1)
    do = Worker.do

    def truncated(self: Worker, job: Job) -> Result:
        if job.piece is not None and job.piece.number == 1:
            Path("in/long.wav").write_bytes(b"nothing")  # somebody's accident
        return do(self, job)

    monkeypatch.setattr(Worker, "do", truncated)
    run = inline("in", "--piece-minutes", "0.04")
    assert run.code == 1
    assert states(tmp_path / "o") == {"long.wav": "failed"}
    assert run.err.count("error") == 1
    assert not stems_in(tmp_path / "o")
    assert not (tmp_path / "o/.lars-pieces").exists()
