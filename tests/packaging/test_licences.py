# SPDX-License-Identifier: GPL-3.0-or-later
"""THIRD_PARTY.md names what others wrote and we pass on."""

from __future__ import annotations

import json
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "THIRD_PARTY.md").read_text("utf-8")


def test_every_npm_package_in_the_page_is_named_with_its_licence() -> None:
    found = json.loads((ROOT / "studio/package-lock.json").read_text("utf-8"))["packages"]
    # What is not for development is what the build takes into the page.
    taken = {name.removeprefix("node_modules/"): one for name, one in found.items()
             if name and not one.get("dev")}  # fmt: skip
    assert taken
    for name, one in taken.items():
        (row,) = [line for line in TEXT.splitlines() if line.lower().startswith(f"| {name} ")]
        assert row.endswith(f"| {one['license']} |"), row
        assert f"| {name} {one['version'].split('.')[0]} " in row.lower()


def test_no_font_is_in_the_page() -> None:
    files = [*(ROOT / "studio/src").rglob("*"), ROOT / "studio/index.html"]
    assert files
    assert not [path for path in files if path.suffix in (".ttf", ".otf", ".woff", ".woff2")]
    for path in files:
        if path.suffix in (".css", ".html"):
            text = path.read_text("utf-8")
            assert "@font-face" not in text, path
            assert "https://fonts" not in text, path
