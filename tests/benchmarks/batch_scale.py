# SPDX-License-Identifier: GPL-3.0-or-later
"""How `lars batch` scales: figures of docs/batch.md.

    python tests/benchmarks/batch_scale.py ledger              # 10^6 rows: register, resume, status
    python tests/benchmarks/batch_scale.py overhead [FILES]    # per file, beyond the work
    python tests/benchmarks/batch_scale.py listing [FILES]     # of a folder, and of a manifest
    python tests/benchmarks/batch_scale.py throughput [WORKERS]  # 1 to WORKERS, local and Ray
    python tests/benchmarks/batch_scale.py stemgmd             # core-hours by model and preset

Each prints a Markdown table. `overhead` separates with a tiny network of random weights, so that
10,000 files are a matter of minutes, and writes some 500 MB into a temporary folder. `throughput`
gives N workers N cores, as far as there are so many, and counts what is done while all of them
work: the ideal is what one does on one core, times the cores. What takes time of the processor is
a figure for busy machines, too; where only time on the clock is shown, nothing else must run.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sqlite3
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from lars_plugin.audio import write_audio
from lars_plugin.batch.command import LEDGER
from lars_plugin.batch.inputs import find_items
from lars_plugin.batch.jobs import Output, Result
from lars_plugin.batch.ledger import Item, Ledger
from lars_plugin.batch.settings import Settings
from lars_plugin.cli import main
from lars_plugin.separation.separator import Separator

RATE = 44100
STEMGMD_HOURS = 1224
STEMS = ("kick", "snare", "toms", "hihat", "ride", "crash")


class Clock:
    """Time on the wall and of this process's processor, from now on: they differ where others use
    the machine."""

    def __init__(self) -> None:
        self._wall, self._cpu = -time.perf_counter(), -time.process_time()
        self._stopped = False

    def stop(self) -> None:
        """No time counts any more."""
        if not self._stopped:
            self._wall += time.perf_counter()
            self._cpu += time.process_time()
            self._stopped = True

    def text(self, scale: float = 1.0, unit: str = "s") -> str:
        """Both, until now; stops."""
        self.stop()
        return f"{self._wall * scale:.1f} {unit} ({self._cpu * scale:.1f} of processor)"


def noise(path: Path, seconds: float, seed: int = 0) -> None:
    """A recording."""
    path.parent.mkdir(parents=True, exist_ok=True)
    wave = np.random.default_rng(seed).standard_normal((2, round(seconds * RATE))) * 0.1
    write_audio(path, wave.astype(np.float32), RATE, bits="16")


def quietly(*command: str) -> Clock:
    """Run a command line; how long that took. Workers are other processes."""
    clock = Clock()
    with contextlib.redirect_stdout(io.StringIO()):
        code = main(list(command))
    assert code == 0, command
    clock.stop()
    return clock


def ledger(rows: int) -> None:
    """The ledger alone, without a look at the files."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, LEDGER)

        def items() -> Any:
            for index in range(rows):
                yield Item(f"/library/{index % 1000:03d}/{index:07d}.wav", "/library", "{}", index,
                           "1795881356989934000", "0" * 64)  # fmt: skip

        with Ledger(path) as table:
            table.begin_run("local")
            clock = Clock()
            table.register(items())
            registered = clock.text()
            outputs = {
                stem: Output(f"000/0000000/{stem}.wav", 88244, 1795881356989934000, "0" * 64)
                for stem in STEMS
            }
            some = min(20_000, rows - 1)
            clock = Clock()
            for key in range(1, some + 1):
                table.done(Result(key, "done", seconds=1.0, elapsed=0.1, worker="host:1",
                                  sha256="0" * 64, outputs=outputs))  # fmt: skip
            table.commit()
            noted = clock.text(1e6 / some, "us")
        base = sqlite3.connect(path)
        with base:  # the others, but for the last
            base.execute(
                "UPDATE files SET (state, outputs, worker, sha256) ="
                " (SELECT state, outputs, worker, sha256 FROM files WHERE id = 1) WHERE id < ?",
                (rows,),
            )
        base.close()
        with Ledger(path) as table:
            clock = Clock()
            table.begin_run("local")
            table.register(items())
            table.again(everything=False)
            jobs = table.next_jobs(256)
            resumed = clock.text()
            assert len(jobs) == 1
            clock = Clock()
            table.counts()
            counted = clock.text()
        size = path.stat().st_size / 1e6
    print("| rows | first registration | noting results, each | resume | counts | file |")
    print("|---|---|---|---|---|---|")
    print(f"| {rows:,} | {registered} | {noted} | {resumed} | {counted} | {size:.0f} MB |")


def library(top: Path, files: int) -> None:
    """So many tiny recordings in a folder ``in``, and a manifest ``list.csv``."""
    noise(top / "in/00000.wav", 0.05)
    for index in range(1, files):
        os.link(top / "in/00000.wav", top / f"in/{index:05d}.wav")
    rows = "\n".join(f"in/{path.name}" for path in sorted((top / "in").iterdir()))
    (top / "list.csv").write_text("path\n" + rows)


