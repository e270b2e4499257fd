# SPDX-License-Identifier: GPL-3.0-or-later
"""Separate-a-file over the bridge: the same files, progress, cancel, and paths kept in bounds."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from lars_plugin.audio import read_audio, write_audio
from lars_plugin.bridge.client.link import Link
from lars_plugin.bridge.engine.jobs import check_path
from lars_plugin.bridge.local_engine import EngineThread
from lars_plugin.bridge.protocol import messages
from lars_plugin.bridge.protocol.codes import exception_of
from lars_plugin.bridge.protocol.messages import Message
from lars_plugin.errors import (
    AudioFileError,
    CancelledError,
    ConnectionLostError,
    InputError,
    LarsError,
    LimitError,
    ModelNotFoundError,
)
from lars_plugin.model import Model
from lars_plugin.separation.separator import Separator
from lars_plugin.testing import IdentityModel, SlowModel

SHARES = [1, 0.5, 0.25, 0.125, 0.75, 0.3]

MODELS: dict[str, Callable[[], Model]] = {
    "chunked": lambda: IdentityModel(shares=SHARES),
    "slow": lambda: SlowModel(0.02, IdentityModel(shares=SHARES)),
}


@pytest.fixture(scope="module")
def engine() -> Iterator[EngineThread]:
    with EngineThread(MODELS) as engine:
        yield engine


@pytest.fixture
def source(tmp_path: Path) -> Path:
    wave = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 60000)).astype(np.float32)
    write_audio(tmp_path / "drums.wav", wave, 44100, bits="32f")
    return tmp_path / "drums.wav"


def test_a_job_writes_what_separator_makes(engine: EngineThread, source: Path) -> None:
    wave, rate = read_audio(source)
    wanted = Separator(MODELS["chunked"]()).separate(wave, rate)
    seen: list[tuple[int, int]] = []
    with engine.client() as client:
        files = client.separate_file(
            source,
            source.parent / "stems",
            "chunked",
            bits="32f",
            progress=lambda done, total: seen.append((done, total)),
        )
    assert [path.name for path in files] == [f"{name}.wav" for name in wanted]
    for path, name in zip(files, wanted, strict=True):
        made, made_rate = read_audio(path)
        assert made_rate == rate
        np.testing.assert_array_equal(made, wanted[name])
    assert seen[-1] == (60000, 60000)
    assert sorted(seen) == seen


def test_a_cancelled_job_leaves_no_file_and_the_connection_lives(
    engine: EngineThread, source: Path
) -> None:
    folder = source.parent / "stems"
    with engine.client() as client:
        with pytest.raises(CancelledError):
            client.separate_file(source, folder, "slow", progress=lambda done, total: False)
        # Nor the folder that was made for it.
        assert not folder.exists()
        folder.mkdir()
        with pytest.raises(CancelledError):
            client.separate_file(source, folder, "slow", progress=lambda done, total: False)
        assert list(folder.iterdir()) == []
        assert len(client.separate_file(source, folder, "chunked", stems=["kick"])) == 1


def test_a_stream_stays_exact_while_a_job_runs(engine: EngineThread, source: Path) -> None:
    wave, rate = read_audio(source)
    wanted = Separator(MODELS["chunked"]()).separate(wave[:, :20000], rate)
    with engine.client() as worker, engine.client() as other:
        other.open("slow", mode="offline")

        def stream(done: int, total: int) -> bool:
            if not results:
                results.append(other.separate(wave[:, :20000]))
            return True

        results: list[object] = []
        worker.separate_file(source, source.parent / "stems", "slow", progress=stream)
        stems = results[0]
    np.testing.assert_array_equal(stems["kick"], wanted["kick"])  # type: ignore[index]


def test_jobs_that_cannot_be_are_typed_errors(engine: EngineThread, source: Path) -> None:
    folder = source.parent / "stems"
    fifo = source.parent / "fifo.wav"
    os.mkfifo(fifo)
    (source.parent / "text.wav").write_text("no audio")
    with engine.client() as client:
        cases: list[tuple[type[Exception], Path, Path, str]] = [
            (AudioFileError, source.parent / "none.wav", folder, "chunked"),
            (AudioFileError, source.parent, folder, "chunked"),
            (AudioFileError, fifo, folder, "chunked"),
            (AudioFileError, Path("/dev/zero"), folder, "chunked"),
            (AudioFileError, source.parent / "text.wav", folder, "chunked"),
            (AudioFileError, source, source.parent / "no" / "such" / "folder", "chunked"),
            (ModelNotFoundError, source, folder, "no model"),
        ]
        for kind, path, target, model in cases:
            with pytest.raises(kind):
                client.separate_file(path, target, model)
        with pytest.raises(InputError):
            client.separate_file(source, folder, "chunked", stems=["vocals"])
        with pytest.raises(InputError):
            client.separate_file(source, folder, "chunked", bits="7")
        client.separate_file(source, folder, "chunked")
        with pytest.raises(InputError, match="exists"):
            client.separate_file(source, folder, "chunked")
        client.separate_file(source, folder, "chunked", overwrite=True)


def test_folders_bound_what_jobs_and_boards_may_touch(source: Path) -> None:
    inside = source.parent / "inside"
    inside.mkdir()
    (inside / "drums.wav").write_bytes(source.read_bytes())
    (inside / "link.wav").symlink_to(source)
    with EngineThread(MODELS, roots=[inside]) as engine, engine.client() as client:
        client.separate_file(inside / "drums.wav", inside / "stems", "chunked")
        for path, folder in (
            (source, inside / "a"),
            (inside / "link.wav", inside / "a"),
            (inside / "drums.wav", source.parent / "outside"),
            (inside / ".." / "drums.wav", inside / "a"),
        ):
            with pytest.raises(InputError, match="may not touch"):
                client.separate_file(path, folder, "chunked")
        with pytest.raises(InputError, match="may not touch"):
            client.open("chunked", board=source)
    assert not (source.parent / "outside").exists()


def test_relative_paths_are_refused() -> None:
    with pytest.raises(InputError, match="absolute"):
        check_path("drums.wav", None)


def test_one_job_per_connection(engine: EngineThread, source: Path) -> None:
    assert engine.socket is not None
    errors: dict[int, LarsError] = {}

    def receive(message: Message) -> None:
        if isinstance(message, messages.Error):
            errors[message.request] = exception_of(message)

    def job(number: int) -> messages.Job:
        return messages.Job(
            request=number,
            overlap=0.0,
            model="slow",
            preset="",
            bits="",
            source=str(source),
            folder=str(source.parent / f"stems {number}"),
        )

    target = str(source.parent / "made.wav")
    others = [
        job(2),
        messages.Fetch(request=3, model="slow"),
        messages.Convert(request=4, sample_rate=0.0, bits="", source=str(source), target=target),
    ]
    link = Link(engine.socket, "", name="peer", timeout=60.0, receive=receive)
    link.send(job(1))
    for other in others:
        link.send(other)
    link.wait(lambda: len(errors) == len(others))
    assert {number: type(error) for number, error in errors.items()} == dict.fromkeys(
        (2, 3, 4), LimitError
    )
    link.send(messages.JobCancel(request=1))
    link.wait(lambda: 1 in errors)
    assert isinstance(errors[1], CancelledError)
    link.close()
    assert [path.name for path in source.parent.iterdir()] == [source.name]


def test_a_job_ends_with_its_connection(engine: EngineThread, source: Path) -> None:
    client = engine.client()

    def leave(done: int, total: int) -> bool:
        client.close()
        raise ConnectionLostError("left on purpose")

    with pytest.raises(ConnectionLostError, match="on purpose"):
        client.separate_file(source, source.parent / "gone", "slow", progress=leave)
    with engine.client() as other:
        while other.status()["jobs"]:
            other.ping()
    assert not (source.parent / "gone").exists()
    assert issubclass(LimitError, Exception)
