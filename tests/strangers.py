# SPDX-License-Identifier: GPL-3.0-or-later
"""Another user beside us, for tests of the library and of the plugin: his folders and sockets."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lars_plugin.bridge.discovery import RuntimeFile

STRANGER = 54321  # a uid that nobody here has
root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can make another's folder"
)


def runtime_folder_of_ours(parent: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A runtime folder that says where an engine is."""
    folder = parent / "run"
    monkeypatch.setenv("LARS_RUNTIME_DIR", str(folder))
    RuntimeFile(pid=1, engine="fake", socket=str(folder / "engine.sock")).write()
    return folder


class Listener:
    """A socket of another user; keeps what is said to it, and counts those who came."""

    def __init__(self, path: Path, uid: int) -> None:
        self.heard, self.peers = b"", 0
        self._sock = socket.socket(socket.AF_UNIX)
        self._sock.bind(os.fspath(path))
        os.seteuid(uid)  # whose socket it is, the kernel notes when it begins to listen
        try:
            self._sock.listen(4)
        finally:
            os.seteuid(0)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while True:
            peer, _ = self._sock.accept()
            self.peers += 1
            peer.settimeout(10)
            with peer:
                while data := peer.recv(4096):
                    if data == b"end":
                        return
                    self.heard += data

    def close(self) -> None:
        """Stop listening."""
        with socket.socket(socket.AF_UNIX) as last:
            last.connect(self._sock.getsockname())
            last.sendall(b"end")
        self._thread.join()
        self._sock.close()


@contextmanager
def listening_in(folder: Path) -> Iterator[Listener]:
    """The stranger's socket in our own folder, so that nothing but who listens is wrong."""
    listener = Listener(folder / "engine.sock", STRANGER)
    try:
        yield listener
    finally:
        listener.close()
