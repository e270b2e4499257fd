# SPDX-License-Identifier: GPL-3.0-or-later
"""Install the package for development into ``build/ci`` and run its tests, on any system.

    python scripts/ci_tests.py              # all but the plugin's
    python scripts/ci_tests.py tests/audio  # these

The constraints are those of the Python they were tested with; other Pythons take what fits.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
VENV = ROOT / "build" / "ci"


def steps(tests: list[str]) -> list[list[str]]:
    """The commands, one after the other."""
    python = str(VENV / ("Scripts" if os.name == "nt" else "bin") / "python")
    pip = [python, "-m", "pip", "install", "--quiet", "--constraint", str(ROOT / "constraints.txt")]
    # Linux: without CUDA, which no runner has.
    cpu = ["--index-url", "https://download.pytorch.org/whl/cpu"] if sys.platform == "linux" else []
    return [
        [*pip, *cpu, "torch"],
        [*pip, "--editable", f"{ROOT}[dev]"],
        [python, "-m", "pytest", "-q", *tests],
    ]


def main() -> int:
    """Returns what the first failing command returned, or 0."""
    if os.environ.get("LARS_CI_LIST"):  # only say what would be done
        print(*[" ".join(step) for step in steps(sys.argv[1:])], sep="\n")
        return 0
    venv.create(VENV, with_pip=True, clear=True)
    for step in steps(sys.argv[1:]):
        print("+", " ".join(step), flush=True)
        code = subprocess.run(step, cwd=ROOT, check=False).returncode
        if code:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
