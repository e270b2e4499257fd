# SPDX-License-Identifier: GPL-3.0-or-later
"""One word for a thing, and plain English: words that were retired do not come back.

The tables give the word to use instead. Places where an old word remains are listed beside it; a
place is a file or a folder. Remove a place from the list when it no longer needs the word.
"""

from __future__ import annotations

import functools
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = "lars_plugin/"

# Phrase (regular expression), what to write instead, places where it is still allowed.
PHRASES: dict[str, tuple[str, tuple[str, ...]]] = {
    r"\brecut\b": ("rechunk", ()),
    r"stand[-_]?ins?\b": ("fallback", ()),
    r"\bfacts\b": ("environment", ()),
    r"\brack\b": ("stem chains", ()),
    r"\bpipeline\b": ("prefetch", ()),
    r"\b(an?|one|arguments|choice|settings?|values?) that cannot be\b[^a-z]*$": (
        "invalid ...",
        (),
    ),
    r"(?<!\bthere )\b(is|are|was|were) no (?!longer|more than|less than|such|use)[a-z]": (
        "is not a ...",
        (),
    ),
    r"\bthe (better|more|longer|fewer|less)\b[^.,]*, the (better|more|longer|fewer|less)\b": (
        "longer ... give better ...",
        (),
    ),
    r"\bas if new\b": ("back to the initial state", ()),
    r"\b(twice|again) is fine\b": ("may be called twice", ()),
}

# The same for names in the package's code.
NAMES: dict[str, tuple[str, tuple[str, ...]]] = {
    "made": ("result", ("lars_plugin/midi/settings.py",)),  # the key `made` of midi.json
    "told": ("on_warning", ()),
    "asked": ("requested", ()),
}

# What the documents say of a refinement, where "fit" means training.
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "docs", "models", "bridge")


@functools.cache
def lines(path: Path) -> tuple[str, ...]:
    """Of a file, read once for all tests."""
    return tuple(path.read_text(encoding="utf-8").splitlines())


@functools.cache
def sources(*suffixes: str) -> tuple[Path, ...]:
    """The package's code, the bridge's, and the documents."""
    return tuple(_sources(suffixes))


def _sources(suffixes: tuple[str, ...]) -> Iterator[Path]:
    for place in ("lars_plugin", "examples", *DOCUMENTS):
        path = ROOT / place
        found = [path] if path.is_file() else sorted(path.rglob("*"))
        for file in found:
            parts = file.relative_to(ROOT).parts
            if file.suffix in suffixes and "build" not in parts and "_models" not in parts:
                yield file


def allowed(path: Path, places: tuple[str, ...]) -> bool:
    """Whether a file is one of the places or below one."""
    name = path.relative_to(ROOT).as_posix()
    return any(name == place or (place[-1] == "/" and name.startswith(place)) for place in places)


@pytest.mark.parametrize("phrase", PHRASES)
def test_a_retired_phrase_stands_only_where_the_list_allows_it(phrase: str) -> None:
    instead, places = PHRASES[phrase]
    pattern = re.compile(phrase, re.IGNORECASE)
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in sources(".py", ".md", ".h", ".cpp", ".toml")
        if not allowed(path, places)
        for number, line in enumerate(lines(path), 1)
        if pattern.search(line)
    ]
    assert not found, f"write {instead!r} instead:\n" + "\n".join(found)


@pytest.mark.parametrize("name", NAMES)
def test_a_retired_name_is_used_only_where_the_list_allows_it(name: str) -> None:
    instead, places = NAMES[name]
    found = []
    for path in sources(".py"):
        if not path.relative_to(ROOT).as_posix().startswith(PACKAGE) or allowed(path, places):
            continue
        with path.open("rb") as handle:
            found += [
                f"{path.relative_to(ROOT)}:{token.start[0]}: {token.line.strip()}"
                for token in tokenize.tokenize(handle.readline)
                if token.type == tokenize.NAME and token.string == name
            ]
    assert not found, f"call it {instead!r} instead:\n" + "\n".join(found)


def test_documents_call_it_refinement_as_fit_is_training() -> None:
    pattern = re.compile(r"\b(the|a|no|one|three) fits?\b", re.IGNORECASE)
    found = [
        f"{path.relative_to(ROOT)}: {line}"
        for path in sources(".md")
        for line in lines(path)
        if pattern.search(line)
    ]
    assert not found, "\n".join(found)
