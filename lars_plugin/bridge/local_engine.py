# SPDX-License-Identifier: GPL-3.0-or-later
"""An engine of one's own: on a thread of this process, or as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from lars_plugin.bridge.client.streams import Client
from lars_plugin.bridge.engine.server import Server, Settings
from lars_plugin.bridge.scratch import scratch_folder
from lars_plugin.errors import BridgeError, ConnectionLostError
from lars_plugin.model import AnyModel

__all__ = ["EngineProcess", "EngineThread"]


class EngineThread:
    """An engine on a thread, with models made by functions of this process.

        with EngineThread({"identity": IdentityModel}) as engine, engine.client() as client:
            client.open("identity")

    Args:
        models: names to functions that make a model; each is called when first asked for.
        settings: of ``lars_plugin.bridge.engine.server.Settings``, instead of its own socket.
    """

    def __init__(self, models: Mapping[str, Callable[[], AnyModel]], **settings: Any) -> None:
        self._folder = scratch_folder()
        self.socket: Path | None = None
        if "host" not in settings:
            self.socket = Path(self._folder.name) / "engine.sock"
            settings["socket"] = self.socket
        self.settings = Settings(models=tuple(models), load=lambda name: models[name](), **settings)
        self.server = Server(self.settings)
        self._thread = threading.Thread(target=self.server.serve, name="engine", daemon=True)
        self._thread.start()

    def client(self, **options: Any) -> Client:
        """A new client of it."""
        if self.socket is not None:
            return Client(self.socket, **options)
        return Client(self.server.address, token=self.settings.token, **options)

    def close(self) -> None:
        """Stop it and wait for its end."""
        self.server.stop()
        self._thread.join(10.0)
        self._folder.cleanup()
        if self._thread.is_alive():
            raise BridgeError("the engine's thread did not end in 10 s")

    def __enter__(self) -> EngineThread:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class EngineProcess:
    """``lars serve`` as a child process, with a runtime folder of its own.

    Args:
        arguments: for ``lars serve``.
        environment: added to this process's.
        seconds: to wait until it serves.

    Raises:
        BridgeError: it ended, or does not serve in time.
    """

    def __init__(
        self,
        arguments: Sequence[str] = (),
        *,
        environment: Mapping[str, str] | None = None,
        seconds: float = 60.0,
    ) -> None:
        self._folder = scratch_folder()
        self.runtime = Path(self._folder.name) / "run"
        self.socket = self.runtime / "engine.sock"
        self.log = Path(self._folder.name) / "log"
        self.environment = {
            **os.environ,
            **(environment or {}),
            "LARS_RUNTIME_DIR": str(self.runtime),
        }
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "lars_plugin", "serve", *arguments],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            self._wait(time.monotonic() + seconds)
        except BaseException:
            self.close()
            raise

    def _wait(self, until: float) -> None:
        while True:
            if self.process.poll() is not None:
                words = self.log.read_text("utf-8", "replace").strip().splitlines()[-1:]
                raise BridgeError(f"lars serve ended at once: {' '.join(words)}")
            try:
                self.client().close()
                return
            except ConnectionLostError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.02)

    def client(self, **options: Any) -> Client:
        """A new client of it, by its Unix socket."""
        return Client(self.socket, **options)

    def close(self) -> None:
        """Stop it, if need be by force, and remove its folder."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10.0)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._folder.cleanup()

    def __enter__(self) -> EngineProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
