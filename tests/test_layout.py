# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests lie where the code they test lies, and scripts name files that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
ROOT = TESTS.parent
# What is tested as a whole, and data.
OWN = {"benchmarks", "docs", "examples", "faults", "fuzz", "golden", "host", "packaging"}


def test_each_folder_of_tests_is_a_room_of_the_package_or_listed_here() -> None:
    folders = {
        path.relative_to(TESTS).parts
        for path in TESTS.rglob("*")
        if path.is_dir() and any(path.glob("*.py"))
    }
    rooms = {path for path in folders if path[0] not in OWN}
    assert ("bridge", "protocol") in rooms
    for room in rooms:
        assert (ROOT / "lars_plugin" / Path(*room)).is_dir(), f"tests/{'/'.join(room)}"


@pytest.mark.parametrize("script", ["Makefile", "scripts/test_pythons.py", "CONTRIBUTING.md"])
def test_scripts_name_tests_that_exist(script: str) -> None:
    text = (ROOT / script).read_text(encoding="utf-8")
    named = set(re.findall(r"\btests/[\w./-]*\w", text))
    assert named
    for path in named:
        assert (ROOT / path).exists(), path


def test_small_networks_are_described_in_one_file() -> None:
    # Tests of a configuration spell out others, and one changes the bands of a shared network.
    apart = (
        "models.py",
        "test_layout.py",
        "networks/",
        "zoo/",
        "separation/streams/test_causal_views.py",
    )
    shape = re.compile(r"\b(band_widths|num_subbands)['\"]?\s*[=:]")
    for path in sorted(TESTS.rglob("*.py")):
        name = path.relative_to(TESTS).as_posix()
        if not name.startswith(apart):
            assert not shape.search(path.read_text(encoding="utf-8")), (
                f"{name}: use tests/models.py"
            )
