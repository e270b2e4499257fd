# SPDX-License-Identifier: GPL-3.0-or-later
"""The routes below ``/api/jobs/ID``: what to do with a job, what to draw, play and take away."""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from lars_plugin.audio.writer import check_format
from lars_plugin.errors import InputError
from lars_plugin.studio import exports, hits, lanes
from lars_plugin.studio.ledger import Job
from lars_plugin.studio.requests import Answer, read_json
from lars_plugin.studio.settings import JobSettings
from lars_plugin.studio.studio import Studio

__all__ = ["job_routes"]

_BYTES = "application/octet-stream"
_MOST_EXPORTS = 2


def job_routes() -> list[Route]:
    """All of them."""
    base = "/api/jobs/{id:str}"
    return [
        Route(base, _remove, methods=["DELETE"]),
        Route(f"{base}/cancel", _cancel, methods=["POST"]),
        Route(f"{base}/retry", _retry, methods=["POST"]),
        Route(f"{base}/overview/{{lane}}", _overview),
        Route(f"{base}/peaks/{{lane}}", _peaks),
        Route(f"{base}/spectrogram/{{lane}}", _spectrogram),
        Route(f"{base}/samples", _samples),
        Route(f"{base}/hits", _hits),
        Route(f"{base}/levels", _levels),
        Route(f"{base}/stems/{{file}}", _stem),
        Route(f"{base}/stems.zip", _zip),
        Route(f"{base}/remix.{{ext}}", _remix),
        Route(f"{base}/hits.mid", _midi),
        Route(f"{base}/report.png", _picture),
    ]


def _of(request: Request) -> tuple[Studio, Job]:
    studio: Studio = request.app.state.studio
    try:
        return studio, studio.ledger.get(request.path_params["id"])
    except InputError as error:
        raise HTTPException(404, str(error)) from None


def _whole(request: Request, name: str, default: int | None = None) -> int:
    text = request.query_params.get(name, "")
    if not text and default is not None:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise InputError(f"{name} must be a whole number")
    return int(text)


async def _remove(request: Request) -> Response:
    studio, job = _of(request)
    stems = request.query_params.get("stems") == "1"
    if not await run_sync(partial(studio.remove, job, stems=stems)):
        raise HTTPException(409, f"{job.name} is stopping; remove it again in a moment")
    return Answer({})


async def _cancel(request: Request) -> Response:
    studio, job = _of(request)
    await run_sync(studio.worker.cancel, job)
    return Answer({})


async def _retry(request: Request) -> Response:
    studio, job = _of(request)
    data = await read_json(request)
    settings = None if data.get("settings") is None else JobSettings.from_json(data["settings"])
    await run_sync(studio.retry, job, settings)
    return Answer(job.to_json())


async def _overview(request: Request) -> Response:
    studio, job = _of(request)
    lane = request.path_params["lane"]
    path = studio.folders.lane(job, lane)
    kept = studio.folders.cache(job.id) / f"{lane}.peaks"
    bucket, data, peak = await run_sync(lanes.overview, path, kept)
    headers = {"X-Bucket": str(bucket), "X-Peak": f"{peak:.6f}"}
    return Response(data, media_type=_BYTES, headers=headers)


async def _peaks(request: Request) -> Response:
    studio, job = _of(request)
    path = studio.folders.lane(job, request.path_params["lane"])
    numbers = {name: _whole(request, name) for name in ("start", "frames", "columns")}
    data = await run_sync(partial(lanes.peaks, path, **numbers))
    return Response(data, media_type=_BYTES)


async def _spectrogram(request: Request) -> Response:
    studio, job = _of(request)
    path = studio.folders.lane(job, request.path_params["lane"])
    numbers = {name: _whole(request, name) for name in ("start", "frames", "columns", "rows")}
    data = await run_sync(partial(lanes.spectrogram, path, **numbers))
    return Response(data, media_type=_BYTES)


