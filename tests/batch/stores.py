# SPDX-License-Identifier: GPL-3.0-or-later
"""Stores that answer over a real network port: S3 as `moto` does it, and files over HTTP. Both can
be told to fail."""

from __future__ import annotations

import importlib.util
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal
from unittest import mock

import pytest

Fault = Literal["busy", "cut", "hold"]

KEYS = {
    "AWS_ACCESS_KEY_ID": "somebody",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_DEFAULT_REGION": "us-east-1",
    # Without its library's own patience, which would hide the fault from us.
    "AWS_MAX_ATTEMPTS": "1",
}


class Troubles:
    """What is wrong with a server at the moment.

    Attributes:
        fault: ``busy``: each request gets 503; ``cut``: the connection ends in the middle of what
            is read; ``hold``: what is written is taken up to its middle, and then nothing happens.
        refused: requests that met a fault.
        seen: all, as method and path.
    """

    def __init__(self) -> None:
        self.fault: Fault | None = None
        self.refused = 0
        self.seen: list[str] = []
        self.held = threading.Event()
        self._over = threading.Event()

    def begin(self, fault: Fault) -> None:
        """From now on requests fail."""
        self._over.clear()
        self.held.clear()
        self.fault = fault

    def end(self) -> None:
        """The server is well again."""
        self.fault = None
        self._over.set()

    def wait(self) -> None:
        """Until it is well again."""
        self._over.wait(600)


class S3:
    """A store: its address for the environment, and what lies in it."""

    def __init__(self, address: str, troubles: Troubles) -> None:
        self.address, self.troubles = address, troubles

    @property
    def files(self) -> Any:
        """fsspec's file system for it, without anything that it remembers."""
        import s3fs

        return s3fs.S3FileSystem(
            key=KEYS["AWS_ACCESS_KEY_ID"], secret=KEYS["AWS_SECRET_ACCESS_KEY"],
            endpoint_url=self.address, use_listings_cache=False, skip_instance_cache=True,
        )  # fmt: skip

    def upload(self, folder: Path, bucket: str) -> None:
        """All files below a folder, into a new bucket."""
        files = self.files
        files.mkdir(bucket)
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                name = path.relative_to(folder).as_posix()
                files.pipe_file(f"{bucket}/{name}", path.read_bytes())

    def stems(self, place: str) -> dict[str, bytes]:
        """Audio and MIDI files below ``bucket/folder``, by their names there."""
        files = self.files
        return {
            name.split(place + "/", 1)[1]: files.cat_file(name)
            for name in files.find(place)
            if name.endswith((".wav", ".flac", ".mid"))
        }


class _Gate:
    """In front of a WSGI application: lets requests through, or not."""

    def __init__(self, inner: Any, troubles: Troubles) -> None:
        self._inner, self._troubles = inner, troubles

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Any:
        troubles = self._troubles
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        troubles.seen.append(f"{method} {path}")
        sound = path.endswith((".wav", ".flac"))
        if troubles.fault == "busy":
            troubles.refused += 1
            text = b"<Error><Code>SlowDown</Code><Message>later, please</Message></Error>"
            start("503 Slow Down", [("Content-Type", "text/xml"),
                                    ("Content-Length", str(len(text)))])  # fmt: skip
            return [text]
        if troubles.fault == "cut" and method == "GET" and sound:
            troubles.refused += 1
            return _halved(self._inner(environ, start))
        if troubles.fault == "hold" and method == "PUT" and sound:
            troubles.refused += 1
            environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]) // 10)
            troubles.held.set()
            troubles.wait()
            raise ConnectionError("the client has gone")
        return self._inner(environ, start)


def _halved(body: Any) -> Iterator[bytes]:
    whole = b"".join(body)
    yield whole[: len(whole) // 2]
    raise ConnectionError("the line is cut")


@contextmanager
def s3() -> Iterator[S3]:
    """A store on a free port. The environment has what clients need, also those in processes that
    are started meanwhile."""
    for package in ("moto", "flask", "s3fs"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"needs {package}, of the extra 'dev'")
    import socket
    import warnings

    import s3fs
    from werkzeug.serving import WSGIRequestHandler, make_server

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

    quiet = type("Quiet", (WSGIRequestHandler,), {"log": lambda *_words: None})
    troubles = Troubles()
    app = _Gate(DomainDispatcherApplication(create_backend_app), troubles)
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=quiet)
    # A stem does not fit into what the system holds between both ends.
    server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
    address = f"http://127.0.0.1:{server.server_port}"
    with mock.patch.dict("os.environ", {**KEYS, "AWS_ENDPOINT_URL": address}), _serving(server):
        # fsspec hands out the client of a store before, whose server has ended.
        s3fs.S3FileSystem.clear_instance_cache()
        yield S3(address, troubles)
        troubles.end()


class _Files(SimpleHTTPRequestHandler):
    """Files of a folder, unless something is wrong."""

    protocol_version = "HTTP/1.1"

    def __init__(self, *args: Any, troubles: Troubles, **more: Any) -> None:
        self._troubles = troubles
        super().__init__(*args, **more)

    def do_GET(self) -> None:
        self._troubles.seen.append(f"GET {self.path}")
        if self._troubles.fault == "busy":
            self._troubles.refused += 1
            self.send_error(503)
        elif self._troubles.fault == "cut":
            self._troubles.refused += 1
            whole = Path(self.translate_path(self.path)).read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(whole)))
            self.end_headers()
            self.wfile.write(whole[: len(whole) // 2])
            self.close_connection = True
        else:
            super().do_GET()

    def log_message(self, *words: Any) -> None: ...


@contextmanager
def http(folder: Path) -> Iterator[tuple[str, Troubles]]:
    """Files of a folder over HTTP: the address, and what is wrong with it."""
    troubles = Troubles()
    handler = partial(_Files, directory=str(folder), troubles=troubles)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    with _serving(server):
        yield f"http://127.0.0.1:{server.server_port}", troubles


@contextmanager
def _serving(server: Any) -> Iterator[None]:
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def meanwhile(work: Callable[[], None]) -> Iterator[None]:
    """Do something beside what is in the block; what goes wrong there is raised at its end."""
    wrong: list[BaseException] = []

    def do() -> None:
        try:
            work()
        except BaseException as error:
            wrong.append(error)

    thread = threading.Thread(target=do)
    thread.start()
    try:
        yield
    finally:
        thread.join()
    if wrong:
        raise wrong[0]


def until(true: Callable[[], bool], seconds: float = 600.0) -> None:
    """Wait for something that must happen."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)
