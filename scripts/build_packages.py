# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the wheel and the sdist twice, and keep them only if both times gave the same bytes.

    python scripts/build_packages.py dist
    python scripts/build_packages.py dist --prepared FOLDER   # a wheel with converted models in it

The time in the archives is that of the last commit, or SOURCE_DATE_EPOCH. Then `twine check
--strict` and `check-wheel-contents` look at them, where they are installed; with ``--strict`` they
have to be, and the wheel needs the studio's page, which npm builds. ``--prepared`` takes what
`lars models prepare -o FOLDER` made.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
# A build without npm leaves the page out and says so where nobody reads it.
PAGE = "lars_plugin/studio/web/index.html"
# Modules that look at what was built, and how each is called.
CHECKS = {
    "twine": ("-m", "twine", "check", "--strict"),
    "check_wheel_contents": ("-m", "check_wheel_contents"),
}


def epoch() -> str:
    """Seconds since 1970 that the archives get."""
    if given := os.environ.get("SOURCE_DATE_EPOCH"):
        return given
    command = ["git", "log", "-1", "--format=%ct"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    # 1 February 2020: no archive of ours is older, and zip files begin with 1980.
    return done.stdout.strip() if done.returncode == 0 else "1580515200"


def copy_tree(folder: Path) -> None:
    """What git knows, and where there is no git, everything but builds."""
    done = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, check=False,
    )  # fmt: skip
    if done.returncode:
        skipped = shutil.ignore_patterns(".*", "build", "dist", "__pycache__", "*.egg-info")
        shutil.copytree(ROOT, folder, ignore=skipped, dirs_exist_ok=True)
        shutil.copy(ROOT / ".gitignore", folder)
        return
    for name in filter(None, os.fsdecode(done.stdout).split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
            # The same for everybody, whatever the umask was at the checkout.
            (folder / name).chmod(0o755 if os.access(ROOT / name, os.X_OK) else 0o644)


def build(out: Path, prepared: Path | None) -> dict[str, str]:
    """Build both from a fresh copy; returns the SHA-256 of each file."""
    with tempfile.TemporaryDirectory() as made:
        tree = Path(made) / "tree"
        tree.mkdir()
        copy_tree(tree)
        if prepared is not None:
            shutil.copytree(prepared, tree / "models" / "prepared")
        kinds = ["--wheel"] if prepared is not None else ["--wheel", "--sdist"]
        isolation = [] if importlib.util.find_spec("hatchling") is None else ["--no-isolation"]
        subprocess.run(
            [sys.executable, "-m", "build", *kinds, *isolation, "-o", str(out), str(tree)],
            env={**os.environ, "SOURCE_DATE_EPOCH": epoch(), "PYTHONHASHSEED": "0"},
            check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
    files = sorted(path for path in out.iterdir() if path.suffix in (".whl", ".gz"))
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def main() -> int:
    """Build, compare, check; 1 if something is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path, help="the folder for the files")
    parser.add_argument("--prepared", type=Path, help="converted models, for the wheel")
    parser.add_argument("--strict", action="store_true", help="fail where a check is missing")
    args = parser.parse_args()
    if (ROOT / "models" / "prepared").exists():
        print("models/prepared is there: move it away, or give --prepared", file=sys.stderr)
        return 1
    args.out.mkdir(parents=True, exist_ok=True)
    for old in [*args.out.glob("*.whl"), *args.out.glob("*.tar.gz")]:
        old.unlink()
    first = build(args.out, args.prepared)
    with tempfile.TemporaryDirectory() as again:
        second = build(Path(again), args.prepared)
    if first != second:
        print(f"two builds differ: {first} and {second}", file=sys.stderr)
        return 1
    paths = [args.out / name for name in first]
    wheels = [path for path in paths if path.suffix == ".whl"]
    if not all(PAGE in zipfile.ZipFile(path).namelist() for path in wheels):
        print(
            "the page of lars studio is not in the wheel: run scripts/build_studio.py, which says"
            " why",
            file=sys.stderr,
        )
        if args.strict:
            return 1
    for module, command in CHECKS.items():
        if importlib.util.find_spec(module) is None:
            print(f"{module} is not installed: not checked", file=sys.stderr)
            if args.strict:
                return 1
            continue
        looked_at = map(str, paths if module == "twine" else wheels)
        if subprocess.run([sys.executable, *command, *looked_at], cwd=ROOT).returncode:
            return 1
    for path in paths:
        print(
            f"{first[path.name]}  {path.name}  {path.stat().st_size / 1e6:.1f} MB, twice the same"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
