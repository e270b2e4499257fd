# SPDX-License-Identifier: GPL-3.0-or-later
"""What makes a release: workflows, the scripts they call, licences, pins."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
import re
import shutil
import stat
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

import lars_plugin
from tests.packaging.commands import ROOT, call, posix, stand_in

SCRIPTS = ROOT / "scripts"
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def script(name: str) -> ModuleType:
    if str(SCRIPTS) not in sys.path:
        sys.path.append(str(SCRIPTS))  # where a script finds those beside it
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def runs() -> list[str]:
    """All `run:` blocks."""
    found = []
    for path in WORKFLOWS:
        for job in yaml.safe_load(path.read_text("utf-8"))["jobs"].values():
            found += [step["run"] for step in job.get("steps", []) if "run" in step]
    return found


@posix
@pytest.mark.skipif(not (shutil.which("node") and shutil.which("npm")), reason="no node and npm")
def test_linters_find_nothing_in_workflows_and_dockerfile_and_something_in_broken_ones(
    tmp_path: Path,
) -> None:
    done = call("scripts/lint_workflows.sh")
    assert done.returncode == 0, done.stdout + done.stderr
    broken = tmp_path / "broken.yml"
    text = (ROOT / ".github" / "workflows" / "tests.yml").read_text("utf-8")
    broken.write_text(text.replace("matrix.python }}", "matrix.pyhton }}"), "utf-8")
    done = call("scripts/lint_workflows.sh", broken)
    assert done.returncode == 1
    assert "pyhton" in done.stdout
    broken = tmp_path / "Dockerfile"
    text = (ROOT / "container" / "Dockerfile").read_text("utf-8")
    broken.write_text(text.replace("install -y ", "install "), "utf-8")
    done = call("scripts/lint_workflows.sh", broken)
    assert done.returncode != 0
    assert "apt-get" in done.stdout


def test_the_workflows_cover_every_system_and_python() -> None:
    jobs = yaml.safe_load((ROOT / ".github/workflows/tests.yml").read_text("utf-8"))["jobs"]
    matrix = jobs["python"]["strategy"]["matrix"]
    assert matrix["python"] == ["3.10", "3.11", "3.12", "3.13"]
    assert jobs["intel-mac"]["strategy"]["matrix"]["python"] == matrix["python"]
    for job in ("python", "packages", "plugin"):
        systems = [name.split("-")[0] for name in jobs[job]["strategy"]["matrix"]["system"]]
        assert systems == ["ubuntu", "macos", "windows"]


def test_every_action_is_pinned_by_its_commit_or_is_ours() -> None:
    used = [
        found
        for path in WORKFLOWS
        for found in re.findall(r"uses: (\S+)(.*)", path.read_text("utf-8"))
    ]
    assert used
    for name, comment in used:
        if not name.startswith("./"):
            assert re.search(r"@[0-9a-f]{40}$", name), name
            assert re.search(r"# v\d", comment), f"{name}: the version is missing"


def test_no_block_of_a_workflow_is_a_program() -> None:
    assert all(len(block.strip().splitlines()) <= 2 for block in runs())
    scripts = {name for block in runs() for name in re.findall(r"scripts/[\w.]+", block)}
    text = "".join(path.read_text("utf-8") for path in ROOT.glob("tests/packaging/*.py"))
    # `make test-pythons` runs this one.
    for name in scripts - {"scripts/test_pythons.py"}:
        assert (ROOT / name).is_file()
        assert Path(name).name in text, f"{name}: not tested"


@posix
def test_shell_scripts_can_be_run() -> None:
    for path in SCRIPTS.glob("*.sh"):
        assert path.stat().st_mode & stat.S_IXUSR, path
        assert call("bash", "-n", path).returncode == 0
    assert "cmake" in call("scripts/plugin_packages.sh", "--list").stdout.split()


def test_ci_tests_installs_first_and_then_runs_what_was_asked() -> None:
    done = call(sys.executable, "scripts/ci_tests.py", "tests/audio", LARS_CI_LIST="1")
    torch, ours, tests = done.stdout.splitlines()
    assert torch.endswith(" torch")
    assert "[dev]" in ours
    assert tests.endswith("-m pytest -q tests/audio")


def test_a_tag_must_agree_with_version_and_changelog(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = script("release_files")
    version = lars_plugin.__version__
    found = release.problems("v99.0.0")
    assert any("v99.0.0" in one for one in found)
    # Versions that stand in several places agree.
    assert not [one for one in release.problems(f"v{version}") if "date" not in one]
    assert release.section(version, (ROOT / "CHANGELOG.md").read_text("utf-8"))
    text = "# Changelog\n\n## [1.2.0] - 2026-01-02\n\n- new\n\n## 1.1.0\n\n- old\n"
    assert release.section("1.2.0", text) == "- new"
    assert release.section("1.1.0", text) == "- old"
    assert release.section("1.1", text) == ""
    notes = call(sys.executable, "scripts/release_files.py", "notes", f"v{version}")
    assert notes.returncode == 0
    assert notes.stdout.strip()


def test_checksums_are_what_sha256sum_reads(tmp_path: Path) -> None:
    (tmp_path / "a.whl").write_bytes(b"a")
    (tmp_path / "b.zip").write_bytes(b"b")
    for _ in range(2):  # the second time its own file is there
        assert call(sys.executable, SCRIPTS / "release_files.py", "sums", tmp_path).returncode == 0
    lines = (tmp_path / "SHA256SUMS").read_text("utf-8").splitlines()
    assert lines == [
        f"{hashlib.sha256(one[:1].encode()).hexdigest()}  {one}" for one in ("a.whl", "b.zip")
    ]
    if shutil.which("sha256sum"):
        subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=tmp_path, check=True)


def test_a_plugin_archive_has_the_bundle_and_licences_and_is_the_same_twice(
    tmp_path: Path,
) -> None:
    bundle = tmp_path / "build/LARS_artefacts/Release/VST3/LARS.vst3/Contents/x86_64-linux"
    bundle.mkdir(parents=True)
    (bundle / "LARS.so").write_bytes(b"\x7fELF" * 100)
    archives = []
    for out in ("one", "two"):
        command = [SCRIPTS / "plugin_archive.py", tmp_path / "build", tmp_path / out]
        done = call(sys.executable, *command)
        assert done.returncode == 0, done.stderr
        archives.append(Path(done.stdout.strip()))
    assert archives[0].read_bytes() == archives[1].read_bytes()
    assert archives[0].name.startswith(f"LARS-{lars_plugin.__version__}-")
    names = zipfile.ZipFile(archives[0]).namelist()
    assert "VST3/LARS.vst3/Contents/x86_64-linux/LARS.so" in names
    assert {"LICENSE", "THIRD_PARTY.md", "Apache-2.0.txt"} <= set(names)
    assert call(sys.executable, SCRIPTS / "plugin_archive.py", tmp_path, tmp_path).returncode == 1


def test_one_archive_is_for_both_kinds_of_macs(monkeypatch: pytest.MonkeyPatch) -> None:
    archive = script("plugin_archive")
    monkeypatch.setattr(sys, "platform", "darwin")
    assert archive.system() == "macos-universal"
    monkeypatch.setattr(sys, "platform", "win32")
    assert archive.system().startswith("windows-")


@posix
def test_pluginval_is_asked_at_its_strictest_and_its_answer_counts(tmp_path: Path) -> None:
    # pluginval is in no package: a program in its place says what it got.
    (tmp_path / "LARS_artefacts/Release/VST3/LARS.vst3").mkdir(parents=True)
    how = stand_in(tmp_path, "pluginval", 'echo "$@"; exit ${ANSWER:-0}') | {"DISPLAY": ":99"}
    command = (sys.executable, SCRIPTS / "run_pluginval.py", tmp_path)
    done = call(*command, **how)
    assert done.returncode == 0, done.stderr
    assert "--strictness-level 10" in done.stdout
    assert done.stdout.strip().endswith("LARS.vst3")
    assert call(*command, **how, ANSWER="1").returncode == 1
    assert call(*command[:2], tmp_path / "nothing", **how).returncode == 2


def test_the_plugin_is_built_from_one_commit_of_juce() -> None:
    build = script("build_plugin")
    assert re.fullmatch(r"[0-9a-f]{40}", build.COMMIT)
    done = call(sys.executable, SCRIPTS / "build_plugin.py", "--help")
    assert done.returncode == 0
    assert "--fetch-juce" in done.stdout


@posix
def test_every_format_of_the_system_is_built_from_that_juce(tmp_path: Path) -> None:
    # tests/host builds the plugin for real; here cmake only says what it was asked.
    answers = 'echo "$@"; case $1 in $FAILS) exit 1;; esac'
    how = stand_in(tmp_path, "cmake", answers) | {"LARS_JUCE_DIR": "/a/juce"}
    command = (sys.executable, SCRIPTS / "build_plugin.py", tmp_path / "b")
    done = call(*command, **how)
    assert done.returncode == 0, done.stderr
    configured, built = done.stdout.splitlines()
    assert "-DLARS_JUCE_DIR=/a/juce" in configured
    assert ("-DLARS_LV2=ON" in configured) == sys.platform.startswith("linux")
    kinds = {"linux": "LARS_LV2", "darwin": "LARS_AU"}
    wanted = {"LARS_VST3", "LARS_Standalone", kinds[sys.platform]}
    assert {one for one in built.split() if one.startswith("LARS_")} == wanted
    for step in ("-S", "--build"):  # of CMake: configure, build
        assert call(*command, **how, FAILS=step).returncode == 1
    rules = (ROOT / "bridge" / "juce" / "CMakeLists.txt").read_text("utf-8")
    assert "list(APPEND formats AU)" in rules


def test_sizes_are_those_of_the_requirements_with_and_without_pytorch() -> None:
    sizes = script("installation_sizes")
    whole, less = sizes.requirements(False), sizes.requirements(True)
    assert [one for one in whole if one not in less] == ["torch>=2.4"]
    assert sizes.disk_size("numpy", metadata.version("numpy")) > 1e6
    assert sizes.disk_size("numpy", "0.1") is None
    assert sizes.archive_size(Path(__file__).as_uri()) == Path(__file__).stat().st_size


def test_the_audit_asks_for_what_is_pinned_and_every_exception_has_a_reason() -> None:
    audit = script("audit")
    assert all(len(reason) > 20 for reason in audit.IGNORED.values())
    done = call(sys.executable, SCRIPTS / "audit.py", "--list")
    assert "pip_audit" in done.stdout
    assert str(ROOT / "constraints.txt") in done.stdout
    assert "--strict" in done.stdout  # else it passes where it has learned nothing


def test_updating_keeps_comments_markers_and_what_others_need() -> None:
    update = script("update_constraints")
    old = (
        "# A word.\nalpha==1.0\nBeta_x==2.0; python_version >= '3.11'\ngone==1\n"
        "other==3; python_version < '3.11'\ntorch==2.13.0\n"
    )
    found = {
        "alpha": ("alpha", "1.5"), "beta-x": ("Beta_x", "3.0"), "new": ("new", "7"),
        "torch": ("torch", "9"), "lars-plugin": ("lars-plugin", "1"),
    }  # fmt: skip
    assert update.updated(old, found) == (
        "# A word.\nalpha==1.5\nBeta_x==3.0; python_version >= '3.11'\nnew==7\n"
        "other==3; python_version < '3.11'\ntorch==2.13.0\n"
    )


def test_all_that_development_installs_is_pinned() -> None:
    text = (ROOT / "constraints.txt").read_text("utf-8")
    pins = {
        re.sub(r"[-_.]+", "-", name).lower() for name in re.findall(r"^([\w.-]+)==", text, re.M)
    }
    waiting, seen, missing = [("lars-plugin", {"dev", ""})], set(), set()
    while waiting:
        name, extras = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        # setuptools is pip's own business.
        if name not in pins and name not in ("lars-plugin", "setuptools"):
            missing.add(name)
        for line in distribution.requires or []:
            needed = Requirement(line)
            marker = needed.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras):
                key = re.sub(r"[-_.]+", "-", needed.name).lower()
                waiting.append((key, set(needed.extras) | {""}))
    assert missing == set()


def test_every_pin_can_be_installed_on_the_pythons_that_it_is_for() -> None:
    pins = map(
        Requirement, re.findall(r"^\w.*$", (ROOT / "constraints.txt").read_text("utf-8"), re.M)
    )
    for pin in pins:
        try:
            wanted = metadata.distribution(pin.name).metadata["Requires-Python"]
        except metadata.PackageNotFoundError:
            continue  # of other systems and Pythons
        for python in ("3.10", "3.11", "3.12", "3.13"):
            if pin.marker is None or pin.marker.evaluate({"python_version": python}):
                # Any patch release will do.
                assert SpecifierSet(wanted or "").contains(f"{python}.99"), f"{pin}: {wanted}"


def test_scripts_for_ci_need_only_the_standard_library_and_read_text_as_utf8() -> None:
    for path in SCRIPTS.glob("*.py"):
        if path.name in ("fuzz_decoder.py", "site_hooks.py", "reference_pages.py"):
            continue
        if path.name in ("build_studio.py", "studio_pictures.py"):  # of the build, of a developer
            continue
        tree = ast.parse(path.read_text("utf-8"))
        names = {
            name.split(".")[0]
            for node in ast.walk(tree)
            for name in (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
        }
        ours = {other.stem for other in SCRIPTS.glob("*.py")}
        assert names <= set(sys.stdlib_module_names) | ours, path


def test_the_citation_has_what_cff_wants_and_the_works_behind_this() -> None:
    # `cffconvert --validate` agreed on 2026-11-28; it brings too many packages to be run here.
    data: dict[str, Any] = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= set(data)
    assert data["version"] == lars_plugin.__version__
    assert {work["title"] for work in data["references"]} == {
        "LARS 2.0",
        "Toward Deep Drum Source Separation",
    }


def test_the_licences_name_every_model_whose_weights_are_in_the_wheel() -> None:
    text = (ROOT / "THIRD_PARTY.md").read_text("utf-8")
    for weights in (ROOT / "models").glob("*/*.safetensors"):
        assert f"`{weights.parent.name}`" in text, weights
        (card,) = weights.parent.glob("*.yaml")
        assert "license: GPL-3.0-or-later" in card.read_text("utf-8")


def test_a_list_of_components_is_cyclonedx(tmp_path: Path) -> None:
    made = script("try_packages").sbom(Path(sys.executable).parent, tmp_path)
    assert json.loads(json.dumps(made)) == made
    assert made["bomFormat"] == "CycloneDX"
    numpy = next(one for one in made["components"] if one["name"] == "numpy")
    assert numpy["purl"] == f"pkg:pypi/numpy@{metadata.version('numpy')}"


def test_the_changelog_has_the_usual_form() -> None:
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert "keepachangelog.com" in text
    form = r"\[(Unreleased|\d+\.\d+\.\d+)\]( - (\d{4}-\d\d-\d\d|unreleased))?"
    for heading in re.findall(r"^## (.*)$", text, re.MULTILINE):
        assert re.fullmatch(form, heading), heading
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.*)$", text, re.MULTILINE)) <= kinds
