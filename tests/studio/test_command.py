# SPDX-License-Identifier: GPL-3.0-or-later
"""The command: where it listens, and the browser that it opens."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from lars_plugin.cli import main
from tests.studio.servers import Client, Server, wait_for


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system chooses the browser")
def test_the_browser_is_opened_with_the_address_that_is_printed(
    server: Server, tmp_path: Path
) -> None:
    browser, seen = tmp_path / "browser", tmp_path / "seen"
    browser.write_text(f'#!/bin/sh\necho "$1" > "{seen}"\n')
    browser.chmod(0o755)
    environment = {**os.environ, "BROWSER": f"{browser} %s", "DISPLAY": ":99"}
    command = [sys.executable, "-m", "lars_plugin", "studio", "--folder", str(server.folder)]
    done = subprocess.run(command, env=environment, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    wait_for(seen.is_file)
    assert wait_for(seen.read_text).strip() == done.stdout.split("open ")[1].strip()


def test_it_listens_on_the_port_that_it_is_given(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        options = ["--no-browser", "--folder", str(tmp_path / "other"), "--port", str(port)]
        assert main(["studio", *options]) == 1
        assert "choose another --port" in capsys.readouterr().err
    with contextlib.closing(Server(tmp_path / "LARS", models, "--port", str(port))) as server:
        assert server.address == f"http://127.0.0.1:{port}"
        assert Client(server).json("/api/state")["folder"] == str(tmp_path / "LARS")
    assert main(["studio", "--port", "65536"]) == 2
    assert "--port must be 0 to 65535" in capsys.readouterr().err
