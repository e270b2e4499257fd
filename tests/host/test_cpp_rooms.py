# SPDX-License-Identifier: GPL-3.0-or-later
"""The rooms of the plugin's C++ code include in the one direction that bridge/README.md draws."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

BRIDGE = Path(__file__).parents[2] / "bridge"
SOURCE = BRIDGE / "juce" / "source"
FILES = sorted(path for kind in ("*.h", "*.cpp") for path in SOURCE.rglob(kind))


def rooms() -> list[str]:
    """From the lowest to the highest, as the README's picture names them."""
    picture = re.search(r"^ *(protocol ◀ .+)$", (BRIDGE / "README.md").read_text("utf-8"), re.M)
    assert picture is not None, "bridge/README.md shows no rooms"
    return picture[1].split(" ◀ ")


def included(path: Path) -> list[str]:
    """Our own headers that a file includes, relative to the source folder."""
    return re.findall(r'^\s*#\s*include\s+"([^"]+)"', path.read_text("utf-8"), re.M)


def test_the_picture_of_the_rooms_names_them_all() -> None:
    assert sorted(rooms()) == sorted(path.name for path in SOURCE.iterdir() if path.is_dir())
    assert all(path.parent.parent == SOURCE for path in FILES), "a file belongs to one room"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_a_file_includes_from_its_room_and_from_lower_ones(path: Path) -> None:
    order = {room: place for place, room in enumerate(rooms())}
    for header in included(path):
        assert (SOURCE / header).is_file(), f"{header} is named from the source folder"
        assert order[header.split("/")[0]] <= order[path.parent.name], header


def test_no_header_includes_itself_by_way_of_others() -> None:
    headers = {
        path.relative_to(SOURCE).as_posix(): included(path) for path in FILES if path.suffix == ".h"
    }
    finished: set[str] = set()

    def visit(header: str, way: tuple[str, ...]) -> None:
        assert header not in way, " -> ".join((*way, header))
        if header in finished:
            return
        for other in headers[header]:
            visit(other, (*way, header))
        finished.add(header)

    for header in headers:
        visit(header, ())
