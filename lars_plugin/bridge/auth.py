# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may connect: tokens in files only their owner can read, and the uid behind a Unix socket."""

from __future__ import annotations

import hmac
import ipaddress
import os
import secrets
import socket
import stat
import struct
import sys
from pathlib import Path

from lars_plugin.bridge import limits
from lars_plugin.errors import AuthError

__all__ = [
    "check_peer",
    "is_loopback",
    "new_token",
    "private_folder",
    "read_token",
    "tokens_match",
    "write_private",
]

_SOL_LOCAL = 0  # macOS
_LOCAL_PEERCRED = 1


def new_token() -> str:
    """256 bits of randomness as 64 hexadecimal digits."""
    return secrets.token_hex(limits.TOKEN_BYTES)


def tokens_match(given: str, wanted: str) -> bool:
    """Compare in constant time; an empty wanted token matches nothing."""
    same = hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode("utf-8"))
    return same and bool(wanted)


def private_folder(folder: Path) -> Path:
    """Create a folder with mode 0700, or check that it is one and ours.

    Raises:
        AuthError: others own it or can look into it, or it is no folder.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    info = folder.lstat()
    if not stat.S_ISDIR(info.st_mode):
        raise AuthError(f"{folder} is not a folder (or a link); remove it")
    if os.name == "posix":
        if info.st_uid != os.geteuid():
            raise AuthError(f"{folder} belongs to another user; set LARS_RUNTIME_DIR to your own")
        if info.st_mode & 0o077:
            raise AuthError(f"{folder} is open to other users; run: chmod 700 {folder}")
    return folder


def write_private(path: Path, data: str) -> None:
    """Write a file of mode 0600 in one go; readers see the old one or the new one."""
    spare = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    descriptor = os.open(spare, flags, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(data)
        os.replace(spare, path)
    except BaseException:
        spare.unlink(missing_ok=True)
        raise


def read_token(path: Path) -> str:
    """The token in a file of mode 0600.

    Raises:
        AuthError: the file is not there, holds no token, or others may read it.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except OSError as error:
        raise AuthError(f"cannot read the token file {path}: {error.strerror}") from error
    with os.fdopen(descriptor, encoding="utf-8") as file:
        info = os.fstat(file.fileno())
        if not stat.S_ISREG(info.st_mode):
            raise AuthError(f"{path} is not a plain file")
        if os.name == "posix" and (info.st_mode & 0o077 or info.st_uid != os.geteuid()):
            raise AuthError(f"{path} is open to other users; run: chmod 600 {path}")
        token = file.read(4 * limits.TOKEN_BYTES).strip()
    if len(token) != 2 * limits.TOKEN_BYTES:
        raise AuthError(f"{path} does not hold a token of {2 * limits.TOKEN_BYTES} digits")
    return token


def peer_uid(connection: socket.socket) -> int:
    """The uid of the process at the other end of a Unix socket.

    Raises:
        AuthError: this system does not tell.
    """
    if hasattr(socket, "SO_PEERCRED"):
        size = struct.calcsize("3i")
        data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
        _, uid, _ = struct.unpack("3i", data)
        return int(uid)
    if sys.platform == "darwin":
        data = connection.getsockopt(_SOL_LOCAL, _LOCAL_PEERCRED, struct.calcsize("2I"))
        _, uid = struct.unpack("2I", data)
        return int(uid)
    raise AuthError("this system does not tell who is at the other end; use TCP with a token")


def check_peer(connection: socket.socket) -> None:
    """Let only the engine's own user through a Unix socket.

    Raises:
        AuthError: another user, or nobody knows who.
    """
    uid = peer_uid(connection)
    if uid != os.geteuid():
        raise AuthError(f"user {uid} may not use this engine; start one of your own")


def is_loopback(host: str) -> bool:
    """Whether an address literal, or ``localhost``, stays on this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
