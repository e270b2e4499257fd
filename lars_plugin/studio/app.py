# SPDX-License-Identifier: GPL-3.0-or-later
"""The routes of the studio. All but the start address are behind :mod:`.security`."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

from anyio.to_thread import run_sync
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import (
    FileResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from lars_plugin.batch.jobs import one_line
from lars_plugin.errors import AudioFileError, InputError, LarsError, ModelNotFoundError
from lars_plugin.files import printable
from lars_plugin.studio.job_routes import job_routes
from lars_plugin.studio.requests import Answer, read_json
from lars_plugin.studio.security import Guard, Sessions
from lars_plugin.studio.settings import JobSettings
from lars_plugin.studio.studio import Studio
from lars_plugin.zoo.command import is_here
from lars_plugin.zoo.registry import get_config

__all__ = ["WEB", "make_app"]

# The built page.
WEB = Path(__file__).with_name("web")

# Bytes of the names of files that another `lars studio` hands over.
_MOST_PATHS = 8 << 20


def make_app(studio: Studio, sessions: Sessions, port: int, host: str = "") -> Guard:
    """The application, guarded.

    Args:
        studio: what it serves.
        sessions: who may come in.
        port: that is listened on.
        host: see :class:`Guard`.
    """

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        studio.start()
        try:
            yield
        finally:
            studio.events.close()
            await run_sync(studio.stop)

    routes = [
        Route("/", _index),
        Route("/start", _start),
        Route("/control/open", _open, methods=["POST"]),
        Route("/api/state", _state),
        Route("/api/events", _events),
        Route("/api/upload", _upload, methods=["POST"]),
        Route("/api/models/{name}/{what}", _model, methods=["POST"]),
        *job_routes(),
        Mount("/assets", StaticFiles(directory=WEB / "assets", check_dir=False)),
    ]
    app = Starlette(
        routes=routes,
        lifespan=lifespan,
        exception_handlers={
            LarsError: _lars_error,
            HTTPException: _http_error,
            OSError: _os_error,
            Exception: _any_error,
        },
    )
    guard = Guard(app, sessions, port, host)
    app.state.studio, app.state.sessions, app.state.cookie = studio, sessions, guard.cookie_name
    app.state.address = guard.address
    return guard


async def _lars_error(_request: Request, error: Exception) -> Response:
    missing = isinstance(error, ModelNotFoundError)
    status = 404 if missing else 400 if isinstance(error, InputError | AudioFileError) else 500
    return Answer({"error": one_line(str(error))}, status)


async def _http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return Answer({"error": error.detail}, error.status_code)


async def _os_error(_request: Request, error: Exception) -> Response:
    """A file or folder that cannot be removed, as one that another program has open."""
    assert isinstance(error, OSError)
    place = f"{printable(error.filename)}: " if error.filename else ""
    return Answer({"error": one_line(f"{place}{error.strerror or error}")}, 500)


async def _any_error(_request: Request, error: Exception) -> Response:
    # Where it comes from is in the terminal: uvicorn prints it.
    return Answer({"error": one_line(f"internal error: {error!r}")}, 500)


def _studio(request: Request) -> Studio:
    studio: Studio = request.app.state.studio
    return studio


async def _index(_request: Request) -> Response:
    return FileResponse(WEB / "index.html")


async def _start(request: Request) -> Response:
    cookie = request.app.state.sessions.exchange(request.query_params.get("token", ""))
    if cookie is None:
        return Response(
            "this address has been used, or is too old: run `lars studio` once more and open the"
            " address it prints\n", 401, media_type="text/plain",
        )  # fmt: skip
    response = RedirectResponse("/", 303)
    response.set_cookie(
        request.app.state.cookie, cookie, max_age=30 * 24 * 3600, httponly=True, samesite="strict"
    )
    return response


async def _open(request: Request) -> Response:
    """Files of another `lars studio`, and a new address for its browser."""
    data = await read_json(request, _MOST_PATHS)
    paths, settings = data.get("paths", []), JobSettings.from_json(data.get("settings", {}))
    if not isinstance(paths, list) or not all(isinstance(p, str) and "\0" not in p for p in paths):
        raise InputError("paths must be a list of names of files")
    error, left_out = "", []
    if paths:
        try:
            left_out = await run_sync(_studio(request).open, paths, settings)
        except LarsError as failure:
            error = one_line(str(failure))
    token = request.app.state.sessions.new_token()
    url = f"{request.app.state.address}/start?token={token}"
    return Answer({"url": url, "error": error, "left_out": left_out})


async def _state(request: Request) -> Response:
    return Answer(await run_sync(_studio(request).snapshot))


async def _events(request: Request) -> Response:
    studio = _studio(request)
    if studio.events.full:
        raise HTTPException(429, "too many pages are open; close some")
    return StreamingResponse(studio.events.listen(studio.snapshot), media_type="text/event-stream")


async def _upload(request: Request) -> Response:
    studio = _studio(request)
    job = await studio.uploads.take(request)
    studio.worker.wake()
    return Answer(job.to_json(), 201)


async def _model(request: Request) -> Response:
    studio, name = _studio(request), request.path_params["name"]
    actions: dict[str, Callable[[], Any]] = {
        "download": partial(studio.downloads.start, name),
        "cancel": partial(studio.downloads.cancel, name),
        "measure": partial(_measure, studio, name, request.query_params.get("preset", "")),
    }
    if request.path_params["what"] not in actions:
        raise HTTPException(404, "no such action")
    await run_sync(actions[request.path_params["what"]])
    return Answer({})


def _measure(studio: Studio, name: str, preset: str) -> None:
    settings = JobSettings(model=name, preset=preset)
    if not is_here(get_config(name)):
        raise InputError(f"the weights of {name} are not here; download them first")
    studio.costs.request(settings.model, settings.preset)
    studio.worker.wake()
