# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation site: it builds without a warning, and a dead link is one."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import lars_plugin
from lars_plugin.cli import COMMANDS

ROOT = Path(__file__).parents[2]


def build(root: Path, out: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mkdocs", "build", "-f", str(root / "mkdocs.yml")]
    return subprocess.run(
        [*command, "-d", str(out)], capture_output=True, text=True, check=False, cwd=root
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of all documents."""
    hooks = [ROOT / "scripts" / f"{name}.py" for name in ("site_hooks", "reference_pages")]
    cards = ROOT.glob("models/*/README.md")
    code = (ROOT / "lars_plugin").rglob("*.py")
    for path in [*ROOT.glob("*.md"), ROOT / "mkdocs.yml", *hooks, *cards, *code]:
        to = tmp_path / path.relative_to(ROOT)
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, to)
    shutil.copy(ROOT / "models" / "README.md", tmp_path / "models")
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    shutil.copytree(ROOT / "bridge", tmp_path / "bridge", ignore=shutil.ignore_patterns("juce"))
    for folder in ("examples", "bridge/juce"):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    for name in ("LICENSE",):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def test_the_site_has_every_document_and_no_dead_link(tmp_path: Path) -> None:
    done = build(ROOT, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    pages = {path.parent.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("index.html")}
    assert {".", "live", "midi", "speed", "architecture", "bridge", "models/lars-mini"} <= pages
    assert {"reference/separation", "reference/cli", "installation", "releasing"} <= pages
    assert "Drum demixing" in (tmp_path / "index.html").read_text(encoding="utf-8")
    # Docstrings are read: the class, what it takes, what it raises.
    separation = (tmp_path / "reference/separation/index.html").read_text(encoding="utf-8")
    assert 'id="lars_plugin.Separator"' in separation
    assert "Raises" in separation
    assert ":class:" not in separation
    commands = (tmp_path / "reference/cli/index.html").read_text(encoding="utf-8")
    for command in COMMANDS:
        assert f"usage: lars {command.name}" in commands
    assert "usage: lars models prepare" in commands


def test_every_public_name_is_in_the_reference_and_in_an_example_there() -> None:
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "docs/reference").glob("*.md")]
    text = "\n".join(texts)
    listed = re.findall(r"^::: lars_plugin\.(\w+)$", text, re.MULTILINE)
    assert sorted(listed) == sorted(lars_plugin.__all__)
    # tests/docs/test_documents.py runs them.
    examples = "\n".join(re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
    for name in lars_plugin.__all__:
        assert re.search(rf"\b{name}\b", examples), name


@pytest.mark.parametrize("document", ["README.md", "docs/live.md", "models/lars-mini/README.md"])
def test_a_dead_link_fails_the_build(checkout: Path, document: str, tmp_path: Path) -> None:
    path = checkout / document
    path.write_text(path.read_text(encoding="utf-8") + "\n[gone](no/such/page.md)\n", "utf-8")
    done = build(checkout, tmp_path / "out")
    assert done.returncode != 0
    assert "no/such/page.md" in done.stdout + done.stderr
