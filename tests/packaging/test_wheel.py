# SPDX-License-Identifier: GPL-3.0-or-later
"""The built wheel, installed into a clean environment, separates with the embedded model."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

SCRIPT = """
import numpy as np
import lars_plugin
from pathlib import Path

assert Path(lars_plugin.__file__).is_relative_to(Path.cwd()), lars_plugin.__file__
wave = np.random.default_rng(0).standard_normal((2, 30000)).astype(np.float32) * 0.1
stems = lars_plugin.Separator().separate(wave, 44100)
assert list(stems) == ["kick", "snare", "toms", "hihat", "ride", "crash"], list(stems)
assert np.abs(stems.sum() - wave).max() < 1e-5
# What the command line does where OpenVINO is part of the installation.
stems = lars_plugin.Separator(backend="auto", precision="auto").separate(wave, 44100)
assert np.abs(stems.sum() - wave).max() < 1e-5
print("separated")
"""


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
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", folder, ROOT, cwd=folder)
    (path,) = folder.glob("*.whl")
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
    assert any(name.endswith("licenses/LICENSE") for name in names)
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


def test_a_clean_environment_separates_with_the_embedded_model(wheel: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "venv", tmp_path / "venv", cwd=tmp_path)
    binaries = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin")
    constraints = ROOT / "constraints.txt"
    pinned = [line for line in constraints.read_text().splitlines() if line.startswith("torch==")]
    pip: list[str | Path] = [binaries / "python", "-m", "pip"]
    install = [*pip, "install", "--quiet", "-c", constraints]
    run(*install, *pinned, cwd=tmp_path)
    run(*install, wheel, cwd=tmp_path)
    assert "separated" in run(binaries / "python", "-c", SCRIPT, cwd=tmp_path)
    assert "lars-mini" in run(binaries / "lars", "models", "list", cwd=tmp_path)
