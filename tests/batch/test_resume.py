# SPDX-License-Identifier: GPL-3.0-or-later
"""What a batch does again and what not, and how it fails."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from lars_plugin.batch.command import LEDGER
from lars_plugin.batch.lock import only_run
from tests.batch.runs import Batch, noise, rows, states, stems_in, times

Separated = Callable[..., "dict[str, bytes]"]


def test_what_is_missing_or_changed_is_done_and_nothing_else(inline: Batch, tmp_path: Path) -> None:
    for index in range(4):
        noise(f"in/{index}.wav", seed=index)
    assert inline("in").code == 0
    before = times(tmp_path / "o")
    (tmp_path / "o/0/kick.wav").unlink()
    noise("in/1.wav", 0.7, seed=9)
    os.utime("in/2.wav")  # touched, but the same
    noise("in/new.wav", seed=5)
    run = inline("in")
    assert run.code == 0
    assert "4 to do, 1 done already" in run.err
    assert "2.wav: skipped" in run.out
    after = times(tmp_path / "o")
    changed = {Path(name).parent.name for name in after if after[name] != before.get(name)}
    assert changed == {"0", "1", "new"}


def test_other_settings_replace_the_batchs_own_outputs_but_nobody_elses(
    inline: Batch, separated: Separated, tmp_path: Path
) -> None:
    noise("in/a.wav")
    noise("in/b.wav", seed=1)
    assert inline("in", "--bits", "16").code == 0
    shutil.copy("in/a.wav", "o/b/kick.wav")  # somebody's own
    run = inline("in", "--bits", "24")
    assert run.code == 1
    assert "b/kick.wav is there already" in run.err
    assert states(tmp_path / "o") == {"a.wav": "done", "b.wav": "failed"}
    expected = separated("in", "--bits", "24")
    assert {name: data for name, data in stems_in(tmp_path / "o").items() if name[0] == "a"} == {
        name: data for name, data in expected.items() if name[0] == "a"
    }
    assert inline("in", "--bits", "24", "--overwrite", "--retry-failed").code == 0
    assert stems_in(tmp_path / "o") == expected


def test_stems_that_separate_made_are_taken_as_done(inline: Batch, separated: Separated) -> None:
    noise("in/a.wav")
    separated("in")
    run = inline("in", out="separated-to-compare")
    assert run.code == 0
    assert "a.wav: skipped" in run.out


def test_two_runs_on_one_ledger_refuse_each_other(inline: Batch, tmp_path: Path) -> None:
    noise("in/a.wav")
    with only_run(tmp_path / "o" / LEDGER):
        run = inline("in")
    assert run.code == 2
    assert f"another run is at work on o/{LEDGER}" in run.err
    assert f"process {os.getpid()}" in run.err
    assert inline("in").code == 0


def test_a_full_disk_ends_no_run_and_is_tried_again(inline: Batch, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can make a small disk")
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", place], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no small disk here: {mounted.stderr.decode()}")
    try:
        noise("in/a.wav", 0.3)
        noise("in/big.wav", 20.0)
        run = inline("in", "--attempts", "1", "--ledger", "l.sqlite", out=str(place))
        assert run.code == 1
        assert "the disk is full" in run.err
        found = rows(tmp_path / "l.sqlite")
        assert found["a.wav"]["state"] == "done"
        assert found["big.wav"]["kind"] == "disk"
        assert not list(place.glob("**/*.part"))
        subprocess.run(["mount", "-o", "remount,size=60m", place], check=True)
        assert inline("in", "--ledger", "l.sqlite", out=str(place)).code == 0
    finally:
        subprocess.run(["umount", "-l", place], check=False)


def test_a_job_that_wants_more_memory_than_there_is_fails_alone(
    inline: Batch, tmp_path: Path
) -> None:
    noise("in/a.wav", 0.3)
    noise("in/b.wav", 0.3)
    Path("in/list.csv").write_text(f"path,batch_size\na.wav,{10**9}\nb.wav,\n")
    run = inline("in/list.csv", "--attempts", "1")
    assert run.code == 1
    found = rows(tmp_path / "o")
    assert found["a.wav"]["kind"] == "memory", found["a.wav"]["error"]
    assert found["b.wav"]["state"] == "done"


def test_a_model_that_is_missing_or_wrong_stems_end_the_run_before_it_begins(
    inline: Batch, tmp_path: Path
) -> None:
    noise("in/a.wav")
    run = inline("in", "-m", "no-such-model")
    assert run.code != 0
    assert "no-such-model" in run.err
    run = inline("in", "--stems", "trumpet")
    assert run.code == 2
    assert "unknown stem 'trumpet'" in run.err
    assert not stems_in(tmp_path / "o")