def listing(files: int) -> None:
    """What the driver does for each file before the ledger has it."""

    class Known(Settings):
        """Settings whose digest is known: it is made once, not for each file."""

        def digest(self, overrides: str) -> str:
            return "0" * 64

    settings = Known(argparse.Namespace())
    print("| files | of a folder, each | of a manifest, each |")
    print("|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        library(top, files)
        found = []
        for name in ("in", "list.csv"):
            clock = Clock()
            count = sum(1 for _ in find_items([str(top / name)], str(top / "out"), settings))
            found.append(clock.text(1e6 / files, "us"))
            assert count == files, (name, count)
    print(f"| {files:,} | {found[0]} | {found[1]} |")


def overhead(files: int) -> None:
    """What a tiny file costs beyond what its worker does for it."""
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        library(top, files)
        common = ("-m", str(tiny_model(top)), "-o", str(top / "out"), "-j", "1", "-q")
        took = quietly("batch", str(top / "list.csv"), *common)
        base = sqlite3.connect(top / "out" / LEDGER)
        done, work, first, last = base.execute(
            "SELECT sum(state = 'done'), sum(elapsed), min(finished - elapsed), max(finished)"
            " FROM files"
        ).fetchone()
        base.close()
        assert done == files, done
        resumed = quietly("batch", str(top / "list.csv"), *common)
    print(
        "| files | all, and driver | worker, each | between files, each | driver, each | resume |"
    )
    print("|---|---|---|---|---|---|")
    beyond = (last - first - work) / files
    print(
        f"| {files:,} | {took.text()} | {work / files * 1e3:.1f} ms | {beyond * 1e3:.2f} ms"
        f" | {took.text(1e3 / files, 'ms')} | {resumed.text()} |"
    )


def tiny_model(top: Path) -> Path:
    """A model's folder with a network that takes next to no time."""
    sys.path.insert(0, str(Path(__file__).parents[2]))
    from lars_plugin.model import Chunking
    from tests.models import config, model_folder

    return model_folder(top / "model", config(chunking=Chunking(4096, 1.25)))


def throughput(most: int, model: str, preset: str, seconds: float, files: int,
               engines: list[str]) -> None:  # fmt: skip
    """Audio per second with 1 to so many workers, while all of them work."""
    cores = sorted(os.sched_getaffinity(0))
    print("| engine | workers | cores | audio, s per s | ratio to ideal |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        for index in range(files):
            noise(top / f"in/{index:03d}.wav", seconds, index)
        for engine in engines:
            one = 0.0
            for workers in range(1, most + 1):
                out = top / f"{engine}{workers}"
                more = ["--address", "local", "--cpus-per-worker", "0"] if engine == "ray" else []
                os.sched_setaffinity(0, cores[:workers])  # processes started here inherit it
                quietly("batch", str(top / "in"), "-o", str(out), "-m", model, "-j", str(workers),
                        "--preset", preset, "-q", "--engine", engine, *more)  # fmt: skip
                speed = speed_together(out / LEDGER, workers)
                used = min(workers, len(cores))
                one = one or speed
                ratio = f"{speed / one / used:.2f}" if one and speed else "too few files: --files"
                print(f"| {engine} | {workers} | {used} | {speed:.2f} | {ratio} |", flush=True)
    os.sched_setaffinity(0, cores)


def speed_together(path: Path, workers: int) -> float:
    """Seconds of audio per second from when the last worker began until the first ended; 0 where
    there is no such time."""
    base = sqlite3.connect(path)
    rows = base.execute(
        "SELECT worker, finished - elapsed, finished, seconds FROM files"
    ).fetchall()
    base.close()
    names = {row[0] for row in rows}
    if len(names) < workers:
        return 0.0
    begin = max(min(row[1] for row in rows if row[0] == name) for name in names)
    end = min(max(row[2] for row in rows if row[0] == name) for name in names)
    # Of a file that was begun before or ended after, its part.
    parts = [
        (max(0.0, min(end, last) - max(begin, first)) / (last - first)) * seconds
        for _, first, last, seconds in rows
    ]
    return sum(parts) / (end - begin) if end > begin else 0.0


def stemgmd(models: list[str], seconds: float) -> None:
    """Core-hours for StemGMD, from the processor time of one excerpt on one core, with what reads
    and writes the files left out."""
    core = min(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})  # before anything counts them
    import torch

    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    wave = (rng.standard_normal((2, round(seconds * RATE))) * 0.1).astype(np.float32)
    print("| model | preset | backend | core-seconds per second | core-hours for 1,224 h |")
    print("|---|---|---|---|---|")
    for model in models:
        presets: list[str | None] = list(Separator(model).model.config.presets) or [None]
        for preset in presets:
            separator = Separator(model, preset=preset, precision="auto")
            separator.separate(wave[:, : RATE * 2], RATE)
            # Processor time, not time on the clock: others may use the core meanwhile.
            start = time.process_time()
            separator.separate(wave, RATE)
            ratio = (time.process_time() - start) / seconds
            print(
                f"| {model} | {preset or '-'} | {separator.model.backend_name} | {ratio:.3f}"
                f" | {STEMGMD_HOURS * ratio:,.0f} |",
                flush=True,
            )


def run() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=("ledger", "overhead", "listing", "throughput", "stemgmd"))
    parser.add_argument("count", nargs="?", type=int)
    parser.add_argument("--model", default="lars-mini", help="for throughput")
    parser.add_argument("--preset", default="fast", help="for throughput")
    parser.add_argument("--models", default="lars-mini,lars-live", help="for stemgmd")
    parser.add_argument("--seconds", type=float, default=12.0, help="of each recording")
    parser.add_argument("--files", type=int, default=24, help="recordings, for throughput")
    parser.add_argument("--engines", default="local,ray")
    args = parser.parse_args()
    if args.what == "ledger":
        ledger(args.count or 10**6)
    elif args.what == "overhead":
        overhead(args.count or 10_000)
    elif args.what == "listing":
        listing(args.count or 100_000)
    elif args.what == "throughput":
        engines = args.engines.split(",")
        throughput(args.count or 4, args.model, args.preset, args.seconds, args.files, engines)
    else:
        stemgmd(args.models.split(","), args.seconds)


if __name__ == "__main__":
    run()
