# SPDX-License-Identifier: GPL-3.0-or-later
"""The public surface, and which part may import which."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import lars_plugin
from lars_plugin import errors

PACKAGE = Path(lars_plugin.__file__).parent

# What each part may import besides what may be imported anywhere.
MAY_IMPORT = {
    "networks": set(),
    "backends": {"networks"},
    "zoo": {"backends", "networks"},
    "separation": {"backends", "zoo"},
    "chain": {"separation", "backends", "zoo"},
    "bridge": {"separation", "backends", "zoo", "chain"},
    "midi": {"separation", "backends", "zoo"},
    "evaluation": {"separation", "backends", "zoo", "midi"},
    "bench": {"separation", "backends", "zoo", "evaluation", "cli"},
    "training": {"networks", "zoo", "evaluation", "midi", "separation"},
}
ANYWHERE = {
    "__version__", "errors", "stems", "audio", "allocator", "forks", "synthesis", "zoo.config",
}  # fmt: skip


def test_every_public_name_is_there_and_listed_in_order() -> None:
    names = lars_plugin.__all__
    assert sorted(names) == names
    for name in names:
        assert getattr(lars_plugin, name).__name__ == name
    assert dir(lars_plugin) == names
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = lars_plugin.nothing


def test_every_error_of_the_tree_is_documented_and_derives_from_larserror() -> None:
    assert errors.__doc__
    for name in errors.__all__:
        assert issubclass(getattr(errors, name), errors.LarsError)
        assert name in errors.__doc__


def test_importing_the_package_brings_in_nothing_heavy() -> None:
    code = (
        "import sys, lars_plugin; "
        "sys.exit(str([m for m in ('torch', 'scipy', 'matplotlib', 'pedalboard') "
        "if m in sys.modules] or ''))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""


def imports(path: Path) -> set[str]:
    """Parts of the package that a file imports outside of type checking, as "zoo.config"."""
    found: set[str] = set()

    class Visitor(ast.NodeVisitor):
        def visit_If(self, node: ast.If) -> None:  # the visitor's own naming
            if not (isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"):
                self.generic_visit(node)

        def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
            if node.module and node.module.startswith("lars_plugin."):
                found.add(node.module.removeprefix("lars_plugin."))
            elif node.module == "lars_plugin":
                found.update(alias.name for alias in node.names)

    Visitor().visit(ast.parse(path.read_text(encoding="utf-8")))
    return found


@pytest.mark.parametrize("part", MAY_IMPORT)
def test_imports_point_one_way(part: str) -> None:
    wrong = []
    for path in (PACKAGE / part).rglob("*.py"):
        for name in imports(path):
            top = name.split(".")[0]
            allowed = top in {part, *MAY_IMPORT[part]} or name in ANYWHERE or top in ANYWHERE
            if not allowed:
                wrong.append(f"{path.relative_to(PACKAGE)} imports {name}")
    assert wrong == []
