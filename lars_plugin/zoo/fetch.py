# SPDX-License-Identifier: GPL-3.0-or-later
"""Downloading published weights: resumable, bounded, and checked before they get their name."""

from __future__ import annotations

import http.client
import logging
import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO, cast

from lars_plugin.errors import CancelledError, ModelError, ModelIntegrityError, ModelNotFoundError
from lars_plugin.files import put_in_place
from lars_plugin.model import WeightsFile
from lars_plugin.zoo.claims import part_of
from lars_plugin.zoo.integrity import difference
from lars_plugin.zoo.registry import Published, cache_folder, find_weights, missing_weights
from lars_plugin.zoo.transcribers import published

__all__ = ["DownloadProgress", "download"]

log = logging.getLogger(__name__)

# (bytes here, bytes in all or 0 when unknown) -> False to cancel, anything else to continue.
DownloadProgress = Callable[[int, int], "bool | None"]

_BLOCK = 1 << 18
_TIMEOUT = 30.0  # seconds without a byte
# Far above every model: a server that never stops must not fill the disk.
_MAX_BYTES = 4 << 30
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(?:\d+|\*)")


class _AddressError(Exception):
    """This address failed; the next may work."""


def download(name: str, progress: DownloadProgress | None = None) -> Path:
    """Download a model's weights into the cache folder, unless they are on this machine.

    An interrupted download is resumed. The addresses of the configuration are tried in order.
    The file gets its name only when size and SHA-256 are correct.

    Args:
        name: of a model or a transcriber of the zoo.
        progress: called with (bytes here, bytes in all or 0); returning False cancels.

    Returns:
        The weights file.

    Raises:
        ModelNotFoundError: no such model, no address to download it from, or no address answered.
        ModelIntegrityError: an address gave a different file from the published one.
        ModelError: the cache folder cannot be written.
        CancelledError: the progress callback returned False.
    """
    config, folder = published(name)
    try:
        return find_weights(config, folder)
    except ModelNotFoundError:
        if config.weights is None or not config.weights.urls:
            raise
    return _fetch(config, folder, config.weights, progress)


def _fetch(
    config: Published, folder: Path | None, weights: WeightsFile, progress: DownloadProgress | None
) -> Path:
    target = cache_folder() / (weights.of or config.name) / weights.file
    if not weights.sha256:
        checked = "only the number of bytes" if weights.size else "nothing"
        log.warning("%s: no SHA-256 is published: %s is checked", config.name, checked)
    failures: list[str] = []
    wrong = ""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with part_of(target) as part:
            for url in weights.urls:
                try:
                    problem = _fetch_whole(url, part, weights, progress)
                except _AddressError as error:
                    failures.append(f"{url}: {error}")
                    log.info("%s", failures[-1])
                    continue
                if problem is None:
                    put_in_place(part, target)
                    return target
                wrong = f"{url} gave a different file from the published one: {problem}"
                log.info("%s", wrong)
    except OSError as error:
        raise ModelError(f"cannot write {target}: {error.strerror or error}") from error
    if wrong:
        raise ModelIntegrityError(wrong)
    raise ModelNotFoundError(f"{missing_weights(config, folder)} (tried {'; '.join(failures)})")


def _fetch_whole(
    url: str, part: Path, weights: WeightsFile, progress: DownloadProgress | None
) -> str | None:
    """Complete the part file from one address.

    Returns:
        What is wrong with the file, which is then removed; or None.
    """
    while True:
        start = part.stat().st_size if part.exists() else 0
        if not start or start != weights.size:
            _fetch_rest(url, part, start, weights.size, progress)
        problem = difference(part, weights)
        if problem is None:
            return None
        os.truncate(part, 0)
        if not start:
            return problem
        # The beginning may be from another address: try again from the start.


def _fetch_rest(
    url: str, part: Path, start: int, size: int, progress: DownloadProgress | None
) -> None:
    """Append to the part file everything after its first ``start`` bytes."""
    headers = {"User-Agent": "lars-plugin", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    try:
        response = _open(urllib.request.Request(url, headers=headers))
    except urllib.error.HTTPError as error:
        error.close()
        if error.code != 416 or not start:
            raise _AddressError(f"HTTP {error.code} {error.reason}") from error
        os.truncate(part, 0)  # the file there ends before our part does
        return _fetch_rest(url, part, 0, size, progress)
    with response:
        start = _resumes_at(response, start)
        length = response.headers.get("Content-Length") or ""
        total = start + int(length) if length.isdigit() else size
        if size and total != size:
            raise _AddressError(f"it offers {total:,} bytes instead of {size:,}")
        with part.open("ab" if start else "wb") as handle:
            _copy(response, handle, start, total, progress)
    return None


def _open(request: urllib.request.Request) -> http.client.HTTPResponse:
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError:
        raise
    except (http.client.HTTPException, OSError) as error:
        raise _AddressError(f"no connection ({getattr(error, 'reason', error)})") from error
    return cast("http.client.HTTPResponse", response)


def _resumes_at(response: http.client.HTTPResponse, start: int) -> int:
    """Position of the response's first byte: ``start``, or 0 for servers without ranges."""
    if response.status != 206:
        return 0
    found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if not found or int(found[1]) != start:
        raise _AddressError("it answers with a different part of the file from the requested one")
    return start


def _copy(
    response: http.client.HTTPResponse,
    handle: IO[bytes],
    done: int,
    total: int,
    progress: DownloadProgress | None,
) -> None:
    limit = total or _MAX_BYTES
    while True:
        if progress is not None and progress(done, total) is False:
            raise CancelledError(f"download cancelled after {done:,} bytes; run again to resume")
        try:
            block = response.read(_BLOCK)
        except (http.client.HTTPException, OSError) as error:
            raise _AddressError(f"the connection broke ({error}); run again to resume") from error
        if not block:
            break
        done += len(block)
        if done > limit:
            raise _AddressError(f"it sends more than {limit:,} bytes")
        handle.write(block)
    if total and done < total:
        raise _AddressError(f"it broke off after {done:,} of {total:,} bytes; run again to resume")
