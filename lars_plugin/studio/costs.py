# SPDX-License-Identifier: GPL-3.0-or-later
"""What each model costs on this machine: seconds of work per second of audio, measured once."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import numpy as np

from lars_plugin import __version__
from lars_plugin.errors import CancelledError, InputError, LarsError
from lars_plugin.files import AtomicFiles

__all__ = ["Costs"]

log = logging.getLogger(__name__)

_RATE, _SECONDS = 44100, 6.0
# A shorter job says more about its beginning, when the network is compiled, than about the model.
_SHORTEST = 60.0
_MOST_WAITING = 64


class Costs:
    """Real-time ratios by model and preset, kept in a file; may be used from several threads.

    Args:
        path: the file; it need not be there.
        on_change: called when a figure is new.
    """

    def __init__(self, path: Path, on_change: Callable[[], None]) -> None:
        self._path, self._on_change = path, on_change
        self._lock = threading.Lock()
        self._waiting: deque[tuple[str, str]] = deque()
        self._found: dict[str, float] = {}
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            if data.get("version") == __version__:
                self._found = {str(key): float(value) for key, value in data["ratios"].items()}
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            log.debug("%s: %s", path, error)

    def ratio(self, model: str, preset: str) -> float | None:
        """Seconds of work per second of audio, or None: not known yet."""
        with self._lock:
            return self._found.get(_key(model, preset))

    def learn(self, model: str, preset: str, seconds: float, elapsed: float) -> None:
        """Take the figure of a job, if it was long enough."""
        if seconds >= _SHORTEST:
            self._keep(model, preset, elapsed / seconds)

    def _keep(self, model: str, preset: str, ratio: float) -> None:
        with self._lock:
            self._found[_key(model, preset)] = round(ratio, 4)
            text = json.dumps({"version": __version__, "ratios": self._found}, indent=1)
            try:
                with AtomicFiles() as files:
                    files.create(self._path).write(text.encode())
            except LarsError as error:
                log.debug("%s", error)  # it will be measured again
        self._on_change()

    def request(self, model: str, preset: str) -> None:
        """Measure this when there is nothing else to do.

        Raises:
            InputError: too much is waiting.
        """
        with self._lock:
            if _key(model, preset) in self._found or (model, preset) in self._waiting:
                return
            if len(self._waiting) >= _MOST_WAITING:
                raise InputError("too many measurements are waiting; try again later")
            self._waiting.append((model, preset))

    def measure_next(self, stop: Callable[[], bool]) -> bool:
        """Measure one that was requested; False: none was. ``stop`` puts it off."""
        with self._lock:
            if not self._waiting:
                return False
            model, preset = self._waiting.popleft()
        try:
            elapsed = _measure(model, preset, stop)
        except CancelledError:
            with self._lock:
                self._waiting.append((model, preset))  # later
            return False
        except LarsError as error:
            log.warning("what %s costs is not measured: %s", model, error)
            return True
        self._keep(model, preset, elapsed / _SECONDS)
        return True


def _key(model: str, preset: str) -> str:
    return f"{model} {preset}".strip()


def _measure(model: str, preset: str, stop: Callable[[], bool]) -> float:
    from lars_plugin.cli.separate import make_separator
    from lars_plugin.studio.settings import JobSettings, separate_options

    settings = JobSettings(model=model, preset=preset)
    separator = make_separator(separate_options(settings, Path("recording.wav"), Path()))
    noise = np.random.default_rng(1).standard_normal((2, round(_RATE * _SECONDS)))
    wave = (noise * 0.1).astype(np.float32)

    def go_on(_done: int, _total: int) -> bool:
        return not stop()

    separator.separate(wave[:, :_RATE], _RATE, progress=go_on)  # what is done only once
    begun = time.perf_counter()
    separator.separate(wave, _RATE, progress=go_on)
    return time.perf_counter() - begun
