# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from lars_plugin.model import Chunking
from tests.models import config, model_folder
from tests.studio.pages import Studio, browser, choose, drop, need_page, new_address, ready
from tests.studio.servers import SECONDS, Client, Server, recording

expect.set_options(timeout=SECONDS * 1000)


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two models: one tiny, and one whose chunks are so many that it takes long."""
    folder = tmp_path_factory.mktemp("models")
    described = config(
        name="tiny",
        chunking=Chunking(16384, 2.0, batch_size=2),
        presets={"fast": 1.25},
        description="Random weights",
        license="none",
    )
    model_folder(folder / "tiny", described)
    slow = config(name="slow", chunking=Chunking(16384, 256.0, batch_size=1), license="none")
    model_folder(folder / "slow", slow)
    return folder


@pytest.fixture(scope="module")
def server(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One studio for all tests of a file that need none of their own: a page opens with the
    newest job that it finds."""
    with contextlib.closing(Server(tmp_path_factory.mktemp("studio") / "LARS", models)) as server:
        yield server


@pytest.fixture(scope="module")
def client(server: Server) -> Client:
    """A signed-in client of it."""
    return Client(server)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    need_page()
    with browser() as found:
        yield found


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recording(tmp_path_factory.mktemp("songs") / "page.wav", 3.0)


@pytest.fixture(scope="module")
def studio(chromium: Browser, server: Server, song: Path) -> Iterator[Studio]:
    """A page on which a recording was dropped, which is done."""
    studio = Studio(chromium, new_address(server))
    choose(studio.page, "tiny")
    drop(studio.page, song)
    ready(studio.page, "page.wav", hits=True)
    yield studio
    studio.close()


@pytest.fixture
def page(studio: Studio) -> Iterator[Page]:
    """The page as a new one: nothing plays, all faders where they begin."""
    yield studio.page
    studio.page.evaluate("""() => {
        const engine = window.larsStudio;
        if (engine.playing) engine.pause();
        engine.setLoop(null);
        engine.setOriginal(false);
        for (const stem of engine.job.stems)
            engine.change(stem, { gain: 0, pan: 0, mute: false, solo: false });
        engine.seek(0);
    }""")
