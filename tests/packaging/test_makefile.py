# SPDX-License-Identifier: GPL-3.0-or-later
"""What the Makefile installs, and for whom."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="no make")

PRODUCT = "openvino,studio,formats,evaluation"


def installed_by(goal: str, folder: Path) -> list[str]:
    """The extras that a goal installs into an empty environment, in their order."""
    done = subprocess.run(
        ["make", "-n", f"VENV={folder / 'venv'}", f"VST3_DIR={folder}", goal],
        cwd=ROOT, capture_output=True, text=True, encoding="utf-8", check=True,
    )  # fmt: skip
    return re.findall(r'--editable "\.\[([\w,]+)\]"', done.stdout)


@pytest.mark.parametrize("goal", ["demo", "studio", "plugin"])
def test_who_uses_the_product_installs_nothing_that_only_tests_need(
    goal: str, tmp_path: Path
) -> None:
    assert installed_by(goal, tmp_path) == [PRODUCT]


@pytest.mark.parametrize("goal", ["test", "check", "lint", "docs", "release-check", "test-plugin"])
def test_who_works_on_it_has_both(goal: str, tmp_path: Path) -> None:
    assert installed_by(goal, tmp_path) == [PRODUCT, "dev"]
