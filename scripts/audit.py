# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask pip-audit whether known vulnerabilities are in what constraints.txt pins.

    python scripts/audit.py            # installs pip-audit into build/audit, asks the network
    python scripts/audit.py --list     # only print the command

A finding that does not concern us stands in IGNORED with the reason. A package about which nothing
could be learned is a failure, too, for instance where the index has no list of vulnerabilities.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
VENV = ROOT / "build" / "audit"

# The number of an advisory, and why it does not concern us. Empty: nothing is ignored.
IGNORED: dict[str, str] = {}


def command(python: str) -> list[str]:
    """pip-audit's command line: exact versions, resolved by nobody."""
    line = [python, "-m", "pip_audit", "--no-deps", "--disable-pip", "--strict"]
    line += ["--progress-spinner", "off", "--requirement", str(ROOT / "constraints.txt")]
    for number in IGNORED:
        line += ["--ignore-vuln", number]
    return line


def main() -> int:
    """Returns what pip-audit returns: 0 where nothing is known."""
    python = str(VENV / ("Scripts" if os.name == "nt" else "bin") / "python")
    if sys.argv[1:] == ["--list"]:
        print(*command(python))
        return 0
    if not VENV.exists():
        venv.create(VENV, with_pip=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", "pip-audit"], check=True)
    return subprocess.run(command(python), check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
