# SPDX-License-Identifier: GPL-3.0-or-later
"""Only the owner's browser gets in, and nothing outside of the folder comes out."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import stat
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from lars_plugin.cli import main
from lars_plugin.studio.app import make_app
from lars_plugin.studio.names import safe_name
from lars_plugin.studio.security import Guard, Sessions
from lars_plugin.studio.studio import Studio
from tests.studio.servers import Client, Server, recording, wait_for

PATHS = ("/", "/api/state", "/api/events", "/assets/index.js", "/api/jobs/0/samples", "/nothing")


@pytest.mark.parametrize("path", PATHS)
def test_no_path_answers_without_the_cookie(server: Server, path: str) -> None:
    stranger = Client(server, cookie=False)
    assert stranger.request("GET", path)[0] == 401
    stranger.cookie = f"lars_studio_{stranger.port}=guessed"
    assert stranger.request("GET", path)[0] == 401


def test_a_token_works_once(server: Server, client: Client) -> None:
    stranger = Client(server, cookie=False)
    assert server.url.startswith(server.address)
    status, headers, body = stranger.request("GET", server.url.removeprefix(server.address))
    assert status == 401
    assert "set-cookie" not in headers
    assert b"run `lars studio` once more" in body
    assert stranger.request("GET", "/start?token=wrong")[0] == 401


def test_the_cookie_is_for_this_site_only_and_not_for_scripts(server: Server) -> None:
    client = Client(server, cookie=False)
    state = json.loads((server.folder / ".studio" / "server.json").read_text())
    headers = {"Authorization": f"Bearer {state['control']}"}
    status, _, body = client.request("POST", "/control/open", b"{}", **headers)
    assert status == 200
    url = json.loads(body)["url"]
    _, found, _ = client.request("GET", url.removeprefix(server.address))
    assert "HttpOnly" in found["set-cookie"]
    assert "samesite=strict" in found["set-cookie"].lower()


def test_the_files_that_hold_secrets_are_their_owners(server: Server, client: Client) -> None:
    for name in ("server.json", "sessions.json"):
        mode = (server.folder / ".studio" / name).stat().st_mode
        assert stat.S_IMODE(mode) == 0o600, name
    cookie = client.cookie.split("=")[1]
    assert cookie not in (server.folder / ".studio" / "sessions.json").read_text()


@pytest.mark.parametrize("secret", ["", "Bearer ", "Bearer wrong"])
def test_files_are_handed_over_with_the_secret_only(client: Client, secret: str) -> None:
    status, _, _ = client.request("POST", "/control/open", b"{}", Authorization=secret)
    assert status == 401


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1:1", ""])
def test_another_host_name_is_refused(client: Client, host: str) -> None:
    # A site that has its own name point to this machine, with the browser's cookies or without.
    status, _, body = client.request("GET", "/", Host=host.format(port=client.port) or " ")
    assert status in (400, 421), body


def test_localhost_is_this_machine_too(client: Client) -> None:
    assert client.request("GET", "/api/state", Host=f"localhost:{client.port}")[0] == 200


async def ask(app: Guard, headers: list[tuple[bytes, bytes]], sent: list[Message]) -> None:
    """Ask an application without a server for its state; `sent` gets what it answers."""

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request"}

    scope = {"type": "http", "method": "GET", "path": "/api/state", "query_string": b""}
    await app({**scope, "headers": headers}, receive, send)


@pytest.mark.parametrize(("port", "host", "status"), [
    (80, "127.0.0.1", 401), (80, "localhost:80", 401), (80, "[::1]", 401), (80, "[::1]:80", 401),
    (80, "127.0.0.1:81", 421), (80, "[::1]:81", 421), (80, "evil.example", 421), (80, "", 421),
    (81, "127.0.0.1", 421), (81, "localhost:81", 401), (81, "[::1]", 421),
])  # fmt: skip
def test_the_port_may_be_left_out_of_a_host_only_where_browsers_do(
    tmp_path: Path, port: int, host: str, status: int
) -> None:
    async def nothing(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise AssertionError("no cookie, but it was let in")

    guard = Guard(nothing, Sessions(tmp_path / "sessions.json", "secret"), port)
    headers = [(b"host", host.encode()), (b"origin", f"http://{host}".encode())]
    sent: list[Message] = []
    asyncio.run(ask(guard, headers, sent))
    assert sent[0]["status"] == status


def test_an_error_that_nobody_foresaw_is_one_line_in_the_page_and_whole_in_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_studio: Studio) -> dict[str, Any]:
        raise ZeroDivisionError("one\ntwo")

    monkeypatch.setattr(Studio, "snapshot", broken)
    sessions = Sessions(tmp_path / "sessions.json", "secret")
    app = make_app(Studio(tmp_path / "LARS", 1 << 20), sessions, 81)
    cookie = f"{app.cookie_name}={sessions.exchange(sessions.new_token())}"
    sent: list[Message] = []
    # uvicorn prints what it gets with its traceback.
    with pytest.raises(ZeroDivisionError):
        asyncio.run(ask(app, [(b"host", b"localhost:81"), (b"cookie", cookie.encode())], sent))
    assert sent[0]["status"] == 500
    assert json.loads(sent[1]["body"]) == {
        "error": "internal error: ZeroDivisionError('one\\ntwo')"
    }


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1"])
def test_another_origin_is_refused(client: Client, origin: str) -> None:
    for method in ("GET", "POST", "DELETE"):
        status, _, _ = client.request(method, "/api/jobs/0", b"", Origin=origin)
        assert status == 403, method


def test_a_change_needs_an_origin(client: Client) -> None:
    assert client.request("POST", "/api/upload", b"x", Origin="")[0] == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_what_another_site_caused_is_refused(client: Client, site: str) -> None:
    assert client.request("GET", "/api/state", Sec_Fetch_Site=site)[0] == 403


@pytest.mark.parametrize("others", ['state={"a": 1}', "x=a b@c", "=", "[]", "a=\xff"])
def test_cookies_of_other_servers_on_this_machine_lock_nobody_out(
    client: Client, others: str
) -> None:
    # Cookies do not know ports.
    for cookie in (f"{others}; {client.cookie}", f"{client.cookie}; {others}"):
        assert client.request("GET", "/api/state", Cookie=cookie)[0] == 200
    assert client.request("GET", "/api/state", Cookie=others)[0] == 401


DEEP = b"[" * 60000


def test_bodies_that_are_no_objects_are_refused(client: Client, tmp_path: Path) -> None:
    job = client.upload(recording(tmp_path / "a.wav", 0.1), model="tiny")
    for body in (b"[]", b"3", b"null", DEEP, b"\xff", b"x" * 70000):
        status, message = client.error("POST", f"/api/jobs/{job['id']}/retry", body)
        assert status == 400
        assert "the request" in message


@pytest.mark.parametrize("body", [b"[]", DEEP, b'{"paths":3}', b'{"paths":"abc"}',
    b'{"paths":[1]}', b'{"paths":["a\\u0000b"]}', b'{"settings":3}'])  # fmt: skip
def test_invalid_files_are_not_handed_over(client: Client, server: Server, body: bytes) -> None:
    state = json.loads((server.folder / ".studio" / "server.json").read_text())
    before = len(client.json("/api/state")["jobs"])
    headers = {"Authorization": f"Bearer {state['control']}"}
    status, _, answer = client.request("POST", "/control/open", body, **headers)
    assert status == 400, answer
    assert json.loads(answer)["error"]
    assert len(client.json("/api/state")["jobs"]) == before


def test_every_answer_forbids_foreign_and_inline_scripts(client: Client) -> None:
    for path in ("/api/state", "/", "/nothing"):
        _, found, _ = client.request("GET", path)
        policy = found["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert found["x-content-type-options"] == "nosniff"


def test_the_built_page_needs_nothing_from_elsewhere(client: Client) -> None:
    page = client.get("/").decode()
    assert "http" not in page.replace("http-equiv", "")
    assert "<script>" not in page
    assert "style=" not in page


@pytest.mark.parametrize("path", [
    "/assets/../app.py", "/assets/%2e%2e/app.py", "/assets/..%2fapp.py", "/assets//etc/passwd",
    "/../../etc/passwd",
])  # fmt: skip
def test_paths_lead_nowhere_else(client: Client, path: str) -> None:
    status, _, body = client.request("GET", path)
    assert status == 404, body[:200]


@pytest.mark.parametrize("lane", ["..", "../kick", "%2e%2e%2fkick", "/etc/passwd", "kick.wav", ""])
def test_lanes_are_names_not_paths(client: Client, tmp_path: Path, lane: str) -> None:
    job = client.upload(recording(tmp_path / "a.wav"), model="tiny")
    client.wait(job["id"])
    for kind in ("overview", "peaks", "spectrogram"):
        query = "?start=0&frames=10&columns=10&rows=10"
        status, _, _ = client.request("GET", f"/api/jobs/{job['id']}/{kind}/{lane}{query}")
        assert status in (400, 404)
    status, _, _ = client.request("GET", f"/api/jobs/{job['id']}/stems/{lane}.wav?bits=24")
    assert status in (400, 404)


@pytest.mark.parametrize("name", ["../../escape.wav", "..\\escape.wav", "/etc/escape.wav",
    "..", "", "a\0b.wav", "con.wav", ".hidden.wav", "é" * 200 + ".wav"])  # fmt: skip
def test_names_of_uploads_stay_in_the_folder(client: Client, server: Server, tmp_path: Path,
    name: str) -> None:  # fmt: skip
    job = client.upload(recording(tmp_path / "a.wav", 0.1), name=name, model="tiny")
    source = Path(job["source"])
    assert source.parent == server.folder / ".studio" / "uploads" / job["id"]
    assert source.is_file()
    assert (server.folder / job["folder"]).parent == server.folder
    assert not job["folder"].startswith(".")
    client.wait(job["id"])
    assert not (server.folder.parent / "escape.wav").exists()


@pytest.mark.parametrize(("name", "safe"), [
    ("a/b/c.wav", "c.wav"), ("..", "recording"), ("nul", "recording nul"), ("a:b?.wav", "a_b_.wav"),
    ("  .x.", "x"), ("x\n\ty.wav", "xy.wav"), ("e\u0301.wav", "\u00e9.wav"),
])  # fmt: skip
def test_names_become_safe(name: str, safe: str) -> None:
    assert safe_name(name) == safe


def test_two_gigabytes_are_refused_before_they_come(client: Client) -> None:
    with socket.create_connection((client.host, client.port), timeout=60) as connection:
        head = (
            f"POST /api/upload?name=a.wav HTTP/1.1\r\nHost: {client.host}:{client.port}\r\n"
            f"Origin: {client.address}\r\nCookie: {client.cookie}\r\n"
            f"Content-Length: {2 << 30}\r\n\r\n"
        )
        connection.sendall(head.encode())
        answer = b""
        while b"}" not in answer and (piece := connection.recv(1 << 16)):
            answer += piece
    assert b" 413 " in answer.split(b"\r\n")[0]
    assert b"larger than 1024 MiB" in answer


def test_no_more_than_four_uploads_come_in_at_once(client: Client, server: Server) -> None:
    uploads = server.folder / ".studio" / "uploads"
    before = len(list(uploads.glob("*/*")))
    with client.sending(uploads, 4):
        status, message = client.error("POST", "/api/upload?name=a.wav", b"x")
        assert (status, message) == (429, "4 files are coming in already; wait for one")
    wait_for(lambda: len(list(uploads.glob("*/*"))) == before)  # what broke off leaves nothing
    assert client.error("POST", "/api/upload?name=a.wav", b"x")[0] == 400


def test_an_address_that_others_reach_is_served_by_number_and_no_other_name(
    models: Path, tmp_path: Path
) -> None:
    options = ("--host", "0.0.0.0", "--allow-remote")
    with contextlib.closing(Server(tmp_path / "LARS", models, *options)) as server:
        client = Client(server)  # the address that is printed opens on this machine
        assert client.host == "127.0.0.1"
        for host, status in (("192.0.2.7", 200), ("[2001:db8::7]", 200), ("evil.example", 421)):
            asked = client.request("GET", "/api/state", Host=f"{host}:{client.port}")
            assert asked[0] == status, host


def test_a_body_without_a_length_is_stopped_at_the_limit(models: Path, tmp_path: Path) -> None:
    server = Server(tmp_path / "LARS", models, "--max-upload", "1")
    try:
        client = Client(server)
        with socket.create_connection((client.host, client.port), timeout=60) as connection:
            head = (
                f"POST /api/upload?name=a.wav HTTP/1.1\r\nHost: {client.host}:{client.port}\r\n"
                f"Origin: {client.address}\r\nCookie: {client.cookie}\r\n"
                "Transfer-Encoding: chunked\r\n\r\n"
            )
            connection.sendall(head.encode())
            piece = b"%x\r\n" % (1 << 16) + bytes(1 << 16) + b"\r\n"
            answer = b""
            try:
                for _ in range(64):
                    connection.sendall(piece)
            except OSError:
                pass  # it has hung up
            try:
                answer = connection.recv(1 << 16)
            except OSError:
                pass
        assert answer == b"" or b" 413 " in answer.split(b"\r\n")[0]
        assert client.json("/api/state")["jobs"] == []
        assert not list((server.folder / ".studio" / "uploads").glob("*/*"))
    finally:
        server.close()


def test_what_is_not_audio_is_refused_whatever_it_is_called(client: Client, server: Server,
    tmp_path: Path) -> None:  # fmt: skip
    (tmp_path / "song.wav").write_bytes(b"#!/bin/sh\necho not audio\n" * 100)
    body = (tmp_path / "song.wav").read_bytes()
    before = len(client.json("/api/state")["jobs"])
    status, message = client.error("POST", "/api/upload?name=song.wav", body)
    assert status == 400
    assert "song.wav" in message
    assert str(server.folder) not in message  # a place that its owner never chose
    assert len(client.json("/api/state")["jobs"]) == before


@pytest.mark.parametrize("settings", [
    {"model": "/etc"}, {"model": "../tiny"}, {"model": "nothing"}, {"preset": "x"}, {"x": 1},
    {"channels": "1;rm"}, {"redistribute": "yes"}, [], {"model": 3}, "[" * 30000,
])  # fmt: skip
def test_invalid_settings_are_refused(client: Client, settings: object) -> None:
    query = settings if isinstance(settings, str) else json.dumps(settings).replace(" ", "")
    status, message = client.error("POST", f"/api/upload?name=a.wav&settings={query}", b"")
    assert status == 400
    assert message


def test_note_maps_are_names_not_paths(client: Client, tmp_path: Path) -> None:
    job = client.upload(recording(tmp_path / "a.wav"), model="tiny")
    client.wait(job["id"], hits="done")
    status, message = client.error("GET", f"/api/jobs/{job['id']}/hits.mid?map=/etc/passwd")
    assert status == 400
    assert "gm" in message


def test_another_address_has_to_be_allowed_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["studio", "--host", "0.0.0.0", "--no-browser"]) == 2
    assert "--allow-remote" in capsys.readouterr().err
