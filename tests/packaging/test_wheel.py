# SPDX-License-Identifier: GPL-3.0-or-later
"""The built wheel, installed into a clean environment, separates with the embedded model."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*command: str | Path, cwd: Path) -> str:
    # The environment's own packages must not leak into the clean one.
    env = {
        k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV", "LARS"))
    }
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env=env, text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the wheel and the sdist; `make release-check` has built them already."""
    if ready := os.environ.get("LARS_DIST"):
        return ROOT / ready
    folder = tmp_path_factory.mktemp("dist")
    told = run(sys.executable, ROOT / "scripts" / "build_packages.py", folder, cwd=folder)
    assert told.count("twice the same") == 2
    return folder


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    (path,) = dist.glob("*.whl")
    return path


def test_the_wheel_holds_models_and_types_and_claims_no_foreign_names(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert "lars_plugin/_models/lars-mini/weights.safetensors" in names
    assert "lars_plugin/_models/lars-mini/midi.weights.safetensors" in names
    assert "lars_plugin/midi/tuned/stems.weights.safetensors" in names
    assert "lars_plugin/_models/lars-transcriber/transcriber.yaml" in names
    assert "lars_plugin/_models/lars-transcriber/weights.safetensors" in names
    assert "lars_plugin/_models/lars-transcriber-live/weights.safetensors" in names
    assert "lars_plugin/_models/mdx23c-small/config.yaml" in names
    assert "lars_plugin/evaluation/templates/report.html.j2" in names
    assert "lars_plugin/py.typed" in names
    if shutil.which("npm"):  # which builds the studio's page
        assert "lars_plugin/studio/web/index.html" in names
    for name in ("LICENSE", "THIRD_PARTY.md"):
        assert any(one.endswith(f"licenses/{name}") for one in names)
    # Converted models would add 40 MB: they are an archive of their own.
    assert not [name for name in names if "/prepared/" in name]
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"lars_plugin"}
    # Three models and two transcribers of ours, with their MIDI settings, take 25.2 MB of that.
    assert wheel.stat().st_size < 26_600_000


def test_openvino_is_part_of_an_installation_where_it_has_been_measured(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
    metadata = archive.read(name).decode()
    lines = [line for line in metadata.splitlines() if "Requires-Dist: openvino" in line]
    by_default = [line for line in lines if "extra ==" not in line]
    assert len(by_default) == 1, lines
    assert "x86_64" in by_default[0], lines
    assert "AMD64" in by_default[0], lines
    assert any("extra == 'openvino'" in line.replace('"', "'") for line in lines), lines


def test_the_sdist_has_what_its_tests_and_documents_need(dist: Path) -> None:
    (path,) = dist.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    for name in (
        "pyproject.toml", "LICENSE", "THIRD_PARTY.md", "SECURITY.md", "CITATION.cff",
        "scripts/build_packages.py", "docs/models.md", "models/lars-mini/weights.safetensors",
        "bridge/juce/CMakeLists.txt", "tests/packaging/test_wheel.py",
    ):  # fmt: skip
        assert name in names, name


def test_a_clean_environment_separates_with_the_embedded_model(dist: Path, tmp_path: Path) -> None:
    script, sbom = ROOT / "scripts" / "try_packages.py", tmp_path / "sbom.json"
    told = run(sys.executable, script, dist, "--only", "wheel", "--keep-sbom", sbom, cwd=tmp_path)
    assert told.strip().endswith("separated")
    listed = {one["name"] for one in json.loads(sbom.read_text("utf-8"))["components"]}
    assert {"lars-plugin", "numpy", "torch"} <= listed
