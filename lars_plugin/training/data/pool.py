# SPDX-License-Identifier: GPL-3.0-or-later
"""A pool of freshly rendered excerpts that a training step draws from without waiting.

Worker processes render for ever; a thread files what they send; the newest excerpts replace the
oldest. On a slow machine an excerpt is drawn a few times, on a fast one about once. This module
does not import torch, so that a worker starts within a second.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lars_plugin.errors import DatasetError
from lars_plugin.training.data.grooves import load_grooves, load_patterns
from lars_plugin.training.data.kits import load_kits
from lars_plugin.training.data.sources import Alternating, Source
from lars_plugin.training.data.stemgmd import StemGMDRenderer
from lars_plugin.training.music.accompaniment import Accompaniment
from lars_plugin.training.render.augmentations import BALANCES, RECORDS, left_out
from lars_plugin.training.render.fullmix import FULLMIX_STEMS, FullMixConfig, FullMixRenderer
from lars_plugin.training.render.records import Records, RecordsConfig
from lars_plugin.training.render.renderer import STEMS, Renderer, RendererConfig
from lars_plugin.training.sounds.impulses import Impulses

if TYPE_CHECKING:
    from lars_plugin.training.data.ray_renderers import RayRenderers

__all__ = ["Pool", "PoolConfig", "make_source", "render_pieces", "varied"]

Wave = NDArray[np.float32]


# Excerpts that are cut out of one rendering. Half of a single one would be strokes before its
# start, rendered only because they ring on.
_PIECES = 2


@dataclass(frozen=True)
class PoolConfig:
    """Where excerpts come from and how many are kept.

    Attributes:
        kits: folders with a manifest; their "train" split is used.
        grooves: folder of MIDI performances, likewise.
        segment: samples per excerpt.
        batch: excerpts per draw.
        pool: excerpts kept.
        workers: rendering processes.
        synthetic_kits: electronic kits that each worker draws beside the recorded ones.
        seed: of everything random here.
        exclude: kits that are left out.
        accompaniment: None for drums alone. With music around them, a seventh stem "other": the
            folder of a bank, or "synthetic" for our own band without one.
        stemgmd: folder of StemGMD as another source, or None.
        stemgmd_share: share of the excerpts that comes from there.
        impulses: folder of impulse responses of real rooms, or None.
        patterns: folder of General MIDI arrangements whose drums are played, too, or None.
        records: share of the excerpts that are treated as records are.
        without: augmentations that are left out, see
            :data:`~lars_plugin.training.render.augmentations.AUGMENTATIONS`.
        reuse: how often an excerpt is drawn, on average, before another is rendered. More leaves
            a small machine more time for training.
        engine: ``local``: processes of this machine; ``ray``: workers of a cluster.
        address: of the cluster.
    """

    kits: str | tuple[str, ...]
    grooves: str
    segment: int
    batch: int
    pool: int
    workers: int
    synthetic_kits: int
    seed: int
    exclude: tuple[str, ...] = ()
    accompaniment: str | None = None
    stemgmd: str | None = None
    stemgmd_share: float = 0.5
    impulses: str | None = None
    patterns: str | None = None
    records: float = 0.0
    reuse: float = 1.0
    without: tuple[str, ...] = ()
    engine: str = "local"
    address: str = "auto"


def make_source(config: PoolConfig, seed: int) -> Source:
    """What one rendering process renders with.

    Raises:
        DatasetError: data are missing, or an excluded kit does not exist.
    """
    kits = load_kits(config.kits, "train", config.exclude)
    kits = kits.with_synthetic(config.synthetic_kits, seed + 17)
    impulses = None if config.impulses is None else Impulses(config.impulses)
    grooves = load_grooves(config.grooves, "train")
    patterns = None if config.patterns is None else load_patterns(config.patterns)
    without = config.without
    ranges = left_out(RendererConfig(), without)
    source: Source = Renderer(kits, grooves, seed, ranges, impulses, patterns)
    if config.stemgmd is not None:
        recorded = StemGMDRenderer(config.stemgmd, seed + 29, ranges)
        source = Alternating(source, recorded, config.stemgmd_share, seed + 31)
    if config.accompaniment is not None:
        bank = None if config.accompaniment == "synthetic" else config.accompaniment
        mixes = left_out(FullMixConfig(), without)
        source = FullMixRenderer(source, Accompaniment(bank, seed + 37), seed + 41, mixes)
    if config.records and RECORDS not in without:
        records = left_out(RecordsConfig(treated=config.records), without)
        source = Records(source, seed + 43, records)
    return source


def _work(config: PoolConfig, index: int, out: Any) -> None:
    """Body of a rendering process: excerpts as float16, forever."""
    parent = os.getppid()
    seed = config.seed + 7919 * index
    renderer = make_source(config, seed)
    while os.getppid() == parent:  # an orphan ends
        for piece in render_pieces(config, renderer):
            out.put(piece)


def varied(rng: np.random.Generator, batch: Wave, count: int, *, balances: bool = True) -> Wave:
    """Excerpts in other balances, and with stems of each other.

    That is for half of them. A compressor, a tape or an encoder heard the mixture as it was, and
    other gains undo what it did; so the others keep theirs, up to a gain, a sign and the sides.

    Args:
        rng: draws all of it.
        batch: ``(B, S, 2, L)``; not changed.
        count: how many rows are stems. One behind them, which belongs to none, stays with its
            excerpt.
        balances: False leaves all excerpts as they were.

    Returns:
        New memory of the same shape, in any order of excerpts.
    """
    size = len(batch)
    # Levels differ by up to 40 dB between excerpts; even out before exchanging stems.
    peak = np.abs(batch.sum(1)).max(axis=(1, 2), keepdims=True)[:, None]
    batch = batch / np.maximum(peak, np.float32(1e-4))
    # Of an odd number half, on average.
    free = batch[: int(size / 2 + rng.random()) if balances else 0]
    for stem in range(count):
        if rng.random() < 0.2:
            free[:, stem] = free[rng.permutation(len(free)), stem]
    gains = 10 ** (rng.normal(0, 5, (len(free), batch.shape[1], 1, 1)) / 20)
    free *= gains.astype(np.float32)
    if rng.random() < 0.5:
        batch = batch[:, :, ::-1]
    flips = rng.choice([-1.0, 1.0], (size, 1, 1, 1)).astype(np.float32)
    return np.asarray(batch * flips, np.float32)


def render_pieces(config: PoolConfig, source: Source) -> list[NDArray[np.float16]]:
    """The excerpts that are cut out of one rendering."""
    whole = source.render(_PIECES * config.segment).astype(np.float16)
    return np.split(whole, _PIECES, axis=2)


class _Processes:
    """Rendering processes of this machine."""

    def __init__(self, config: PoolConfig) -> None:
        context = multiprocessing.get_context("spawn")
        self._queue: Any = context.Queue(maxsize=8)
        self._workers = [
            context.Process(target=_work, args=(config, index, self._queue), daemon=True)
            for index in range(config.workers)
        ]
        for worker in self._workers:
            worker.start()

    def get(self, timeout: float) -> NDArray[np.float16]:
        item: NDArray[np.float16] = self._queue.get(timeout=timeout)
        return item

    def alive(self) -> bool:
        return all(worker.is_alive() for worker in self._workers)

    def close(self) -> None:
        for worker in self._workers:
            worker.terminate()


class Pool:
    """The latest excerpts of all workers. Drawing never waits once the pool is filled.

    Raises:
        InputError, BridgeError: there is no Ray, or no cluster, for the engine ``ray``.
    """

    def __init__(self, config: PoolConfig) -> None:
        self._renderers: _Processes | RayRenderers
        if config.engine == "ray":
            from lars_plugin.training.data.ray_renderers import RayRenderers

            self._renderers = RayRenderers(config)
        else:
            self._renderers = _Processes(config)
        self._items: list[NDArray[np.float16]] = []
        self._next = 0
        self._config = config
        self._rng = np.random.default_rng(config.seed + 1)
        self.rendered = 0
        self.drawn = 0
        self._closed = False
        self._lock = threading.Lock()
        self._collector = threading.Thread(target=self._collect, daemon=True)
        self._collector.start()

    def _collect(self) -> None:
        # A thread of its own: an excerpt is longer than a pipe's buffer, so its sender waits
        # until somebody reads, and would wait for the next step otherwise.
        while not self._closed:
            # Unread, the queue fills up, and the workers wait.
            ahead = self.rendered - 6 * self._config.batch
            if ahead * self._config.reuse > self.drawn:
                time.sleep(0.05)
                continue
            try:
                item = self._renderers.get(timeout=0.5)
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
            if not self._renderers.alive():
                raise DatasetError("a rendering process died; its message is above")
            time.sleep(0.05)

    def _choose(self) -> list[NDArray[np.float16]]:
        self.wait()
        with self._lock:
            picks = self._rng.choice(len(self._items), self._config.batch, replace=False)
            return [self._items[i] for i in picks]

    def draw(self) -> Wave:
        """A batch ``(B, S, 2, L)`` float32, varied; waits only until two batches are ready.

        S is 6, or 7 with music around the drums; behind six stems there is what belongs to none of
        them, where excerpts are treated as records.
        """
        batch = np.stack(self._choose()).astype(np.float32)
        self.drawn += len(batch)
        count = len(STEMS if self._config.accompaniment is None else FULLMIX_STEMS)
        return varied(self._rng, batch, count, balances=BALANCES not in self._config.without)

    def close(self) -> None:
        """End the workers."""
        self._closed = True
        self._collector.join(5.0)
        self._renderers.close()
