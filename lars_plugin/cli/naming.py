# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of output files: a template, filled in, that cannot leave its folder."""

from __future__ import annotations

import os
import string
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath

from lars_plugin.audio import printable
from lars_plugin.errors import InputError

__all__ = ["DEFAULT_TEMPLATE", "FIELDS", "OutputNames", "check_plan"]

DEFAULT_TEMPLATE = "{track}/{stem}.{ext}"

FIELDS = {
    "track": "the input's name without extension",
    "stem": "the stem's name",
    "ext": "wav or flac",
    "model": "the model's name",
    "folder": "the name of the folder that holds the input",
}


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
            raise InputError(f"--filename {template!r} is no template: {error}") from error
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
        if PurePath(template).is_absolute() or ".." in PurePath(template).parts:
            raise InputError(f"--filename {template!r} leads out of the output folder")

    def path(self, source: Path, stem: str) -> Path:
        """The output file for one stem of one input.

        Raises:
            InputError: the input, the stem or the model has a name that is or holds a path.
        """
        source = Path(os.path.abspath(source))
        values = {
            "track": source.stem,
            "stem": stem,
            "ext": self._extension,
            "model": self._model,
            "folder": source.parent.name,
        }
        for field, value in values.items():
            if f"{{{field}}}" in self._template:
                _check_component(field, value)
        path = self._folder / self._template.format_map(values)
        inside = os.path.normpath(self._folder)
        if os.path.commonpath([os.path.abspath(inside), os.path.abspath(path)]) != os.path.abspath(
            inside
        ):
            raise InputError(f"{printable(path)} is outside of {printable(self._folder)}")
        return path


def _check_component(field: str, value: str) -> None:
    bad = value in ("", ".", "..") or any(char in value for char in "/\\\0")
    if bad or (sys.platform == "win32" and ":" in value):
        raise InputError(
            f"{printable(value)!r} cannot stand for {{{field}}} in a file name;"
            " rename it, or use a --filename without that field"
        )


def _key(path: Path) -> str:
    """The same for names that the file system may take for the same."""
    text = os.path.realpath(path)
    return text.casefold() if sys.platform in ("win32", "darwin") else text


def check_plan(inputs: Sequence[Path], outputs: Mapping[Path, Sequence[Path]]) -> None:
    """Whether every output has a name of its own and spares the inputs.

    Args:
        inputs: all of them.
        outputs: of those inputs that have any.

    Raises:
        InputError: names the first two that collide.
    """
    taken: dict[str, Path] = {}
    originals = {_key(path): path for path in inputs}
    for source, paths in outputs.items():
        for path in paths:
            key = _key(path)
            if key in originals:
                raise InputError(
                    f"{printable(path)} would overwrite an input;"
                    " choose another -o folder or --filename"
                )
            if key in taken:
                raise InputError(
                    f"{printable(taken[key])} and {printable(source)} would both be written to"
                    f" {printable(path)}; tell them apart with --filename"
                    ' "{folder}/{track}/{stem}.{ext}"'
                    if taken[key] != source
                    else f"two stems of {printable(source)} would be written to {printable(path)}"
                )
            taken[key] = source
