# SPDX-License-Identifier: GPL-3.0-or-later
"""Install what was built into empty environments and separate a recording with each.

    python scripts/try_packages.py dist
    python scripts/try_packages.py dist --only wheel
    python scripts/try_packages.py dist --keep-sbom FILE --prepare FOLDER

``--keep-sbom`` writes a CycloneDX list of what the wheel's environment contains. ``--prepare``
converts the embedded models there and packs them as ``lars-prepared-VERSION.zip``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any

from plugin_archive import pack

ROOT = Path(__file__).parents[1]

PROGRAM = """
import sys
import numpy as np
import lars_plugin
from pathlib import Path

assert Path(lars_plugin.__file__).is_relative_to(sys.prefix), lars_plugin.__file__
wave = np.random.default_rng(0).standard_normal((2, 30000)).astype(np.float32) * 0.1
# The second is what the command line does where OpenVINO is part of the installation.
for how in ({}, {"backend": "auto", "precision": "auto"}):
    stems = lars_plugin.Separator(**how).separate(wave, 44100)
    assert list(stems) == ["kick", "snare", "toms", "hihat", "ride", "crash"], list(stems)
    assert np.abs(stems.sum() - wave).max() < 1e-5
print("separated")
"""


def run(*command: str | Path, cwd: Path) -> str:
    """What a command prints; the packages of whoever calls do not leak into it."""
    foreign = ("PYTHON", "VIRTUAL_ENV", "LARS")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(foreign)}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment, text=True, encoding="utf-8",
        capture_output=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}:\n{done.stdout}{done.stderr}")
    return done.stdout


def try_one(package: Path, folder: Path) -> Path:
    """Install a package into an empty environment, and use it; returns its folder of programs."""
    venv.create(folder / "venv", with_pip=True)
    programs = folder / "venv" / ("Scripts" if os.name == "nt" else "bin")
    pip: list[str | Path] = [programs / "python", "-m", "pip", "install", "--quiet"]
    constraints = ROOT / "constraints.txt"
    pinned = [
        line for line in constraints.read_text("utf-8").splitlines() if line.startswith("torch==")
    ]
    index: list[str] = []
    if sys.platform == "linux" and os.environ.get("GITHUB_ACTIONS"):
        index = ["--index-url", "https://download.pytorch.org/whl/cpu"]
    run(*pip, "-c", constraints, *index, *pinned, cwd=folder)
    run(*pip, "-c", constraints, package, cwd=folder)
    print(package.name, run(programs / "python", "-c", PROGRAM, cwd=folder).strip(), flush=True)
    listed = run(programs / "lars", "models", "list", cwd=folder)
    if "lars-mini" not in listed:
        raise SystemExit(f"{package.name}: lars-mini is not among its models:\n{listed}")
    return programs


def sbom(programs: Path, folder: Path) -> dict[str, Any]:
    """A CycloneDX 1.5 list of the packages in an environment."""
    found = json.loads(run(programs / "python", "-m", "pip", "inspect", cwd=folder))
    components = []
    for entry in found["installed"]:
        data = entry["metadata"]
        licence = data.get("license_expression") or (data.get("license") or "").split("\n")[0]
        components.append(
            {
                "type": "library",
                "name": data["name"],
                "version": data["version"],
                "purl": f"pkg:pypi/{data['name'].lower()}@{data['version']}",
                **({"licenses": [{"license": {"name": licence[:100]}}]} if licence else {}),
            }
        )
    components.sort(key=lambda one: one["name"].lower())
    return {"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1, "components": components}


def main() -> int:
    """Try them all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="with a wheel and an sdist")
    parser.add_argument("--only", choices=("wheel", "sdist"), help="leave the other out")
    parser.add_argument("--keep-sbom", type=Path, metavar="FILE", help="write a CycloneDX list")
    parser.add_argument("--prepare", type=Path, metavar="FOLDER", help="convert models and pack")
    args = parser.parse_args()
    patterns = {"wheel": "*.whl", "sdist": "*.tar.gz"}
    for kind, pattern in patterns.items():
        if args.only not in (None, kind):
            continue
        packages = sorted(args.folder.resolve().glob(pattern))
        if len(packages) != 1:
            print(f"{args.folder} has {len(packages)} files {pattern}, not one", file=sys.stderr)
            return 1
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as made:
            programs = try_one(packages[0], Path(made))
            if kind == "wheel" and args.keep_sbom:
                args.keep_sbom.parent.mkdir(parents=True, exist_ok=True)
                text = json.dumps(sbom(programs, Path(made)), indent=1) + "\n"
                args.keep_sbom.write_text(text, "utf-8")
            if kind == "wheel" and args.prepare:
                out = Path(made) / "prepared"
                run(programs / "lars", "models", "prepare", "-o", out, cwd=Path(made))
                version = packages[0].name.split("-")[1]
                args.prepare.mkdir(parents=True, exist_ok=True)
                print(pack(args.prepare / f"lars-prepared-{version}.zip", {"prepared": out}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
