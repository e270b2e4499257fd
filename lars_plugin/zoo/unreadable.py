# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a file is not weights that can be read, in one line that says what to do.

What PyTorch says of such files is long, and recommends to run the code in them.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

from lars_plugin.errors import ModelError, ModelFormatError

__all__ = ["unreadable"]

# What files begin with, and what they are.
_BEGINNINGS = (
    (b"\x1f\x8b", "a gzip archive: unpack it and give the checkpoint in it"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive: unpack it and give the checkpoint in it"),
    (b"Rar!\x1a\x07", "a RAR archive: unpack it and give the checkpoint in it"),
    (b"BZh", "a bzip2 archive: unpack it and give the checkpoint in it"),
    (b"\xfd7zXZ\x00", "an xz archive: unpack it and give the checkpoint in it"),
    (b"(\xb5/\xfd", "a zstd archive: unpack it and give the checkpoint in it"),
    (b"version https://git-lfs", "a Git LFS pointer: download the file that it names"),
    (b"<", "a web page: download the file again"),
)
_TAR = slice(257, 262)  # where a tar archive says that it is one
_READ = 512
_HEADER = 9  # bytes of a safetensors file's length, and the bracket after it
_NAMED, _LONGEST = 3, 60  # files of an archive that are named, and their letters

# As PyTorch names a class or function that a file holds and nobody has allowed.
_FOREIGN = re.compile(r"[Uu]nsupported (?:global|class|function|operand)\b[^\n]*?GLOBAL ([\w.]+)")
_FOREIGN_CLASS = re.compile(r"(?:[Uu]nsupported class|instantiate class) ([\w.]+)")


def unreadable(path: Path, kind: str, error: Exception) -> ModelFormatError:
    """The error for a file that was not read.

    Args:
        path: of the file.
        kind: that it should have been: ``checkpoint`` or ``safetensors``.
        error: of the reader.
    """
    return ModelFormatError(f"{path} is not a safe {kind} file: {_reason(path, kind, error)}")


def _reason(path: Path, kind: str, error: Exception) -> str:
    try:
        what = _content(path, kind)
    except (OSError, zipfile.BadZipFile):
        what = ""
    if what:
        return f"it is {what}"
    text = str(error)
    if isinstance(error, ModelError):
        return text
    found = _FOREIGN.search(text) or _FOREIGN_CLASS.search(text)
    if found:
        return (
            f"it holds an object of {found[1]}; supported: tensors and plain values; save the"
            " network's state_dict alone"
        )
    if "failed finding central directory" in text:
        return "it is damaged or was not downloaded completely: download it again"
    if "Weights only load failed" in text:
        return f"it is not a {kind}; supported: what torch.save writes, and safetensors"
    return text.split("\n", 1)[0].strip() or type(error).__name__


def _content(path: Path, kind: str) -> str:
    """What a file is that is neither a checkpoint nor safetensors, as far as that is known."""
    with path.open("rb") as handle:
        head = handle.read(_READ)
    if not head:
        return "empty"
    if kind == "checkpoint":
        if head[8:_HEADER] == b"{" and int.from_bytes(head[:8], "little") < path.stat().st_size:
            return "a safetensors file: give it the ending .safetensors"
        if head[_TAR] == b"ustar":
            return "a tar archive: unpack it and give the checkpoint in it"
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = [one.filename for one in archive.infolist() if not one.is_dir()]
        if any(name.endswith("/constants.pkl") for name in names):
            return "TorchScript, a finished network: give it the format torchscript"
        if any(name.endswith("/data.pkl") for name in names):
            return "" if kind == "checkpoint" else "a checkpoint: give it the format checkpoint"
        listed = ", ".join(ascii(name[:_LONGEST])[1:-1] for name in names[:_NAMED])
        return f"a zip archive that holds {listed or 'nothing'}: unpack it and give the checkpoint"
    return next((what for begin, what in _BEGINNINGS if head.startswith(begin)), "")
