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

# The rooms of docs/architecture.md, left to right: each may import from those before it.
ROOMS = (
    ("errors",), ("leftovers",), ("files",),
    ("stems",), ("pickling", "allocator", "forks", "synthesis"), ("audio",),
    ("model",), ("dsp",), ("networks",), ("backends",), ("refine",), ("composites",), ("zoo",),
    ("separation",), ("options",), ("cluster",),
    ("chain",), ("midi",), ("evaluation",), ("bridge",), ("training",),
    ("demo", "testing"), ("cli",), ("bench",), ("batch",), ("studio",),
)  # fmt: skip
PLACE = {name: number for number, names in enumerate(ROOMS) for name in names}


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


def imports(path: Path, *, lazy: bool = True) -> set[str]:
    """Modules that a file imports outside of type checking, as "zoo.load".

    Args:
        path: of the file.
        lazy: those inside of functions too.
    """
    found: set[str] = set()

    class Visitor(ast.NodeVisitor):
        def visit_If(self, node: ast.If) -> None:  # the visitor's own naming
            if not (isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"):
                self.generic_visit(node)

        def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
            if lazy:
                self.generic_visit(node)

        def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
            if node.module and node.module.startswith("lars_plugin."):
                found.add(node.module.removeprefix("lars_plugin."))
            elif node.module == "lars_plugin":
                found.update(alias.name for alias in node.names)

    Visitor().visit(ast.parse(path.read_text(encoding="utf-8")))
    return found


FILES = sorted(
    path for path in PACKAGE.rglob("*.py") if path.name not in ("__init__.py", "__main__.py")
    or path.parent != PACKAGE
)  # fmt: skip


def test_every_room_has_its_place() -> None:
    assert {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in FILES} == set(PLACE)


def test_imports_point_one_way() -> None:
    wrong = []
    for path in FILES:
        file = path.relative_to(PACKAGE)
        here = file.parts[0].removesuffix(".py")
        for name in imports(path) - {"__version__"}:
            there = name.split(".")[0]
            if there != here and PLACE[there] >= PLACE[here]:
                wrong.append(f"{file} imports {name}")
    assert wrong == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {}
    for path in FILES:
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        graph[name] = imports(path, lazy=False)
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " imports ".join((*trail[trail.index(name) :], name))
        if name in graph and name not in done:
            for other in graph[name]:
                visit(other, (*trail, name))
            done.add(name)

    for name in graph:
        visit(name, ())


def test_no_python_file_is_longer_than_400_lines() -> None:
    root = PACKAGE.parent
    folders = ("lars_plugin", "tests", "examples", "scripts")
    files = [path for folder in folders for path in (root / folder).rglob("*.py")]
    long = [path for path in files if len(path.read_text(encoding="utf-8").splitlines()) > 400]
    assert [str(path.relative_to(root)) for path in long] == []
