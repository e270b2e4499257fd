# SPDX-License-Identifier: GPL-3.0-or-later
"""What an installation brings: packages, MB to download, MB on the disk.

    python scripts/installation_sizes.py                         # as pip would install it here
    python scripts/installation_sizes.py --index-url https://pypi.org/simple
    python scripts/installation_sizes.py --without-torch
    python scripts/installation_sizes.py --separate              # what prepared models need

pip resolves the requirements of this checkout (``--dry-run``, nothing is installed). The size of
each archive is what the index says, and the size on the disk is that of the same version in the
environment this runs in. ``?``: another version is installed here, or none.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import urllib.request
from importlib import import_module, metadata
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).parents[1]
TORCH = "torch"


def requirements(without_torch: bool) -> list[str]:
    """The package's own, of pyproject.toml."""
    tomllib = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted: list[str] = project["dependencies"]
    return [one for one in wanted if not (without_torch and one.startswith(TORCH))]


def resolve(wanted: list[str], index: str | None) -> list[dict[str, Any]]:
    """What pip would download, an entry for each package."""
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet"]
    environment = dict(os.environ)
    if index:
        command += ["--index-url", index]
        # Only that index: neither the folders nor the configuration of this machine.
        environment |= {"PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": ""}
    else:
        command += ["--constraint", str(ROOT / "constraints.txt")]
    done = subprocess.run(
        [*command, "--report", "-", *wanted],
        env=environment, stdout=subprocess.PIPE, text=True, encoding="utf-8", check=True,
    )  # fmt: skip
    found: list[dict[str, Any]] = json.loads(done.stdout)["install"]
    return found


def archive_size(url: str) -> int:
    """Bytes of an archive, without downloading it; 0 where nobody says."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        return Path(unquote(parts.path)).stat().st_size
    request = urllib.request.Request(url, method="HEAD")
    with urllib.request.urlopen(request, timeout=60) as answer:
        return int(answer.headers.get("Content-Length") or 0)


def disk_size(name: str, version: str) -> int | None:
    """Bytes of an installed package, if it is this version (a ``+cpu`` at its end left aside)."""
    try:
        found = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return None
    if found.version.split("+")[0] != version.split("+")[0]:
        return None
    paths = [Path(str(file.locate())) for file in found.files or []]
    return sum(path.stat().st_size for path in paths if path.is_file())


def table(found: list[dict[str, Any]]) -> str:
    """Largest first, with a sum; small packages share a line."""
    rows = []
    for entry in found:
        name, version = entry["metadata"]["name"], entry["metadata"]["version"]
        disk = disk_size(name, version)
        rows.append((archive_size(entry["download_info"]["url"]), disk, f"{name} {version}"))
    rows.sort(key=lambda row: -row[0])
    lines = ["| package | download, MB | on the disk, MB |", "|---|---:|---:|"]
    small = [row for row in rows if row[0] < 2e6]
    for size, disk, name in [row for row in rows if row[0] >= 2e6]:
        lines.append(
            f"| {name} | {size / 1e6:.1f} | {'?' if disk is None else f'{disk / 1e6:.1f}'} |"
        )
    for label, some in ((f"{len(small)} more", small), (f"all {len(rows)}", rows)):
        size, disk = sum(row[0] for row in some), sum(row[1] or 0 for row in some)
        whole = all(row[1] is not None for row in some)
        lines.append(f"| {label} | {size / 1e6:.1f} | {f'{disk / 1e6:.1f}' if whole else '?'} |")
    return "\n".join(lines)


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--index-url", help="the only index to ask (default: pip's settings)")
    parser.add_argument("--without-torch", action="store_true", help="leave PyTorch out")
    parser.add_argument("--separate", action="store_true", help="only what `lars separate` needs")
    args = parser.parse_args()
    wanted = requirements(args.without_torch)
    if args.separate:
        lines = (ROOT / "requirements" / "separate.txt").read_text("utf-8").splitlines()
        wanted = [line for line in lines if not line.startswith("#")]
    print(table(resolve(wanted, args.index_url)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
