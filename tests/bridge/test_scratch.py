# SPDX-License-Identifier: GPL-3.0-or-later
"""Temporary folders of engines: those of killed processes go, all others stay."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from lars_plugin.bridge.scratch import scratch_folder

HOLD = """
import sys
from lars_plugin.bridge.scratch import scratch_folder
folder = scratch_folder()
print(folder.name, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> subprocess.Popen[str]:
    """A process with a folder of its own, in the temporary folder of this one too."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return subprocess.Popen(
        [sys.executable, "-c", HOLD],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.skipif(os.name != "posix", reason="elsewhere a process's end cannot be told so")
def test_a_killed_processs_folder_goes_when_the_next_is_made(
    holder: subprocess.Popen[str], tmp_path: Path
) -> None:
    with holder:
        assert holder.stdout is not None
        left = Path(holder.stdout.readline().strip())
        (left / "run").mkdir()
        (left / "run" / "engine.sock").touch()
        others = [tmp_path / name for name in ("lars-engine-x", "lars-engine-1-a", "lars-old")]
        for other in others:
            other.mkdir()
        link = tmp_path / "lars-engine-999999999-b"
        link.symlink_to(others[0])
        with scratch_folder() as one:
            assert left.is_dir()  # its process lives
            holder.kill()
            holder.wait()
            (left / "run" / "engine.json").write_text(json.dumps({"pid": os.getpid()}))
            with scratch_folder():
                assert left.is_dir()  # an engine still runs in it
            (left / "run" / "engine.json").write_text("damaged")
            with scratch_folder() as two:
                assert not left.exists()
                assert Path(one).is_dir()
                assert Path(two).is_dir()
        assert all(other.is_dir() for other in others)
        assert link.is_symlink()
