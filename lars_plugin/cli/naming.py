# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of output files: a template, filled in, that cannot leave its folder."""

from __future__ import annotations

import hashlib
import os
import string
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath

from lars_plugin.audio import printable
from lars_plugin.errors import InputError

__all__ = ["DEFAULT_TEMPLATE", "FIELDS", "OutputNames", "conflicts", "same_file_key"]

DEFAULT_TEMPLATE = "{track}/{stem}.{ext}"

FIELDS = {
    "track": "the input's name without extension",
    "stem": "the stem's name",
    "ext": "wav or flac",
    "model": "the model's name",
    "folder": "the name of the folder that holds the input",
    "path": "the folders between the folder that was named and the input",
    "root": "the name of the folder that was named",
    "suffix": "the input's extension",
}

# Of an input these may have nothing to say.
_MAY_BE_EMPTY = ("path", "root", "suffix")

# Windows: devices, whatever the extension behind them, and what no name may hold.
_DEVICES = {"con", "prn", "aux", "nul", "conin$", "conout$"} | {
    f"{port}{digit}" for port in ("com", "lpt") for digit in "0123456789¹²³"
}
_NOT_IN_NAMES = set('<>:"|?*') | set(map(chr, range(32)))

# A longer name of a record would be too long for some file systems.
_RECORD_BYTES = 120


class OutputNames:
    """Fills in a template such as ``{track}/{stem}.{ext}``.

    Args:
        folder: below which all outputs lie.
        template: with the fields of :data:`FIELDS`, ``{stem}`` among them, ending in ``.{ext}``.
        extension: ``wav`` or ``flac``.
        model: the model's name.

    Raises:
        InputError: a template that is none, or that names a place outside the folder.
    """

    def __init__(self, folder: Path, template: str, extension: str, model: str) -> None:
        self._folder, self._template = folder, template
        self._extension, self._model = extension, model
        try:
            pieces = list(string.Formatter().parse(template))
        except ValueError as error:
            raise InputError(f"--filename {template!r} is not a template: {error}") from error
        fields = {field for _, field, _, _ in pieces if field is not None}
        if any(spec or conversion for _, _, spec, conversion in pieces) or fields - set(FIELDS):
            raise InputError(
                f"--filename {template!r}: only plain fields are possible: "
                + ", ".join(f"{{{name}}}" for name in FIELDS)
            )
        if "stem" not in fields:
            raise InputError(f"--filename {template!r} needs {{stem}}, or all stems get one name")
        if not template.endswith(".{ext}"):
            raise InputError(f"--filename {template!r} must end in .{{ext}}")
        pure = _pure(template)
        if pure.anchor or ".." in pure.parts:
            raise InputError(f"--filename {template!r} leads out of the output folder")

    @property
    def template(self) -> str:
        """As it was given."""
        return self._template

    def with_template(self, template: str) -> OutputNames:
        """The same with another template."""
        return OutputNames(self._folder, template, self._extension, self._model)

    def path(self, source: Path, stem: str, root: Path | None = None) -> Path:
        """The output file for one stem of one input.

        Args:
            source: the input.
            stem: its name.
            root: the folder that was named and that the input lies below; None for an input that
                was named itself. ``{path}`` then begins in the current folder, or, for an input
                that does not lie below it, at the root of the file system.

        Raises:
            InputError: the input, the stem or the model has a name that is or holds a path.
        """
        return self._fill(self._template, self._values(source, stem, root))

    def record(self, source: Path, root: Path | None = None) -> Path:
        """The hidden file beside the stems of an input that says from what they were made.

        It is the same whichever stems are asked for, and another for another ``{ext}``.
        """
        parts = _pure(self._template).parts
        first = next(index for index, part in enumerate(parts) if "{stem}" in part)
        values = self._values(source, "stems", root)
        name = "/".join(parts[first:]).format_map(values)
        if "/" in name or len(os.fsencode(name)) > _RECORD_BYTES:
            name = hashlib.sha256(os.fsencode(name)).hexdigest()[:16]
        return self._fill("/".join((*parts[:first], f".lars-{_braced(name)}.json")), values)

    def _values(self, source: Path, stem: str, root: Path | None) -> dict[str, str]:
        source = Path(os.path.abspath(source))
        values = {
            "track": source.stem,
            "stem": stem,
            "ext": self._extension,
            "model": self._model,
            "folder": source.parent.name,
            "path": _between(source, root),
            "root": "" if root is None else Path(os.path.abspath(root)).name,
            "suffix": source.suffix.lstrip("."),
        }
        for field, value in values.items():
            if f"{{{field}}}" in self._template:
                for part in value.split("/") if field == "path" else [value]:
                    if part or field not in _MAY_BE_EMPTY:
                        _check_component(field, part)
        return values

    def _fill(self, template: str, values: Mapping[str, str]) -> Path:
        # A field without anything to say must not turn the rest into an absolute path.
        name = template.format_map(values).lstrip("/\\")
        for part in _pure(name).parts:
            _check_for_system(part)
        path = self._folder / name
        inside = os.path.abspath(self._folder)
        if os.path.commonpath([inside, os.path.abspath(path)]) != inside:
            raise InputError(f"{printable(path)} is outside of {printable(self._folder)}")
        return path


