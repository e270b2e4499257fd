# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs end when they shall, whatever they are at, and leave no files that are not complete."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lars_plugin.audio import write_audio
from lars_plugin.bridge.local_engine import EngineProcess
from lars_plugin.bridge.protocol import limits, messages
from lars_plugin.bridge.protocol.codes import exception_of
from lars_plugin.errors import CancelledError, InputError

Dial = Callable[[], Any]

# Half a second is promised; on a machine that does other things as well it may be more.
SOON = 1.5
# What each is busy with for many seconds, in one piece: a fit, a network, a lot of chunks, loading.
LONG = ["fitted", "one-long-run", "slow-chunked"]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    wave = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 44100)).astype(np.float32)
    write_audio(tmp_path / "drums.wav", wave, 44100)
    return tmp_path / "drums.wav"


def job(source: Path, model: str, request: int = 2, **more: Any) -> messages.Job:
    folder = source.parent / f"stems of {model}"
    if model == "slow-chunked":
        more = {"overlap": 50.0, **more}  # a minute of small pieces
    return messages.Job(
        model=model, source=str(source), folder=str(folder), request=request, **more
    )


def wait_until(done: Callable[[], bool], seconds: float) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if done():
            return True
        time.sleep(0.02)
    return done()


def jobs(process: EngineProcess) -> int:
    with process.client() as client:
        return len(client.status()["jobs"])


@pytest.mark.parametrize("model", [*LONG, "slow-to-load"])
def test_a_cancel_is_obeyed_at_once_in_the_middle_of_whatever(
    process: EngineProcess, dial: Dial, source: Path, model: str
) -> None:
    with dial() as peer:
        peer.send(job(source, model))
        time.sleep(1)
        start = time.monotonic()
        peer.send(messages.JobCancel(request=2))
        answer = peer.answer(2)
        assert isinstance(exception_of(answer), CancelledError)
        assert time.monotonic() - start < SOON
        assert not list(source.parent.rglob(".lars-*"))
        assert jobs(process) == 0


def test_a_cancel_for_another_request_is_none(dial: Dial, source: Path) -> None:
    with dial() as peer:
        peer.send(
            job(source, "slow-chunked", request=7, overlap=2.0), messages.JobCancel(request=6)
        )
        assert isinstance(peer.answer(7), messages.JobDone)


@pytest.mark.parametrize("model", LONG)
def test_jobs_end_with_their_connections(
    process: EngineProcess, dial: Dial, source: Path, model: str
) -> None:
    """Four abandoned ones used to shut out everybody else's."""
    for number in range(limits.MAX_JOBS):
        with dial() as peer:
            peer.send(job(source, model, number + 2))
            assert wait_until(lambda: jobs(process) == 1, 5)
        assert wait_until(lambda: jobs(process) == 0, SOON)
    assert not list(source.parent.rglob(".lars-*"))


def test_a_peer_that_leaves_while_nothing_of_it_is_read_is_noticed(
    process: EngineProcess, dial: Dial, source: Path
) -> None:
    with dial() as peer:
        peer.send(job(source, "fitted"))
        peer.ask(messages.Open(model="one-long-run", mode=1, request=3))
        wave = messages.Audio.planar(np.zeros((2, 65536), np.float32))
        peer.sock.settimeout(2)
        try:
            for at in range(0, 40 * 65536, 65536):
                peer.send(messages.Audio(position=at, **wave))
        except TimeoutError:
            pass  # the engine takes no more
        assert jobs(process) == 1
    assert wait_until(lambda: jobs(process) == 0, SOON)


@pytest.mark.parametrize("overlap", [limits.MAX_OVERLAP + 1.0, 5000.0, 1e300, 0.5, -2.0])
def test_an_overlap_without_end_is_refused(dial: Dial, source: Path, overlap: float) -> None:
    with dial() as peer:
        answer = peer.ask(job(source, "chunked", overlap=overlap))
        assert isinstance(exception_of(answer), InputError)
        assert "overlap" in answer.message


@pytest.mark.parametrize("model", LONG)
def test_progress_comes_ten_times_a_second_whatever_the_job_is_at(
    dial: Dial, source: Path, model: str
) -> None:
    with dial() as peer:
        peer.send(job(source, model))
        seen, start = [], time.monotonic()
        while time.monotonic() - start < 3:
            message = peer.read()
            assert isinstance(message, messages.JobProgress)
            assert message.request == 2
            seen.append(time.monotonic())
        assert len(seen) > 20
        assert max(np.diff([start, *seen])) < 0.5  # on a machine that does other things as well


@pytest.mark.parametrize("model", LONG)
def test_an_engine_that_is_terminated_leaves_no_unfinished_files(
    start: Callable[[], EngineProcess], source: Path, model: str
) -> None:
    with start() as process, process.client() as client:
        seen: list[int] = []

        def tell(done: int, total: int) -> None:
            seen.append(done)
            if len(seen) == 15:
                process.process.send_signal(signal.SIGTERM)

        asked = job(source, model)
        with pytest.raises(Exception, match=r"engine|cancel"):
            client.separate_file(asked.source, asked.folder, model, progress=tell)
        process.process.wait(20)
        assert process.process.returncode == 0
    left = [path for path in source.parent.rglob("*") if path.is_file()]
    assert left == [source]
