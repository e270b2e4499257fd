# SPDX-License-Identifier: GPL-3.0-or-later
"""What is dropped on the page comes in, or the page says why not."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from tests.studio.pages import Studio, add, choose, new_address, row
from tests.studio.servers import Client, Server, recording


def drop_from_outside(page: Page, *paths: Path) -> None:
    """As a file manager does: Chromium gets paths, folders too, and asks the page what it wants."""
    session = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, "x": 300, "y": 300, "data": data})
    session.detach()


def test_files_and_folders_are_dropped_together(
    chromium: Browser, server: Server, tmp_path: Path
) -> None:
    (tmp_path / "takes" / "more").mkdir(parents=True)
    single = recording(tmp_path / "single.wav", 0.2)
    recording(tmp_path / "takes" / "one.wav", 0.2)
    recording(tmp_path / "takes" / "more" / "two.flac", 0.2)
    (tmp_path / "takes" / "notes.txt").write_text("no recording")
    studio = Studio(chromium, new_address(server))
    choose(studio.page, "tiny")
    drop_from_outside(studio.page, single, tmp_path / "takes")
    for name in ("single.wav", "one.wav", "two.flac"):
        row(studio.page, name).wait_for()
    expect(row(studio.page, "notes.txt")).to_have_count(0)
    expect(studio.page.get_by_role("alert")).to_be_empty()
    studio.close()


def test_an_upload_that_is_refused_at_its_beginning_says_why(
    chromium: Browser, server: Server, client: Client, tmp_path: Path
) -> None:
    (tmp_path / "large.wav").write_bytes(bytes(64 << 20))
    studio = Studio(chromium, new_address(server))
    with client.sending(server.folder / ".studio" / "uploads", 4):
        add(studio.page, tmp_path / "large.wav")
        expect(studio.page.get_by_role("alert")).to_contain_text(
            "large.wav: 4 files are coming in already; wait for one"
        )
    studio.close()
