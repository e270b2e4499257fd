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
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lars_plugin.bridge.protocol import limits
from lars_plugin.errors import AuthError, BridgeError
from lars_plugin.files import replacing

__all__ = [
    "check_engine",
    "check_peer",
    "has_local_sockets",
    "is_loopback",
    "new_token",
    "open_folder",
    "private_folder",
    "read_private",
    "read_token",
    "tokens_match",
    "write_private",
]

_SOL_LOCAL = 0  # macOS
_LOCAL_PEERCRED = 1


def has_local_sockets() -> bool:
    """Whether Unix sockets are here and tell who the peer is; elsewhere there is TCP alone."""
    return hasattr(socket, "AF_UNIX") and hasattr(os, "geteuid")


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
        AuthError: others own it or can look into it, or it is not a folder.
        BridgeError: it cannot be made.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except FileExistsError:
        pass  # a file, or a link to nowhere: said below
    except OSError as error:
        raise BridgeError(
            f"cannot make the folder {folder}: {error.strerror}; set LARS_RUNTIME_DIR to another"
        ) from error
    _check_folder(folder, folder.lstat())
    return folder


def _check_folder(folder: Path, info: os.stat_result) -> None:
    if not stat.S_ISDIR(info.st_mode):
        raise AuthError(f"{folder} is not a folder (or a link); remove it")
    if os.name == "posix":
        if info.st_uid != os.geteuid():
            raise AuthError(f"{folder} belongs to another user; set LARS_RUNTIME_DIR to your own")
        if info.st_mode & 0o077:
            raise AuthError(f"{folder} is open to other users; run: chmod 700 {folder}")


@contextmanager
def open_folder(folder: Path) -> Iterator[int | None]:
    """A folder that is there and is nobody else's, for ``read_private``; it cannot be exchanged.

    Yields:
        Its descriptor; None where the system has none for folders (Windows).

    Raises:
        OSError: it is not there.
        AuthError: others own it or can look into it, or it is a link or not a folder.
    """
    _check_folder(folder, folder.lstat())
    if os.name != "posix":
        yield None
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        _check_folder(folder, os.fstat(descriptor))  # what was opened, not what was there before
        yield descriptor
    finally:
        os.close(descriptor)


def read_private(path: Path, most: int, folder: int | None = None) -> bytes:
    """At most so many bytes of a plain file of ours that others can neither read nor write.

    Args:
        path: of the file.
        most: bytes.
        folder: descriptor of the folder that it must be in, from ``open_folder``.

    Raises:
        OSError: it cannot be opened; links are not followed.
        AuthError: it is another user's, open to others, or not a plain file.
    """
    # A pipe in the file's place must not make us wait for a writer.
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    flags |= getattr(os, "O_BINARY", 0)  # else Windows would translate the ends of lines
    if folder is None:
        descriptor = os.open(path, flags)
    else:
        descriptor = os.open(path.name, flags, dir_fd=folder)
    with os.fdopen(descriptor, "rb") as file:
        info = os.fstat(file.fileno())
        if not stat.S_ISREG(info.st_mode):
            raise AuthError(f"{path} is not a plain file")
        if os.name == "posix":
            if info.st_uid != os.geteuid():
                raise AuthError(f"{path} belongs to another user; set LARS_RUNTIME_DIR to your own")
            if info.st_mode & 0o077:
                raise AuthError(f"{path} is open to other users; run: chmod 600 {path}")
        return file.read(most)


def write_private(path: Path, data: str) -> None:
    """Write a file of mode 0600 in one go; readers see the old one or the new one.

    Args:
        path: in a folder that is there: only ``private_folder`` makes one that is private.
        data: the content.

    Raises:
        BridgeError: it cannot be written.
    """
    if not path.parent.is_dir():
        raise BridgeError(f"cannot write {path}: there is no folder {path.parent}; make it first")
    with replacing(path, error=BridgeError, mode=0o600) as temporary:
        temporary.write_text(data, encoding="utf-8")


def read_token(path: Path) -> str:
    """The token in a file of mode 0600.

    Raises:
        AuthError: the file is missing, does not hold a token, or others may read it.
    """
    try:
        token = read_private(path, 4 * limits.TOKEN_BYTES).decode("ascii", "replace").strip()
    except OSError as error:
        raise AuthError(f"cannot read the token file {path}: {error.strerror}") from error
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


def check_engine(connection: socket.socket, where: str) -> None:
    """Talk to nobody but an engine of one's own through a Unix socket.

    An engine lets only its own user in, so one of another user is never the right one.

    Raises:
        AuthError: another user listens there, or nobody knows who.
    """
    uid = peer_uid(connection)
    if uid != os.geteuid():
        raise AuthError(
            f"the engine at {where} is that of user {uid}; set LARS_RUNTIME_DIR to your own folder"
        )


def is_loopback(host: str) -> bool:
    """Whether an address literal, or ``localhost``, stays on this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
