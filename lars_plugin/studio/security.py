# SPDX-License-Identifier: GPL-3.0-or-later
"""Only the owner's browser gets in: one-time tokens, a cookie, Host, Origin, a content policy.

A token in the printed address works once and is exchanged for a cookie that scripts cannot read.
Every request must bring the cookie, whatever it asks for. The names in Host are ours only: a page
of another site that has its name point to this machine (DNS rebinding) is refused. Requests that
another site caused are refused by Origin and Sec-Fetch-Site.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import json
import secrets
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lars_plugin.files import AtomicFiles

__all__ = ["Guard", "Sessions"]

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:;"
    " connect-src 'self'; font-src 'self'; media-src 'self' blob:; manifest-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_TOKEN_SECONDS, _SESSION_SECONDS = 15 * 60.0, 30 * 24 * 3600.0
_MOST_TOKENS, _MOST_SESSIONS = 32, 64
START, CONTROL = "/start", "/control/"


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


class Sessions:
    """Tokens that work once, and the cookies they were exchanged for; usable from all threads.

    Args:
        path: keeps digests of cookies, so that a page survives a restart of the server.
        control: the secret of the state file, with which another `lars studio` hands files over.
    """

    def __init__(self, path: Path, control: str) -> None:
        self._path, self._control = path, control
        self._lock = threading.Lock()
        self._tokens: dict[str, float] = {}
        self._cookies: dict[str, float] = {}
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            now = time.time()
            self._cookies = {str(k): float(v) for k, v in data.items() if float(v) > now}
        except (OSError, ValueError, TypeError, AttributeError):
            pass  # none are known: a new address has to be opened

    def new_token(self) -> str:
        """A token for an address; it works once, within a quarter of an hour."""
        token = secrets.token_urlsafe(24)
        with self._lock:
            while len(self._tokens) >= _MOST_TOKENS:
                self._tokens.pop(next(iter(self._tokens)))
            self._tokens[_digest(token)] = time.monotonic() + _TOKEN_SECONDS
        return token

    def exchange(self, token: str) -> str | None:
        """A cookie for a token, which is used up; None: the token is not valid."""
        with self._lock:
            if self._tokens.pop(_digest(token), 0.0) < time.monotonic():
                return None
            cookie = secrets.token_urlsafe(32)
            while len(self._cookies) >= _MOST_SESSIONS:
                self._cookies.pop(next(iter(self._cookies)))
            self._cookies[_digest(cookie)] = time.time() + _SESSION_SECONDS
            with AtomicFiles() as files:
                files.create(self._path, 0o600).write(json.dumps(self._cookies).encode())
        return cookie

    def knows(self, cookie: str) -> bool:
        """Whether this cookie was given out and is still valid."""
        with self._lock:
            return self._cookies.get(_digest(cookie), 0.0) > time.time()

    def controls(self, authorization: str) -> bool:
        """Whether a header brings the secret of the state file."""
        return hmac.compare_digest(authorization.encode(), f"Bearer {self._control}".encode())


class Guard:
    """Stands before the application and lets nobody in who does not belong.

    Args:
        app: what is guarded.
        sessions: who may come in.
        port: that is listened on.
        host: an address other than this machine's own that may be asked for, or empty.
    """

    def __init__(self, app: ASGIApp, sessions: Sessions, port: int, host: str = "") -> None:
        self._app, self._sessions, self._port, self._host = app, sessions, port, host
        self.cookie_name = f"lars_studio_{port}"  # cookies do not know ports
        name = "127.0.0.1" if host in ("", "0.0.0.0", "::") else host
        self.address = f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # a WebSocket: there are none
            await send({"type": "websocket.close", "code": 1008})
            return
        path: str = scope["path"]

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                if not path.startswith("/assets/"):
                    headers["Cache-Control"] = "no-store"
            await send(message)

        refusal = self._refusal(scope, Headers(scope=scope))
        await (refusal or self._app)(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        host = headers.get("host", "")
        if not self._is_ours(host):
            return _refuse(scope, 421, f"this server is not called {host[:80]!r}")
        origin = headers.get("origin")
        if origin is not None and origin != f"http://{host}":
            return _refuse(scope, 403, "this request comes from another site")
        site = headers.get("sec-fetch-site", "same-origin")
        if site not in ("same-origin", "none"):
            return _refuse(
                scope, 403, "this request comes from another site; paste the address into the"
                " browser's address bar"
            )  # fmt: skip
        path: str = scope["path"]
        if path.startswith(CONTROL):
            if self._sessions.controls(headers.get("authorization", "")):
                return None
            return _refuse(scope, 401, "the secret of the state file is missing")
        if path == START:
            return None
        # Only pages send an Origin by themselves; one is needed wherever something changes.
        if scope["method"] not in ("GET", "HEAD") and origin is None:
            return _refuse(scope, 403, "a request that changes something needs an Origin")
        if self._sessions.knows(_cookie(headers, self.cookie_name)):
            return None
        return _refuse(
            scope, 401, "not signed in: run `lars studio` once more and open the address it prints"
        )

    def _is_ours(self, host: str) -> bool:
        name, _, port = host.rpartition(":")
        if port != str(self._port):
            if self._port != 80:
                return False
            name = host  # browsers leave out the port that HTTP has by itself
        name = name.removeprefix("[").removesuffix("]").lower()
        if name in ("localhost", "127.0.0.1", "::1"):
            return True
        if not self._host:
            return False
        if name == self._host.lower():
            return True
        try:  # listening everywhere: by number, which no other site's name can be
            everywhere = ipaddress.ip_address(self._host).is_unspecified
            return everywhere and bool(ipaddress.ip_address(name))
        except ValueError:
            return False


def _cookie(headers: Mapping[str, str], name: str) -> str:
    # By hand: http.cookies gives up all of them where one is odd, and every server on this
    # machine, whatever its port, may have set some.
    for part in headers.get("cookie", "").split(";"):
        found, _, value = part.strip().partition("=")
        if found == name:
            return value
    return ""


def _refuse(scope: Scope, status: int, why: str) -> Response:
    if scope["path"].startswith(("/api/", CONTROL)):
        return JSONResponse({"error": why}, status)
    return PlainTextResponse(f"{why}\n", status)
