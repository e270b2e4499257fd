# SPDX-License-Identifier: GPL-3.0-or-later
"""One server a folder: the state file, the lock, and handing files to the server that runs."""

from __future__ import annotations

import http.client
import json
import logging
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lars_plugin.batch.lock import try_lock
from lars_plugin.errors import LarsError
from lars_plugin.files import AtomicFiles, printable, write_failure

__all__ = ["Instance", "hand_over", "last_port", "lock_folder"]

log = logging.getLogger(__name__)

_TIMEOUT = 30.0


@dataclass(frozen=True)
class Instance:
    """A server: its process, where it listens, and the secret that controls it."""

    pid: int
    host: str
    port: int
    control: str

    @classmethod
    def new(cls, host: str, port: int) -> Instance:
        """This process."""
        return cls(os.getpid(), host, port, secrets.token_urlsafe(32))

    def write(self, path: Path) -> None:
        """Into the state file, which only its owner may read."""
        data = {"pid": self.pid, "host": self.host, "port": self.port, "control": self.control}
        with AtomicFiles() as files:
            files.create(path, 0o600).write(json.dumps(data).encode())

    def gone(self, path: Path) -> None:
        """The server has stopped; its port is kept, so that open pages find the next one."""
        Instance(0, self.host, self.port, "").write(path)


def _read(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return data if isinstance(data, dict) else {}
    except (OSError, ValueError):
        return {}


def last_port(path: Path) -> int:
    """Of the last server, or 0."""
    port = _read(path).get("port", 0)
    return port if isinstance(port, int) and 0 < port < 65536 else 0


def hand_over(path: Path, files: Sequence[str], settings: dict[str, Any]) -> str | None:
    """Give files to the server of a state file.

    Args:
        path: the state file.
        files: names; folders and patterns are looked into by the server.
        settings: of their jobs.

    Returns:
        A new address for the browser; None: no server answers.

    Raises:
        LarsError: the server does not take them; says why.
    """
    data = _read(path)
    if not data.get("control"):
        return None
    host = data.get("host") or "127.0.0.1"
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    connection = http.client.HTTPConnection(host, int(data["port"]), timeout=_TIMEOUT)
    body = json.dumps({"paths": list(files), "settings": settings})
    try:
        headers = {"Authorization": f"Bearer {data['control']}"}
        connection.request("POST", "/control/open", body, headers)
        response = connection.getresponse()
        answer = json.loads(response.read())
    except (OSError, http.client.HTTPException, ValueError):
        return None  # it did not clean up after itself
    finally:
        connection.close()
    if response.status != 200 or answer.get("error"):
        raise LarsError(str(answer.get("error", "the running studio does not answer")))
    for line in answer.get("left_out", []):
        log.warning("%s; left out", line)
    return str(answer["url"])


def lock_folder(path: Path) -> int | None:
    """A lock that this process holds until it ends; None: another has it.

    Raises:
        AudioFileError: the file cannot be written.
        LarsError: its file system has no locks.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise write_failure(path, error) from error
    try:
        if try_lock(descriptor):
            return descriptor
    except OSError as error:
        os.close(descriptor)
        raise LarsError(
            f"cannot lock {printable(path)}: {error.strerror}; give a --folder on a file system"
            " with locks"
        ) from error
    os.close(descriptor)
    return None
