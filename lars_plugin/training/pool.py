# SPDX-License-Identifier: GPL-3.0-or-later
"""A pool of freshly rendered excerpts that a training step draws from without waiting.

Worker processes render for ever; a thread files what they send; the newest excerpts replace the
oldest. On a slow machine an excerpt is drawn a few times, on a fast one about once. This module
does without torch, so that a worker starts in a second.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import threading
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lars_plugin.errors import DatasetError
from lars_plugin.training.grooves import load_grooves
from lars_plugin.training.kits import load_kits
from lars_plugin.training.render import Renderer

__all__ = ["Pool", "PoolConfig"]


@dataclass(frozen=True)
class PoolConfig:
    """Where excerpts come from and how many are kept.

    Attributes:
        kits: folder with a manifest; its "train" split is used.
        grooves: folder of MIDI performances, likewise.
        segment: samples per excerpt.
        batch: excerpts per draw.
        pool: excerpts kept.
        workers: rendering processes.
        synthetic_kits: electronic kits that each worker draws beside the recorded ones.
        seed: of everything random here.
    """

    kits: str
    grooves: str
    segment: int
    batch: int
    pool: int
    workers: int
    synthetic_kits: int
    seed: int


def _work(config: PoolConfig, index: int, out: Any) -> None:
    """Body of a rendering process: excerpts as float16, forever."""
    parent = os.getppid()
    seed = config.seed + 7919 * index
    kits = load_kits(config.kits, "train").with_synthetic(config.synthetic_kits, seed + 17)
    renderer = Renderer(kits, load_grooves(config.grooves, "train"), seed)
    while os.getppid() == parent:  # an orphan ends
        out.put(renderer.render(config.segment).astype(np.float16))


class Pool:
    """The latest excerpts of all workers; drawing never waits once it is filled."""

    def __init__(self, config: PoolConfig) -> None:
        context = multiprocessing.get_context("spawn")
        self._queue: Any = context.Queue(maxsize=8)
        self._workers = [
            context.Process(target=_work, args=(config, index, self._queue), daemon=True)
            for index in range(config.workers)
        ]
        for worker in self._workers:
            worker.start()
        self._items: list[NDArray[np.float16]] = []
        self._next = 0
        self._config = config
        self._rng = np.random.default_rng(config.seed + 1)
        self.rendered = 0
        self._closed = False
        self._lock = threading.Lock()
        threading.Thread(target=self._collect, daemon=True).start()

    def _collect(self) -> None:
        # A thread of its own: an excerpt is longer than a pipe's buffer, so its sender waits
        # until somebody reads, and would wait for the next step otherwise.
        while not self._closed:
            try:
                item = self._queue.get(timeout=0.5)
            except queue.Empty:
                continue
            with self._lock:
                self.rendered += 1
                if len(self._items) < self._config.pool:
                    self._items.append(item)
                else:
                    self._items[self._next] = item
                    self._next = (self._next + 1) % self._config.pool

    def wait(self) -> None:
        """Block until there is enough to draw from.

        Raises:
            DatasetError: a rendering process died.
        """
        while len(self._items) < 2 * self._config.batch:
            if not all(worker.is_alive() for worker in self._workers):
                raise DatasetError("a rendering process died; its message stands above")
            time.sleep(0.05)

    def _choose(self) -> list[NDArray[np.float16]]:
        self.wait()
        with self._lock:
            picks = self._rng.choice(len(self._items), self._config.batch, replace=False)
            return [self._items[i] for i in picks]

    def draw(self) -> NDArray[np.float32]:
        """A batch ``(B, 6, 2, L)`` float32; waits only until two batches are there."""
        rng, size = self._rng, self._config.batch
        batch = np.stack(self._choose()).astype(np.float32)
        # Levels differ by up to 40 dB between excerpts; even out before exchanging stems.
        peak = np.abs(batch.sum(1)).max(axis=(1, 2), keepdims=True)[:, None]
        batch /= np.maximum(peak, 1e-4)
        for stem in range(batch.shape[1]):
            if rng.random() < 0.2:
                batch[:, stem] = batch[rng.permutation(size), stem]
        gains = 10 ** (rng.normal(0, 5, (size, batch.shape[1], 1, 1)) / 20)
        batch *= gains.astype(np.float32)
        if rng.random() < 0.5:
            batch = batch[:, :, ::-1]
        flips = rng.choice([-1.0, 1.0], (size, 1, 1, 1)).astype(np.float32)
        return np.asarray(batch * flips, np.float32)

    def close(self) -> None:
        """End the workers."""
        self._closed = True
        for worker in self._workers:
            worker.terminate()
