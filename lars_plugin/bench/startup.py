# SPDX-License-Identifier: GPL-3.0-or-later
"""How long the command line takes before its first chunk, and for three minutes of audio.

For the first this file is a program, ``python -m lars_plugin.bench.startup``. The child is given
the time at which it was started. It runs ``lars separate`` until the network has answered for the
first time, runs the same chunk again to know what that alone takes, and prints the difference:
interpreter, imports, loading, decoding, and compiling where there is any.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lars_plugin.evaluation.tables import Table

__all__ = ["measure_command", "measure_startup", "startup_tables"]


def measure_startup(
    options: list[str], *, times: int, environment: Mapping[str, str]
) -> dict[str, Any]:
    """Seconds from the start of ``lars separate`` to its first chunk, the median of several.

    Args:
        options: for the command: ``["--backend", "torch"]``.
        times: runs; one more before them, which may convert and fills the disk's cache.
        environment: of the command.

    Raises:
        EngineError: the command failed.
    """
    import numpy as np

    from lars_plugin.errors import EngineError

    with tempfile.TemporaryDirectory(prefix="lars-bench-") as folder:
        import soundfile

        wave = 0.1 * np.random.default_rng(0).standard_normal((44100 * 8, 2))
        soundfile.write(Path(folder) / "drums.wav", wave, 44100, subtype="PCM_16")
        found = []
        for _ in range(times + 1):
            # The clock of the whole machine: the child has to read the same one.
            command = [sys.executable, "-m", "lars_plugin.bench.startup", repr(time.time()), folder]
            done = subprocess.run(
                [*command, *options],
                env=dict(environment),
                capture_output=True,
                text=True,
                encoding="utf-8",
            )
            if done.returncode:
                raise EngineError(f"lars separate failed: {done.stderr.strip()[-300:]}")
            found.append(json.loads(done.stdout.strip().splitlines()[-1]))
    runs = sorted(one["startup_s"] for one in found[1:])
    return {
        "options": options,
        "startup_s": runs[len(runs) // 2],
        "startup_s_low": runs[0],
        "startup_s_high": runs[-1],
        "first_run_s": found[0]["startup_s"],
        "runs": len(runs),
    }


def measure_command(
    options: list[str], *, seconds: float, times: int, environment: Mapping[str, str]
) -> dict[str, Any]:
    """Seconds that the whole ``lars separate`` takes, from the shell to the last stem on the disk.

    Args:
        options: for the command.
        seconds: of audio.
        times: runs; one more before them, as for :func:`measure_startup`.
        environment: of the command.

    Raises:
        EngineError: the command failed.
    """
    import numpy as np
    import soundfile

    from lars_plugin.errors import EngineError

    found, peaks = [], []
    with tempfile.TemporaryDirectory(prefix="lars-bench-") as folder:
        file = Path(folder) / "drums.wav"
        wave = 0.1 * np.random.default_rng(0).standard_normal((int(44100 * seconds), 2))
        soundfile.write(file, wave, 44100, subtype="PCM_24")
        command = [sys.executable, "-m", "lars_plugin", "separate", str(file), "--overwrite", "-q"]
        command += ["-o", str(Path(folder) / "out"), *options]
        for _ in range(times + 1):
            started = time.perf_counter()
            with subprocess.Popen(command, env=dict(environment), stderr=subprocess.PIPE) as child:
                assert child.stderr is not None
                output = child.stderr.read()
                code, peak = _wait(child)
            found.append(time.perf_counter() - started)
            peaks.append(peak)
            if code:
                raise EngineError(f"lars separate failed: {output.decode(errors='replace')[-300:]}")
    runs = sorted(found[1:])
    return {
        "options": options,
        "audio_s": seconds,
        "command_s": round(runs[len(runs) // 2], 4),
        "command_s_low": round(runs[0], 4),
        "command_s_high": round(runs[-1], 4),
        "rtr": round(runs[len(runs) // 2] / seconds, 6),
        "peak_memory_mb": peaks[-1],
        "runs": len(runs),
    }


def _wait(child: subprocess.Popen[bytes]) -> tuple[int, float | None]:
    """Exit code and peak of memory in megabytes, where the system tells."""
    if not hasattr(os, "wait4"):
        return child.wait(), None
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)  # it must not be waited for again
    peak = usage.ru_maxrss / (1024 if sys.platform == "linux" else 1024 * 1024)
    return child.returncode, round(peak, 1)


def startup_tables(
    starts: Sequence[Mapping[str, Any]], whole: Sequence[Mapping[str, Any]]
) -> list[Table]:
    """What :func:`measure_startup` and :func:`measure_command` found."""
    from lars_plugin.evaluation.tables import Table

    header = ("", "median", "range", "runs")
    body = tuple(
        (
            f"lars separate {' '.join(one['options'])}",
            f"{one['startup_s']:.2f} s",
            f"{one['startup_s_low']:.2f} to {one['startup_s_high']:.2f} s",
            str(one["runs"]),
        )
        for one in starts
    )
    tables = [Table("Start-up: from the command to the first chunk", header, body)] if body else []
    if whole:
        lines = tuple(
            (
                f"lars separate {' '.join(one['options'])}",
                f"{one['command_s']:.2f} s",
                f"{one['command_s_low']:.2f} to {one['command_s_high']:.2f} s",
                str(one["runs"]),
                f"{one['rtr']:.3f}",
                f"{one['peak_memory_mb'] or 0:.0f} MB",
            )
            for one in whole
        )
        title = f"The whole command: {whole[0]['audio_s']:g} s of stereo, a file in, six files out"
        tables.append(Table(title, (*header, "real-time ratio", "memory"), lines))
    return tables


def _main() -> None:
    started, folder, *options = float(sys.argv[1]), *sys.argv[2:]

    # The rest of the imports are part of what is measured, in the command line's own order.
    from lars_plugin.cli import main

    _watch(started)
    file = str(Path(folder) / "drums.wav")
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    code = main(["separate", file, "-o", str(Path(folder) / "out"), "-q", "--overwrite", *options])
    sys.exit(code or 1)  # the watch should have ended it


def _watch(started: float) -> None:
    """Print the time and end the process when the first chunk comes back."""
    import importlib.abc
    import importlib.machinery

    name = "lars_plugin.separation.streams.chunked"

    class Finder(importlib.abc.MetaPathFinder):
        """Gets at the module when the command line imports it, and not a moment sooner."""

        def find_spec(self, fullname: str, path: Any, _target: Any = None) -> Any:
            if fullname != name:
                return None
            sys.meta_path.remove(self)
            spec = importlib.machinery.PathFinder.find_spec(fullname, path)
            assert spec is not None
            assert spec.loader is not None
            execute = spec.loader.exec_module

            def patched(module: Any) -> None:
                execute(module)
                plain = module.StreamingSeparator._checked

                def checked(self: Any, chunks: Any, result: Any) -> Any:
                    until = time.time() - started
                    before = time.perf_counter()
                    self._model.backend(chunks)
                    alone = time.perf_counter() - before
                    plain(self, chunks, result)
                    line = json.dumps({"startup_s": round(until - alone, 4)}) + "\n"
                    os.write(1, line.encode())
                    os._exit(0)

                module.StreamingSeparator._checked = checked

            spec.loader.exec_module = patched  # type: ignore[method-assign]
            return spec

    sys.meta_path.insert(0, Finder())


if __name__ == "__main__":
    _main()
