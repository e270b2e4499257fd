# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lars_plugin.model import Chunking
from tests.models import config, model_folder
from tests.studio.servers import Client, Server


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
    slow = config(name="slow", chunking=Chunking(16384, 64.0, batch_size=1), license="none")
    model_folder(folder / "slow", slow)
    return folder


@pytest.fixture(scope="session")
def server(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One studio for all tests that need none of their own."""
    server = Server(tmp_path_factory.mktemp("studio") / "LARS", models)
    try:
        yield server
    finally:
        server.close()


@pytest.fixture(scope="session")
def client(server: Server) -> Client:
    """A signed-in client of it."""
    return Client(server)
