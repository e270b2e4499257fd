# SPDX-License-Identifier: GPL-3.0-or-later
"""The runtime file: how clients find the engine that is running."""

from __future__ import annotations

import json
import os
import stat
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import platformdirs

from lars_plugin.bridge.auth import open_folder, private_folder, read_private, write_private
from lars_plugin.bridge.protocol import limits
from lars_plugin.errors import BridgeError, ConnectionLostError

__all__ = ["RuntimeFile", "find_engine", "runtime_file", "runtime_folder", "socket_path"]

_NAME = "engine.json"
_MOST = 1 << 14  # bytes that are believed to be a runtime file
_MAX_SOCKET_PATH = 103  # bytes; what macOS and Linux both take


@dataclass(frozen=True)
class RuntimeFile:
    """What ``engine.json`` says.

    Attributes:
        pid: of the engine.
        engine: name and version, for people.
        min_version, max_version: of the protocol.
        socket: path of the Unix socket; empty without one.
        host, port: TCP address; port 0 without one.
        token_file: where the token for TCP is; empty without one.
    """

    pid: int
    engine: str
    min_version: int = limits.VERSION_MIN
    max_version: int = limits.VERSION_MAX
    socket: str = ""
    host: str = ""
    port: int = 0
    token_file: str = ""

    def write(self) -> Path:
        """Write it where clients look, mode 0600, and return the path."""
        path = runtime_file()
        private_folder(path.parent)
        write_private(path, json.dumps(asdict(self), indent=1) + "\n")
        return path


def runtime_folder() -> Path:
    """``$LARS_RUNTIME_DIR``, or ``lars`` in the user's runtime folder; not created here.

    Where the system has no such folder for the user, one with the user's number in ``/tmp``.
    Others can make that one first, so it is used only when it is ours: ``private_folder`` and
    ``find_engine`` look.
    """
    chosen = os.environ.get("LARS_RUNTIME_DIR")
    if chosen:
        return Path(chosen)
    own = os.environ.get("XDG_RUNTIME_DIR")
    if own:
        return Path(own) / "lars"
    if os.name != "posix" or sys.platform == "darwin":
        return platformdirs.user_runtime_path("lars", appauthor=False)
    uid = os.geteuid()
    try:
        info = os.lstat(f"/run/user/{uid}")
    except OSError:
        info = None
    if info is not None and stat.S_ISDIR(info.st_mode) and info.st_uid == uid:
        return Path(f"/run/user/{uid}/lars")
    return Path(f"/tmp/lars-{uid}")


def runtime_file() -> Path:
    """Where the running engine is described."""
    return runtime_folder() / _NAME


def socket_path(folder: Path) -> Path:
    """The Unix socket in a runtime folder.

    Raises:
        BridgeError: the path is longer than sockets allow.
    """
    path = folder / "engine.sock"
    if len(os.fsencode(path)) > _MAX_SOCKET_PATH:
        raise BridgeError(f"{path} is too long for a socket; set LARS_RUNTIME_DIR to a shorter one")
    return path


def find_engine() -> RuntimeFile:
    """The engine that says it is running; whether it answers is another matter.

    Raises:
        ConnectionLostError: there is no runtime file.
        AuthError: it, or its folder, is not this user's alone.
        BridgeError: the file is damaged.
    """
    path = runtime_file()
    try:
        with open_folder(path.parent) as folder:
            data = read_private(path, _MOST + 1, folder)
    except OSError as error:
        raise ConnectionLostError(
            f"no engine is running ({path}: {error.strerror}); start one with: lars serve"
        ) from error
    try:
        if len(data) > _MOST:
            raise ValueError("too long")
        values = json.loads(data)
        found = RuntimeFile(**values)
        for name, default in asdict(RuntimeFile(pid=0, engine="")).items():
            if type(getattr(found, name)) is not type(default):
                raise ValueError(f"{name} has the wrong type")
    except (ValueError, TypeError) as error:
        raise BridgeError(
            f"{path} is damaged ({error}); delete it and restart lars serve"
        ) from error
    return found
