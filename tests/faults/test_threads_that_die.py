# SPDX-License-Identifier: GPL-3.0-or-later
"""A model's thread that fails is noticed: its sessions hear of it, and the model goes on."""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest

from lars_plugin.bridge.client.streams import Client
from lars_plugin.bridge.engine.model_thread import ModelThread
from lars_plugin.bridge.local_engine import EngineProcess, EngineThread
from lars_plugin.errors import EngineError
from lars_plugin.model import Model, Wave
from lars_plugin.testing import IdentityModel, SlowModel

BLOCK = np.full((2, 512), 0.25, np.float32)


def goes_on(client: Client, model: str) -> None:
    client.open(model, max_block=512)
    for _ in range(8):
        client.process(BLOCK, patience=30)
    assert client.error is None


def test_a_network_that_raises_what_is_no_exception_costs_one_stream(
    process: EngineProcess, works: Callable[[], None]
) -> None:
    with process.client() as client:
        client.open("quits", max_block=512)
        for _ in range(20):
            client.process(BLOCK, patience=0.2)
            if client.error is not None:
                break
        assert isinstance(client.error, EngineError)
        assert "leave" in str(client.error)
        client.error = None
        goes_on(client, "quits")
        model = next(one for one in client.status()["models"] if one["name"] == "quits")
        assert (model["state"], model["restarts"]) == ("ready", 1)
    works()


class Leaves:
    """A backend that raises what is no Exception in its third run."""

    name = "leaves"

    def __init__(self) -> None:
        self._runs = 0

    def __call__(self, batch: Wave) -> Wave:
        self._runs += 1
        if self._runs == 3:
            raise SystemExit("a library wants to leave")
        return np.stack([batch] * 6, axis=1)


def test_what_comes_after_the_end_does_not_hide_the_reason() -> None:
    def leaves() -> Model:
        return Model(IdentityModel(chunk_size=1024).config, Leaves())

    with EngineThread({"leaves": leaves}) as engine, engine.client() as client:
        client.open("leaves", max_block=512)
        until = time.monotonic() + 30
        while client.error is None and time.monotonic() < until:
            client.process(BLOCK, patience=0.05)
        reason = str(client.error)
        assert "leave" in reason
        for _ in range(20):
            client.process(BLOCK, patience=0.01)
        client.ping()  # all of that has been read
        assert str(client.error) == reason
        with pytest.raises(EngineError, match="leave"):
            client.flush()
        client.error = None
        goes_on(client, "leaves")


@pytest.fixture
def quick() -> dict[str, Callable[[], SlowModel]]:
    return {"model": lambda: SlowModel(0.001, IdentityModel(chunk_size=1024))}


def thread_of(engine: EngineThread) -> ModelThread:
    return engine.server.pool.threads()[0]


def test_a_thread_that_is_interrupted_goes_on(quick: dict[str, Callable[[], SlowModel]]) -> None:
    with EngineThread(quick) as engine, engine.client() as client:
        goes_on(client, "model")
        model_thread = thread_of(engine)
        thread = model_thread._thread.ident
        assert thread is not None
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(thread), ctypes.py_object(SystemExit)
        )
        until = time.monotonic() + 30
        while model_thread.restarts == 0 and time.monotonic() < until:
            client.process(BLOCK, patience=0.05)
        assert model_thread.restarts == 1
        client.error = None
        goes_on(client, "model")
        assert client.status()["models"][0]["restarts"] == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_is_dead_is_told_of_and_another_is_started(
    quick: dict[str, Callable[[], SlowModel]],
) -> None:
    with EngineThread(quick) as engine, engine.client() as client, engine.client() as idle:
        goes_on(client, "model")
        idle.open("model")
        model_thread = thread_of(engine)

        def fail(error: BaseException) -> None:
            raise error

        model_thread._recover = fail  # type: ignore[method-assign]
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(model_thread._thread.ident or 0), ctypes.py_object(SystemExit)
        )
        until = time.monotonic() + 30
        while model_thread.alive and time.monotonic() < until:
            client.process(BLOCK, patience=0.05)
        assert not model_thread.alive
        for one in (client, idle):
            while one.error is None and time.monotonic() < until:
                one.ping()
            assert isinstance(one.error, EngineError)
            assert "died" in str(one.error)
            one.error = None
            goes_on(one, "model")
        assert [model["state"] for model in client.status()["models"]] == ["ready"]
        assert thread_of(engine) is not model_thread


def test_a_job_whose_models_thread_dies_ends(
    quick: dict[str, Callable[[], SlowModel]],
) -> None:
    with EngineThread(quick) as engine, engine.client() as client:
        client.open("model")
        model_thread = thread_of(engine)
        asked, error = threading.Event(), []

        def ask() -> None:
            try:
                model_thread.run_task(asked.set)
                model_thread.run_task(lambda: time.sleep(0.3))
                model_thread.run_task(lambda: time.sleep(600))
            except BaseException as found:
                error.append(found)

        thread = threading.Thread(target=ask)
        thread.start()
        asked.wait(30)
        model_thread._tasks.fail(EngineError("the thread fails"))
        model_thread._stopping = True
        thread.join(30)
        assert not thread.is_alive()
        assert error
