# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a selection of the tests that do not need PyTorch on every supported Python of this machine.

    python scripts/test_pythons.py            # those found
    python scripts/test_pythons.py 3.12 3.13  # these, and it is an error if one is missing

Pythons are searched for on the PATH, in pyenv and in uv. Each gets its own environment below
``build/pythons``, with the package's requirements except PyTorch and OpenVINO. Those are several
hundred megabytes and are tested by ``make test``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SUPPORTED = ("3.10", "3.11", "3.12", "3.13")
NEEDED = (
    "hypothesis", "matplotlib", "mido", "mir_eval", "numpy", "pedalboard", "platformdirs", "pytest",
    "pyyaml", "rich", "safetensors", "scipy", "soundfile", "soxr", "threadpoolctl", "tomli",
)  # fmt: skip
TESTS = (
    "tests/audio",
    "tests/bridge/client/test_alignment.py",
    "tests/bridge/protocol/test_wire.py",
    "tests/evaluation/test_metrics.py",
    "tests/evaluation/test_scoring.py",
    "tests/midi/test_mel.py",
    "tests/midi/test_scoring.py",
    "tests/midi/test_tempo_and_file.py",
    "tests/separation/streams/test_chunked.py",
    "tests/test_files.py",
    "tests/test_stems.py",
    # It separates with a PyTorch network.
    "--deselect=tests/audio/test_channels.py"
    "::test_the_command_names_the_option_and_does_what_it_says",
)


def find(version: str) -> str | None:
    """An interpreter of this version (``3.12``), or None."""
    home = Path.home()
    places = [shutil.which(f"python{version}") or ""]
    pyenv = Path(os.environ.get("PYENV_ROOT", home / ".pyenv")) / "versions"
    uv = Path(os.environ.get("UV_PYTHON_INSTALL_DIR", home / ".local/share/uv/python"))
    places += [str(path / "bin" / "python") for path in sorted(pyenv.glob(f"{version}.*"))]
    places += [str(path / "bin" / "python3") for path in sorted(uv.glob(f"cpython-{version}.*"))]
    asks = "import sys, venv; print('%d.%d' % sys.version_info[:2])"
    for place in filter(None, places):
        # pyenv's shims exist for versions that are not active, and fail when they are called.
        try:
            told = subprocess.run([place, "-c", asks], capture_output=True, text=True, check=False)
        except OSError:
            continue
        if told.returncode == 0 and told.stdout.strip() == version:
            return place
    return None


def run(version: str, python: str) -> bool:
    """Set up an environment, if there is none yet, and run the tests in it."""
    folder = ROOT / "build" / "pythons" / version
    bin_ = folder / ("Scripts" if sys.platform == "win32" else "bin")
    ready = folder / ".ready"
    if not ready.exists() or ready.read_text() != " ".join(NEEDED):
        subprocess.run([python, "-m", "venv", "--clear", str(folder)], check=True)
        pip = [
            str(bin_ / "python"),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ]
        subprocess.run([*pip, *NEEDED], check=True)
        ready.write_text(" ".join(NEEDED))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [str(bin_ / "python"), "-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode == 0


def main() -> int:
    """Run them all and print a line for each."""
    wanted = sys.argv[1:] or SUPPORTED
    found = {version: find(version) for version in wanted}
    if sys.argv[1:] and None in found.values():
        missing = ", ".join(version for version, python in found.items() if python is None)
        print(f"no Python {missing} found; install it with pyenv or uv", file=sys.stderr)
        return 2
    results = {
        version: "not installed"
        if python is None
        else "passed"
        if run(version, python)
        else "FAILED"
        for version, python in found.items()
    }
    for version, result in results.items():
        print(f"Python {version}: {result}")
    if set(results.values()) == {"not installed"}:
        print("no supported Python was found", file=sys.stderr)
        return 2
    return 1 if "FAILED" in results.values() else 0


if __name__ == "__main__":
    sys.exit(main())
