# SPDX-License-Identifier: GPL-3.0-or-later
"""Downloads from a real server on this machine, with the faults of real networks."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from lars_plugin.errors import (
    CancelledError,
    ModelError,
    ModelIntegrityError,
    ModelNotFoundError,
)
from lars_plugin.model import Chunking, ModelConfig, WeightsFile
from lars_plugin.zoo import download, fetch
from lars_plugin.zoo.claims import part_of
from lars_plugin.zoo.yaml_configs import dump_config

CONTENT = np.random.default_rng(0).bytes(700_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Serves CONTENT; the first part of the path chooses the fault."""

    requests: ClassVar[list[tuple[str, str | None]]]  # of a subclass per server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        return None

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.requests.append((self.path, asked))
        kind = self.path.split("/")[1]
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        body = CONTENT
        if kind == "missing":
            return self.send_error(404)
        if kind == "other":
            body = bytes(reversed(CONTENT))
        if kind == "shorter":
            body = CONTENT[:1000]
        if kind == "moved":
            self.send_response(302)
            self.send_header("Location", "/good/weights.bin")
            return self.end_headers()
        if start >= len(body):
            return self.send_error(416)
        ranges = kind != "norange"
        if asked and ranges:
            self.send_response(206)
            shown = start + 1 if kind == "wrongrange" else start
            self.send_header("Content-Range", f"bytes {shown}-{len(body) - 1}/{len(body)}")
        else:
            start = 0
            self.send_response(200)
        rest = body[start:]
        if kind != "nolength":
            self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest[: len(rest) // 2] if kind in ("breaks", "nolength_breaks") else rest)
        return None


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    handler = type("Fresh", (Handler,), {"requests": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as found:
        thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield found
        found.shutdown()
        thread.join()


class Place:
    """A model whose weights are on the server."""

    def __init__(self, server: ThreadingHTTPServer, folder: Path, cache: Path) -> None:
        self.server = server
        self.folder = folder
        self.target = cache / "remote" / "weights.bin"
        self.part = self.target.with_name("weights.bin.part")

    def publish(self, *kinds: str, sha256: str = SHA256, size: int = 0) -> None:
        base = f"http://127.0.0.1:{self.server.server_address[1]}"
        config = ModelConfig(
            "remote",
            ("kick",),
            Chunking(64),
            architecture="mdx23c",
            weights=WeightsFile(
                "weights.bin",
                "checkpoint",
                sha256,
                size,
                tuple(f"{base}/{kind}/weights.bin" for kind in kinds),
            ),
        )
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "config.yaml").write_text(dump_config(config), encoding="utf-8")

    def begun(self, content: bytes) -> None:
        self.part.parent.mkdir(parents=True, exist_ok=True)
        self.part.write_bytes(content)

    @property
    def requests(self) -> list[tuple[str, str | None]]:
        handler = self.server.RequestHandlerClass
        assert isinstance(handler, type)
        assert issubclass(handler, Handler)
        return [(path.split("/")[1], asked) for path, asked in handler.requests]


@pytest.fixture
def place(
    server: ThreadingHTTPServer, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> Place:
    monkeypatch.setenv("LARS_MODELS_PATH", str(tmp_path / "zoo"))
    return Place(server, tmp_path / "zoo" / "remote", cache)


@pytest.mark.parametrize("kind", ["good", "nolength", "norange", "moved"])
@pytest.mark.parametrize("size", [0, len(CONTENT)])
def test_a_file_arrives_whole_and_under_its_name_only(place: Place, kind: str, size: int) -> None:
    place.publish(kind, size=size)
    assert download("remote") == place.target
    assert place.target.read_bytes() == CONTENT
    assert list(place.target.parent.iterdir()) == [place.target]


def test_a_file_that_is_here_is_not_fetched_again(place: Place) -> None:
    place.publish("good")
    download("remote")
    download("remote")
    assert len(place.requests) == 1


def test_progress_rises_to_the_size_of_the_file(place: Place) -> None:
    place.publish("good")
    seen: list[tuple[int, int]] = []
    download("remote", lambda done, total: seen.append((done, total)))
    assert seen[0] == (0, len(CONTENT))
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert seen == sorted(seen)


def test_an_interrupted_download_is_resumed(place: Place) -> None:
    place.publish("breaks", size=len(CONTENT))
    with pytest.raises(ModelNotFoundError, match="broke off after 350,000 of 700,000"):
        download("remote")
    assert place.part.read_bytes() == CONTENT[:350_000]
    place.publish("good", size=len(CONTENT))
    assert download("remote").read_bytes() == CONTENT
    assert place.requests == [("breaks", None), ("good", "bytes=350000-")]


def test_cancelling_keeps_what_is_here_for_the_next_time(place: Place) -> None:
    place.publish("good")
    with pytest.raises(CancelledError):
        download("remote", lambda done, total: done < 300_000)
    kept = place.part.stat().st_size
    assert 300_000 <= kept < len(CONTENT)
    assert not place.target.exists()
    assert download("remote").read_bytes() == CONTENT
    assert place.requests[-1] == ("good", f"bytes={kept}-")


def test_a_server_without_ranges_sends_everything_again(place: Place) -> None:
    place.publish("norange")
    place.begun(CONTENT[:1000])
    assert download("remote").read_bytes() == CONTENT


@pytest.mark.parametrize("size", [0, len(CONTENT)])
def test_a_beginning_from_elsewhere_is_thrown_away(place: Place, size: int) -> None:
    place.publish("good", size=size)
    place.begun(b"something else")
    assert download("remote").read_bytes() == CONTENT
    assert place.requests == [("good", "bytes=14-"), ("good", None)]


@pytest.mark.parametrize("extra", [b"", b"more than there is"])
@pytest.mark.parametrize("size", [0, len(CONTENT)])
def test_a_beginning_as_long_as_the_file_or_longer_is_made_right(
    place: Place, size: int, extra: bytes
) -> None:
    place.publish("good", size=size)
    place.begun(CONTENT + extra)
    assert download("remote").read_bytes() == CONTENT
    whole = size and not extra
    assert len(place.requests) == (0 if whole else 2)


def test_a_wrong_part_of_the_file_is_refused(place: Place) -> None:
    place.publish("wrongrange", "good")
    place.begun(CONTENT[:1000])
    assert download("remote").read_bytes() == CONTENT
    assert [kind for kind, _ in place.requests] == ["wrongrange", "good"]


def test_a_different_file_is_an_integrity_error_and_leaves_nothing(
    place: Place,
) -> None:
    place.publish("other", size=len(CONTENT))
    with pytest.raises(ModelIntegrityError, match="a different file from the published one"):
        download("remote")
    assert list(place.target.parent.iterdir()) == []


def test_addresses_are_tried_in_their_order(place: Place) -> None:
    place.publish("missing", "other", "shorter", "good", size=len(CONTENT))
    assert download("remote").read_bytes() == CONTENT
    assert [kind for kind, _ in place.requests] == ["missing", "other", "shorter", "good"]


def test_without_a_checksum_the_size_still_counts(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    place.publish("shorter", sha256="", size=len(CONTENT))
    with pytest.raises(ModelNotFoundError, match="1,000 bytes instead of 700,000"):
        download("remote")
    assert not place.target.exists()
    only = "remote: no SHA-256 is published: only the number of bytes is checked"
    assert caplog.messages == [only]
    caplog.clear()
    place.publish("shorter", sha256="")
    assert len(download("remote").read_bytes()) == 1000
    assert caplog.messages == ["remote: no SHA-256 is published: nothing is checked"]


def test_when_no_address_answers_one_line_says_what_to_do(place: Place) -> None:
    place.publish("missing")
    place.server.shutdown()
    place.server.server_close()
    with pytest.raises(ModelNotFoundError) as caught:
        download("remote")
    message = str(caught.value)
    assert "\n" not in message
    assert "no connection" in message
    assert f"put it, as weights.bin, into {place.target.parent}" in message


def test_a_cache_that_cannot_be_written_is_named(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.publish("good")
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("LARS_CACHE", str(tmp_path / "file"))
    with pytest.raises(ModelError, match="cannot write"):
        download("remote")


def test_weights_without_an_address_say_where_to_put_them(place: Place) -> None:
    place.publish()
    with pytest.raises(ModelNotFoundError, match=r"put weights\.bin into"):
        download("remote")
    with pytest.raises(ModelNotFoundError, match=r"put BS-Rofo-SW-Fixed\.ckpt into .*-sw$"):
        download("bs-roformer-sw")


def test_a_server_that_never_ends_is_cut_off(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "_MAX_BYTES", 100_000)
    place.publish("nolength", sha256="")
    with pytest.raises(ModelNotFoundError, match="more than 100,000 bytes"):
        download("remote")
    assert not place.target.exists()


def test_downloads_at_once_do_not_write_into_one_file(place: Place) -> None:
    place.publish("good")
    result: list[object] = []
    others: list[threading.Thread] = []

    def fetch_too() -> None:
        try:
            result.append(download("remote"))
        except ModelError as error:
            result.append(error)

    def progress(done: int, total: int) -> bool:
        # In the middle of one download another begins and ends, as from a second process: locks
        # belong to opened folders, and each download opens its own.
        if done > 200_000 and not others:
            others.append(threading.Thread(target=fetch_too))
            others[0].start()
            others[0].join()
        return True

    assert download("remote", progress) == place.target
    assert result == [place.target]
    assert place.target.read_bytes() == CONTENT
    assert [path.name for path in place.target.parent.iterdir()] == ["weights.bin"]


# Two downloads of one file at once, in a process that will be killed.
DOWNLOADING = """
import sys, time
from pathlib import Path
from lars_plugin.zoo.claims import part_of
target = Path(sys.argv[1])
with part_of(target) as first, part_of(target) as second:
    first.write_bytes(b"first")
    second.write_bytes(b"second")
    print("begun", flush=True)
    time.sleep(100)
"""


@pytest.mark.skipif(os.name != "posix", reason="locks that end with a process")
def test_what_a_killed_download_has_left_is_removed_but_what_can_be_resumed(tmp_path: Path) -> None:
    target = tmp_path / "weights.bin"

    def contents() -> list[bytes]:
        return sorted(path.read_bytes() for path in tmp_path.iterdir())

    with subprocess.Popen(
        [sys.executable, "-c", DOWNLOADING, str(target)], stdout=subprocess.PIPE
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"begun\n"
            with part_of(target) as third:
                third.write_bytes(b"third")
                assert contents() == [b"first", b"second", b"third"]
            assert contents() == [b"first", b"second"]
        finally:
            process.kill()
    with part_of(target) as part:
        assert contents() == [b"first"]
        assert part.read_bytes() == b"first"


def test_a_download_that_gave_the_wrong_file_leaves_nothing(place: Place) -> None:
    place.publish("good", sha256="0" * 64)
    with pytest.raises(ModelIntegrityError):
        download("remote")
    assert list(place.target.parent.iterdir()) == []
