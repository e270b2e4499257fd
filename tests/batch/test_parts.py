# SPDX-License-Identifier: GPL-3.0-or-later
"""Stems of a long recording reach S3 in parts: whole, or not at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lars_plugin.batch.locations import put
from tests.batch.stores import S3, meanwhile, s3, until

SIZE = 105_000_000  # bytes; s3fs sends what has 100 MiB or more in parts of 50 MiB


@pytest.fixture(scope="module")
def store() -> Iterator[S3]:
    with s3() as result:
        result.files.mkdir("parts")
        yield result


@pytest.fixture
def stem(tmp_path: Path) -> Path:
    path = tmp_path / "kick.wav"
    path.write_bytes(np.random.default_rng(0).bytes(SIZE))
    return path


def sent(store: S3, method: str, to: str) -> int:
    return store.troubles.seen.count(f"{method} {to.removeprefix('s3:/')}")


def test_parts_arrive_whole_though_the_store_fails_between_them(store: S3, stem: Path) -> None:
    to = "s3://parts/failing/kick.wav"

    def fail_for_a_while() -> None:
        try:
            until(lambda: sent(store, "PUT", to) > 0)
            store.troubles.begin("busy")
            until(lambda: store.troubles.refused > 2)
        finally:
            store.troubles.end()

    with meanwhile(fail_for_a_while):
        put(stem, to)
    assert sent(store, "PUT", to) > 2  # parts, some of them more than once
    assert sent(store, "POST", to) >= 2  # an upload is begun and completed
    assert store.files.cat_file(to) == stem.read_bytes()
    assert store.files.find("s3://parts/failing") == [to.removeprefix("s3://")]


def test_an_upload_killed_between_its_parts_leaves_no_object(store: S3, stem: Path) -> None:
    to = "s3://parts/killed/kick.wav"
    store.troubles.begin("hold")
    code = "import sys; from pathlib import Path; from lars_plugin.batch.locations import put"
    code += "; put(Path(sys.argv[1]), sys.argv[2])"
    with subprocess.Popen([sys.executable, "-c", code, str(stem), to]) as process:
        until(store.troubles.held.is_set)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    store.troubles.end()
    assert sent(store, "POST", to) == 1  # begun, never completed
    assert store.files.find("s3://parts/killed") == []
    put(stem, to)
    assert store.files.info(to)["size"] == SIZE
