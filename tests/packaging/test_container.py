# SPDX-License-Identifier: GPL-3.0-or-later
"""The container: what it is made of, and what counts as a failure."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.packaging.commands import ROOT, call, posix, stand_in


def test_the_container_is_not_roots_and_takes_any_command() -> None:
    text = (ROOT / "container" / "Dockerfile").read_text("utf-8")
    assert re.findall(r"^USER (.*)$", text, re.MULTILINE) == ["lars"]
    assert text.index("USER lars") < text.index('ENTRYPOINT ["lars"]')
    assert "FROM python:latest" not in text


@pytest.mark.skipif(shutil.which("npm") is None, reason="no npm, which the container has")
def test_what_the_container_gets_is_enough_to_build_the_package_with_its_page(
    tmp_path: Path,
) -> None:
    ignore = (ROOT / "container" / "Dockerfile.dockerignore").read_text("utf-8").splitlines()
    left_out = {line.removeprefix("**/") for line in ignore[1:] if not line.startswith("!")}

    def skipped(folder: str, names: list[str]) -> set[str]:
        place = Path(folder).relative_to(ROOT)
        return {one for one in names if {one, (place / one).as_posix()} & left_out}

    assert ignore[0] == "**"
    for name in (line[1:] for line in ignore if line.startswith("!")):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tmp_path / name, ignore=skipped)
        else:
            shutil.copy(ROOT / name, tmp_path)
    assert not (tmp_path / "lars_plugin" / "studio" / "web").exists()
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel"], cwd=tmp_path, check=True
    )
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "lars_plugin/studio/web/index.html" in names
    assert "lars_plugin/_models/lars-mini/weights.safetensors" in names
    # `lars studio` needs its extra.
    assert "'.[studio]'" in (ROOT / "container" / "Dockerfile").read_text("utf-8")


@posix
def test_a_container_that_is_roots_or_does_not_run_is_a_failure(tmp_path: Path) -> None:
    # scripts/container.sh alone builds it, in the workflows; here docker only says what it got.
    answers = """echo "$@" >> "$LOG"
case "$*" in $FAILS) exit 1;; *" -u") echo ${USER_ID:-1000};; esac"""
    how = stand_in(tmp_path, "docker", answers) | {"LOG": str(tmp_path / "log")}
    command = ("scripts/container.sh", "a-tag")
    done = call(*command, **how)
    assert done.returncode == 0, done.stdout + done.stderr
    asked = (tmp_path / "log").read_text("utf-8")
    assert "build --file container/Dockerfile --tag a-tag ." in asked
    assert "a-tag demo" in asked
    assert "--entrypoint python a-tag -c import starlette, uvicorn" in asked
    assert call(*command, **how, USER_ID="0").returncode == 1
    assert call(*command, **how, FAILS="build*").returncode == 1
    assert call(*command, **how, FAILS="*demo*").returncode == 1
    assert call(*command, **how, FAILS="*starlette*").returncode == 1
    # Where none runs, nothing is built, which is said.
    how |= stand_in(tmp_path, "podman", "exit 1")
    done = call(*command, **how, FAILS="info")
    assert done.returncode == 0
    assert "not built" in done.stdout
