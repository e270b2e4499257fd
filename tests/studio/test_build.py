# SPDX-License-Identifier: GPL-3.0-or-later
"""The page's build: what is missing is told, what fails is an error."""

from __future__ import annotations

import json
import runpy
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.studio.pages import ROOT

SCRIPT = ROOT / "scripts" / "build_studio.py"


@pytest.fixture
def main() -> Callable[[Path], int]:
    found: Callable[[Path], int] = runpy.run_path(str(SCRIPT))["main"]
    return found


def checkout(root: Path, build: str) -> Path:
    """A checkout whose page needs no packages."""
    (root / "studio").mkdir()
    web = root / "lars_plugin" / "studio" / "web"
    web.mkdir(parents=True)
    about = {"name": "page", "version": "0.0.0"}
    (root / "studio" / "package.json").write_text(
        json.dumps({**about, "scripts": {"build": build}})
    )
    lock = {**about, "lockfileVersion": 3, "packages": {"": about}}
    (root / "studio" / "package-lock.json").write_text(json.dumps(lock))
    return web


def program(path: Path, says: str) -> None:
    path.write_text(f"#!/bin/sh\necho {says}\n")
    path.chmod(0o755)


needs_npm = pytest.mark.skipif(
    sys.platform == "win32" or not (shutil.which("node") and shutil.which("npm")),
    reason="no node and npm, or no sh for what they are told to run",
)


@needs_npm
def test_a_build_that_fails_is_an_error(
    main: Callable[[Path], int], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    web = checkout(tmp_path, "echo the reason >&2; exit 3 #")
    assert main(tmp_path) == 1
    assert capfd.readouterr().err.endswith("npm run failed: the reason\n")
    assert list(web.iterdir()) == []


@needs_npm
def test_what_is_built_is_built_again_only_when_a_source_has_changed(
    main: Callable[[Path], int], tmp_path: Path
) -> None:
    web = checkout(tmp_path, "echo . >> ../lars_plugin/studio/web/runs #")
    for runs in (1, 1, 2):
        if runs == 2:
            (tmp_path / "studio" / "page.css").write_text("p {}")
        assert main(tmp_path) == 0
        assert (web / "runs").read_text() == ".\n" * runs


@pytest.mark.parametrize("version", ["", "v12.22.9", "v17.0.0"])
def test_without_a_new_enough_npm_the_rest_is_built_and_a_line_says_so(
    main: Callable[[Path], int],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    version: str,
) -> None:
    checkout(tmp_path, "exit 3 #")
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    if version:
        program(tmp_path / "bin" / "node", version)
        program(tmp_path / "bin" / "npm", "too old")
    assert main(tmp_path) == 0
    said = capfd.readouterr().out
    assert said.startswith("no npm of Node.js 18 or newer: the page of `lars studio` is not built;")
    assert said.count("\n") == 1
