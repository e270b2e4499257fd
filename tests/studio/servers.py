# SPDX-License-Identifier: GPL-3.0-or-later
"""A studio in a process of its own, and a client that speaks to its socket."""

from __future__ import annotations

import contextlib
import functools
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import numpy as np

from lars_plugin.audio import write_audio

RATE = 44100
SECONDS = 60.0  # that a busy machine may take for anything here


def recording(path: Path, seconds: float = 1.0, channels: int = 2, seed: int = 0) -> Path:
    """Noise that comes in strokes."""
    rng = np.random.default_rng(seed)
    count = round(seconds * RATE)
    fall = np.exp(-(np.arange(count) % (RATE // 4)) / 2000)
    wave = rng.standard_normal((channels, count)) * 0.2 * fall
    write_audio(path, wave.astype(np.float32), RATE, bits="16")
    return path


def wait_for(what: Callable[[], Any], seconds: float = SECONDS) -> Any:
    """The first true answer."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := what():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")


class Server:
    """`lars studio` as a child process.

    Args:
        folder: of the studio.
        models: a folder of models, searched before the package's own.
        arguments: more options.
    """

    def __init__(self, folder: Path, models: Path, *arguments: str | Path) -> None:
        self.folder = folder
        environment = {
            **os.environ,
            "LARS_MODELS_PATH": str(models),
            "LARS_CACHE": str(folder.parent / "cache"),
            "LARS_BACKEND": "torch",
            "OMP_NUM_THREADS": "1",
            "PYTHONUNBUFFERED": "1",
        }
        command = [sys.executable, "-m", "lars_plugin", "studio", "--no-browser"]
        command += ["--folder", str(folder), *map(str, arguments)]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
        )
        assert self.process.stdout is not None
        self.said: list[str] = []
        for line in self.process.stdout:
            self.said.append(line)
            if found := re.search(r"open (http\S+)", line):
                self.url = found[1]
                break
        else:
            raise AssertionError("".join(self.said))
        self.address = self.url.split("/start")[0]

    def interrupt(self, times: int = 1) -> int:
        """Ctrl-C, perhaps impatiently; the exit code."""
        for _ in range(times):
            self.process.send_signal(signal.SIGINT)
            time.sleep(0.03)  # or the system makes one of two
        code = self.process.wait(SECONDS)
        assert self.process.stdout is not None
        self.said += self.process.stdout.readlines()
        return code

    def kill(self) -> None:
        """As a power cut."""
        self.process.kill()
        self.process.wait(SECONDS)

    def close(self) -> None:
        """Whatever state it is in."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
        assert self.process.stdout is not None
        self.process.stdout.close()


class Client:
    """What a browser would send, on a real socket.

    Args:
        server: that is spoken to.
        cookie: False: a stranger.
    """

    def __init__(self, server: Server, cookie: bool = True) -> None:
        parts = urlsplit(server.url)
        assert parts.hostname is not None
        assert parts.port is not None
        self.host, self.port, self.address = parts.hostname, parts.port, server.address
        self.cookie = ""
        if cookie:
            status, headers, _ = self.request("GET", f"/start?{parts.query}")
            assert status == 303
            self.cookie = headers["set-cookie"].split(";")[0]

    def request(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers in lower case, body."""
        sent = {"Origin": self.address} if method != "GET" else {}
        if self.cookie:
            sent["Cookie"] = self.cookie
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection(self.host, self.port, timeout=SECONDS)
        try:
            connection.request(method, path, body, {k: v for k, v in sent.items() if v})
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return response.status, found, response.read()
        finally:
            connection.close()

    def get(self, path: str) -> bytes:
        """The body of a good answer."""
        status, _, body = self.request("GET", path)
        assert status == 200, (status, body[:300])
        return body

    def json(self, path: str) -> Any:
        """The same as data."""
        return json.loads(self.get(path))

    def post(self, path: str, data: object = None) -> Any:
        """Data of a good answer to data."""
        status, _, body = self.request("POST", path, json.dumps(data or {}).encode())
        assert status in (200, 201), (status, body)
        return json.loads(body)

    def error(self, method: str, path: str, body: bytes | None = None) -> tuple[int, str]:
        """Status and message of a request that fails."""
        status, _, answer = self.request(method, path, body)
        assert status >= 400, answer[:300]
        message: str = json.loads(answer)["error"]
        assert "\n" not in message
        return status, message

    def upload(self, path: Path, name: str = "", **settings: object) -> dict[str, Any]:
        """The job of a file."""
        query = f"name={quote(name or path.name)}&settings={quote(json.dumps(settings))}"
        status, _, body = self.request("POST", f"/api/upload?{query}", path.read_bytes())
        assert status == 201, body
        job: dict[str, Any] = json.loads(body)
        return job

    @contextlib.contextmanager
    def sending(self, uploads: Path, count: int) -> Iterator[None]:
        """So many uploads that have begun and do not end.

        Args:
            uploads: the server's folder of uploads.
            count: of them.
        """
        head = (
            f"POST /api/upload?name=a.wav HTTP/1.1\r\nHost: {self.host}:{self.port}\r\n"
            f"Origin: {self.address}\r\nCookie: {self.cookie}\r\nContent-Length: 99\r\n\r\n"
        ).encode()
        before = len(list(uploads.glob("*/*")))

        def arrived(wanted: int) -> bool:
            return len(list(uploads.glob("*/*"))) == wanted

        with contextlib.ExitStack() as stack:
            for number in range(1, count + 1):
                place = (self.host, self.port)
                connection = stack.enter_context(socket.create_connection(place, timeout=SECONDS))
                connection.sendall(head)
                wait_for(functools.partial(arrived, before + number))
            yield

    def job(self, job_id: str) -> dict[str, Any] | None:
        """A job as it is now."""
        jobs = self.json("/api/state")["jobs"]
        return next((job for job in jobs if job["id"] == job_id), None)

    def wait(self, job_id: str, status: str = "done", hits: str = "") -> dict[str, Any]:
        """The job when it has come that far."""

        def there() -> dict[str, Any] | None:
            job = self.job(job_id)
            assert job is not None
            if job["status"] == "failed" and status != "failed":
                raise AssertionError(job["error"])
            good = job["status"] == status and (not hits or job["hits"] == hits)
            return job if good else None

        job: dict[str, Any] = wait_for(there)
        return job

    def events(self) -> Generator[tuple[str, Any], None, None]:
        """Kind and data of server-sent events, until the stream is closed."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=SECONDS)
        connection.request("GET", "/api/events", headers={"Cookie": self.cookie})
        response = connection.getresponse()
        assert response.status == 200
        kind = ""
        try:
            while line := response.readline():
                text = line.decode().rstrip("\n")
                if text.startswith("event: "):
                    kind = text[7:]
                elif text.startswith("data: "):
                    yield kind, json.loads(text[6:])
        finally:
            connection.close()
