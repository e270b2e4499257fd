# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian's Chromium with a page of the studio in it."""

from __future__ import annotations

import base64
import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from playwright.sync_api import Browser, Page, sync_playwright

from lars_plugin.studio.app import WEB
from tests.studio.servers import SECONDS, Server, wait_for

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
TIMEOUT = SECONDS * 1000


def need_page() -> None:
    """Skip where there is no browser, or no page."""
    if CHROMIUM is None:
        pytest.skip("no chromium: apt-get install chromium")
    if not (WEB / "index.html").is_file():
        pytest.skip("the page is not built: npm, then python scripts/build_studio.py")


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """Chromium that may play without being clicked first."""
    arguments = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        try:
            yield found
        finally:
            found.close()


class Studio:
    """A page, and what it complained about.

    Args:
        browser: where it is opened, in a context of its own.
        address: with a token, or of a context's second page.
        options: of the context.
    """

    def __init__(self, browser: Browser, address: str, **options: Any) -> None:
        settings: dict[str, Any] = {"viewport": {"width": 1400, "height": 900}, **options}
        self.context = browser.new_context(**settings)
        self.context.set_default_timeout(TIMEOUT)
        self.complaints: list[str] = []
        self.foreign: list[str] = []
        self.server = address.split("/start")[0]
        self.page = self.open(address)

    def open(self, address: str) -> Page:
        """One more page with the same cookies."""
        page = self.context.new_page()
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda message: self._listen(message.type, message.text))
        page.on("request", lambda request: self._look(request.url))
        page.goto(address)
        page.get_by_role("button", name="Choose files").wait_for()
        return page

    def _listen(self, kind: str, text: str) -> None:
        if kind == "error" and "ERR_CONNECTION" not in text and "Failed to load" not in text:
            self.complaints.append(text)

    def _look(self, url: str) -> None:
        if not url.startswith((self.server, "blob:", "data:")):
            self.foreign.append(url)

    def close(self) -> None:
        """And whether all went well."""
        self.context.close()
        assert self.complaints == []
        assert self.foreign == []


def choose(page: Page, model: str) -> None:
    """A model in the menu."""
    page.get_by_role("combobox", name="Model").select_option(model)


def drop(page: Page, path: Path) -> None:
    """Drop a file on the page, as a file manager does."""
    transfer = page.evaluate_handle(
        """([name, text]) => {
            const bytes = Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
            const transfer = new DataTransfer();
            transfer.items.add(new File([bytes], name));
            return transfer;
        }""",
        [path.name, base64.b64encode(path.read_bytes()).decode()],
    )
    for kind in ("dragover", "drop"):
        page.dispatch_event(".page", kind, {"dataTransfer": transfer})


def add(page: Page, *paths: Path) -> None:
    """Choose files."""
    page.get_by_test_id("files").set_input_files([str(path) for path in paths])


def row(page: Page, name: str) -> Any:
    """The row of a recording in the list; not that of its upload, which may still be there."""
    return page.locator(".queue li[data-status]").filter(has_text=name)


def until(page: Page, expression: str) -> None:
    """Wait for something in the page. Playwright's own way is `eval`, which the page forbids."""
    wait_for(lambda: page.evaluate(expression))


def ready(page: Page, name: str, hits: bool = False) -> None:
    """Wait until a recording can be played."""
    row(page, name).and_(page.locator("[data-status=done]")).wait_for()
    page.get_by_role("group", name="Kick", exact=True).wait_for()
    if hits:
        row(page, name).get_by_text("Ready, took").wait_for()


def new_address(server: Server) -> str:
    """Another address with a token, as a second `lars studio` gets it."""
    from lars_plugin.studio.instance import hand_over

    url = hand_over(server.folder / ".studio" / "server.json", [], {})
    assert url is not None
    return url


def stems(server: Server, page: Page) -> dict[str, NDArray[np.float64]]:
    """The stems of the recording that the page shows."""
    folder = page.evaluate("window.larsStudio.job.folder")
    names = page.evaluate("window.larsStudio.job.stems")
    paths = {name: server.folder / folder / f"{name}.wav" for name in names}
    return {name: soundfile.read(path)[0].T for name, path in paths.items()}


def render(page: Page, start: int, length: int) -> NDArray[np.float64]:
    """What the page would play of some frames."""
    waves = page.evaluate(
        """async ([start, length]) =>
            (await window.larsStudio.render(start, length)).map((wave) => Array.from(wave))""",
        [start, length],
    )
    return np.array(waves)