def _between(source: Path, root: Path | None) -> str:
    """The folders from the root down to an input's own, with ``/`` between them."""
    base = Path(os.path.abspath(root or os.curdir))
    if source.parent.is_relative_to(base):
        below = source.parent.relative_to(base).as_posix()
        return "" if below == "." else below
    drive = source.drive.strip(":\\/").replace("\\", "/")
    return "/".join([*filter(None, [drive]), *source.parent.parts[1:]])


def _braced(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _pure(name: str) -> PurePath:
    """A relative name, by the rules of this system."""
    return PureWindowsPath(name) if sys.platform == "win32" else PurePosixPath(name)


def _check_for_system(part: str) -> None:
    """Windows makes other files of some names: devices, and names without their last dots."""
    if sys.platform != "win32":
        return
    device = part.split(".", 1)[0].rstrip(" ").casefold() in _DEVICES
    if device or part != part.rstrip(". ") or _NOT_IN_NAMES & set(part):
        why = "is a device" if device else "cannot be a name"
        raise InputError(
            f"{printable(part)!r} {why} on Windows; rename the input, or use another --filename"
        )


def _check_component(field: str, value: str) -> None:
    bad = value in ("", ".", "..") or any(char in value for char in "/\\\0")
    if bad:
        raise InputError(
            f"{printable(value)!r} cannot stand for {{{field}}} in a file name;"
            " rename it, or use a --filename without that field"
        )


def same_file_key(path: Path) -> str:
    """The same for names that the file system may take for the same."""
    text = os.path.realpath(path)
    return text.casefold() if sys.platform in ("win32", "darwin") else text


def conflicts(
    inputs: Sequence[Path], outputs: Mapping[Path, Sequence[Path]]
) -> dict[Path, tuple[Path | None, Path]]:
    """Inputs with an output that is an input, or that another input, or stem, would get too.

    Args:
        inputs: all of them.
        outputs: of those inputs that have any.

    Returns:
        Each such input with whom it is in conflict (itself: two of its own outputs; None: an
        input that would be overwritten), and over which file.
    """
    found: dict[Path, tuple[Path | None, Path]] = {}
    taken: dict[str, Path] = {}
    originals = {same_file_key(path) for path in inputs}
    for source, paths in outputs.items():
        for path in paths:
            key = same_file_key(path)
            if key in originals:
                found[source] = (None, path)
            elif key in taken:
                found.setdefault(source, (taken[key], path))
                found.setdefault(taken[key], (source, path))
            else:
                taken[key] = source
    return found
