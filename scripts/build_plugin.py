# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the plugin with CMake, on any system.

    python scripts/build_plugin.py build/juce                # JUCE of the system, or LARS_JUCE_DIR
    python scripts/build_plugin.py build/juce --fetch-juce   # JUCE 7.0.5 by its commit

VST3 and a standalone program everywhere, AU on macOS, LV2 on Linux; CLAP, too, where LARS_CLAP_DIR
is a checkout of clap-juce-extensions with its submodules.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
JUCE = "https://github.com/juce-framework/JUCE.git"
# Tag 7.0.5, what Debian's juce-modules-source is made of.
COMMIT = "69795dc8e589a9eb5df251b6dd994859bf7b3fab"


def fetch(folder: Path) -> None:
    """That commit of JUCE and nothing else; git checks that it is the one."""
    if (folder / "CMakeLists.txt").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    git = ["git", "-C", str(folder)]
    subprocess.run([*git, "init", "--quiet"], check=True)
    subprocess.run([*git, "fetch", "--quiet", "--depth", "1", JUCE, COMMIT], check=True)
    subprocess.run([*git, "checkout", "--quiet", "--detach", COMMIT], check=True)


def main() -> int:
    """Configure and build."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("build", type=Path, help="CMake's build folder")
    parser.add_argument("--fetch-juce", action="store_true", help="get JUCE from its repository")
    args = parser.parse_args()
    juce = os.environ.get("LARS_JUCE_DIR", "")
    if args.fetch_juce:
        juce = str((ROOT / "build" / "juce-source").resolve())
        fetch(Path(juce))
    configure = ["cmake", "-S", str(ROOT / "bridge" / "juce"), "-B", str(args.build)]
    lv2 = sys.platform.startswith("linux")
    configure += ["-DCMAKE_BUILD_TYPE=Release", f"-DLARS_LV2={'ON' if lv2 else 'OFF'}"]
    if not (args.build / "CMakeCache.txt").exists():
        configure.append("-DLARS_TESTS=OFF")
    if juce:
        configure.append(f"-DLARS_JUCE_DIR={juce}")
    clap = os.environ.get("LARS_CLAP_DIR", "")
    if clap:
        configure.append(f"-DLARS_CLAP_DIR={clap}")
    if sys.platform == "darwin":
        # One plugin for both kinds of Macs.
        configure.append("-DCMAKE_OSX_ARCHITECTURES=arm64;x86_64")
        configure.append("-DCMAKE_OSX_DEPLOYMENT_TARGET=11.0")
    subprocess.run(configure, check=True)
    targets = ["LARS_VST3", "LARS_Standalone"]
    targets += ["LARS_AU"] if sys.platform == "darwin" else []
    targets += ["LARS_LV2"] if lv2 else []
    targets += ["LARS_CLAP"] if clap else []
    jobs = os.environ.get("LARS_PLUGIN_JOBS", str(os.cpu_count() or 1))
    build = ["cmake", "--build", str(args.build), "--config", "Release", "--parallel", jobs]
    return subprocess.run([*build, "--target", *targets], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
