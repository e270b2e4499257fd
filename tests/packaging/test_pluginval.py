# SPDX-License-Identifier: GPL-3.0-or-later
"""pluginval is fetched as it was pinned, or not at all."""

from __future__ import annotations

import hashlib
import os
import runpy
import sys
import zipfile
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "run_pluginval.py"


@pytest.mark.skipif(sys.platform != "linux", reason="the archive in the test is one for Linux")
def test_an_archive_of_pluginval_that_is_not_the_pinned_one_is_not_unpacked(tmp_path: Path) -> None:
    archive = tmp_path / "Linux.zip"
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("pluginval", "#!/bin/sh\n")
    script = runpy.run_path(os.fspath(SCRIPT))
    fetch, names = script["fetch"], script["fetch"].__globals__
    names["ADDRESS"] = f"file://{tmp_path}/{{1}}.zip"
    with pytest.raises(SystemExit, match="not what was pinned"):
        fetch(tmp_path / "tools")
    assert not (tmp_path / "tools").exists()
    names["SUMS"] = {"Linux": hashlib.sha256(archive.read_bytes()).hexdigest()}
    assert os.access(fetch(tmp_path / "tools"), os.X_OK)