async def _samples(request: Request) -> Response:
    studio, job = _of(request)
    wanted = request.query_params.get("lanes", "")
    names = wanted.split(",") if wanted else job.lanes
    paths = [studio.folders.lane(job, name) for name in names[:64]]
    start, frames = _whole(request, "start"), _whole(request, "frames")
    return Response(await run_sync(lanes.samples, paths, start, frames), media_type=_BYTES)


async def _hits(request: Request) -> Response:
    studio, job = _of(request)
    found = await run_sync(hits.load, job, studio.folders)
    return Answer([dataclasses.asdict(hit) for hit in found])


async def _levels(request: Request) -> Response:
    studio, job = _of(request)
    path = studio.folders.cache(job.id) / "levels.json"
    if not path.is_file():
        raise InputError(f"the levels of {job.name} are not known yet; wait a moment")
    return FileResponse(path, media_type="application/json")


async def _stem(request: Request) -> Response:
    studio, job = _of(request)
    lane, _, extension = request.path_params["file"].rpartition(".")
    bits, rescale = _format(request, extension)
    studio.folders.lane(job, lane)  # whether it is there, before anything is written

    def write(path: Path) -> None:
        exports.write_stem(job, studio.folders, lane, path, bits, rescale=rescale)

    return await _export(studio, f"{job.folder} {lane}.{extension}", extension, write)


async def _zip(request: Request) -> Response:
    studio, job = _of(request)
    if not job.stems:
        raise InputError(f"{job.name} has no stems yet")
    extension = request.query_params.get("format", "wav")
    bits, rescale = _format(request, extension)

    def write(path: Path) -> None:
        exports.write_zip(job, studio.folders, path, extension, bits, rescale=rescale)

    return await _export(studio, f"{job.folder}.zip", "zip", write)


async def _remix(request: Request) -> Response:
    studio, job = _of(request)
    extension = request.path_params["ext"]
    bits, _ = _format(request, extension)
    mix = exports.read_mix(request.query_params.get("mix", ""), job)

    def write(path: Path) -> None:
        exports.write_remix(job, studio.folders, mix, path, bits)

    return await _export(studio, f"{job.folder} remix.{extension}", extension, write)


async def _midi(request: Request) -> Response:
    studio, job = _of(request)

    def write(path: Path) -> None:
        hits.write_midi(job, studio.folders, request.query_params, path)

    return await _export(studio, f"{job.folder}.mid", "mid", write)


async def _picture(request: Request) -> Response:
    studio, job = _of(request)

    def write(path: Path) -> None:
        hits.write_picture(job, studio.folders, path)

    return await _export(studio, f"{job.folder}.png", "png", write)


def _format(request: Request, extension: str) -> tuple[str, bool]:
    bits = request.query_params.get("bits", "24")
    check_format(extension, bits)
    return bits, request.query_params.get("rescale") == "1"


_TYPES = {"wav": "audio/wav", "flac": "audio/flac", "zip": "application/zip", "mid": "audio/midi",
    "png": "image/png"}  # fmt: skip


async def _export(
    studio: Studio, name: str, extension: str, write: Callable[[Path], Any]
) -> Response:
    """Write a file for the browser to take, and remove it when it has been taken."""
    path = studio.folders.temporary / f"{secrets.token_hex(8)}.{extension}"
    await run_sync(write, path, limiter=_limiter(studio))
    disposition = f"attachment; filename*=UTF-8''{quote(name)}"
    return FileResponse(
        path,
        media_type=_TYPES[extension],
        headers={"Content-Disposition": disposition},
        background=BackgroundTask(path.unlink, missing_ok=True),
    )


def _limiter(studio: Studio) -> CapacityLimiter:
    """So that few exports fill memory and disk at a time."""
    if studio.exporting is None:
        studio.exporting = CapacityLimiter(_MOST_EXPORTS)
    return studio.exporting
