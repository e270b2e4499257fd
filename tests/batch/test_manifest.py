# SPDX-License-Identifier: GPL-3.0-or-later
"""Manifests: paths, and settings of single files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lars_plugin.batch.manifest import read_manifest
from lars_plugin.errors import InputError
from tests.batch.runs import Batch, noise, stems_in

ROWS: list[dict[str, Any]] = [
    {"path": "a/x.wav", "stems": "kick,snare", "midi": "", "bits": "16"},
    {"path": "b/x.wav", "stems": "", "midi": "true", "bits": ""},
    {"path": "y.wav", "stems": "", "midi": "", "bits": "32f"},
]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(exist_ok=True, parents=True)
    if path.suffix == ".csv":
        names = list(rows[0])
        lines = [names, *([row[name] for name in names] for row in rows)]
        path.write_text(
            "\n".join(",".join(f'"{cell}"' for cell in line) for line in lines),
            encoding="utf-8-sig",
        )
    elif path.suffix == ".jsonl":
        path.write_text("\n\n".join(json.dumps(row) for row in rows))
    else:
        pyarrow = pytest.importorskip("pyarrow", reason="needs the extra 'cluster'")
        from pyarrow import parquet

        parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return path


@pytest.mark.parametrize("kind", [".csv", ".jsonl", ".parquet"])
def test_files_of_a_manifest_have_their_own_settings(
    kind: str, inline: Batch, tmp_path: Path
) -> None:
    for index, row in enumerate(ROWS):
        noise(f"lib/{row['path']}", seed=index)
    write(Path(f"lib/list{kind}"), ROWS)
    run = inline(f"lib/list{kind}", "--residual")
    assert run.code == 0, run.err
    found = {name.removesuffix(".wav") for name in stems_in(tmp_path / "o")}
    six = ("kick", "snare", "toms", "hihat", "ride", "crash", "residual")
    assert found == {
        *(f"a/x/{stem}" for stem in ("kick", "snare", "residual")),
        *(f"b/x/{stem}" for stem in six), "b/x/x.mid",
        *(f"y/{stem}" for stem in six),
    }  # fmt: skip
    sizes = {name: len(data) for name, data in stems_in(tmp_path / "o").items()}
    assert sizes["a/x/kick.wav"] < sizes["b/x/kick.wav"] < sizes["y/kick.wav"]
    # Another setting of one file: that file is done again.
    write(Path(f"lib/list{kind}"), [{**ROWS[0], "bits": "24"}, *ROWS[1:]])
    assert "1 to do, 2 done already" in inline(f"lib/list{kind}", "--residual").err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("path,tempo\na.wav,3\n", "no option has the name of column 'tempo'"),
        ("path,preset\na.wav,slow\n", "column 'preset': "),
        ("path,batch_size\na.wav,none\n", "column 'batch_size': "),
        ("path,midi\na.wav,perhaps\n", "column 'midi' is true or false, got 'perhaps'"),
        ("name\na.wav\n", "one column must be called path, file or input"),
        ("path\na.wav\n./a.wav\n", "listed twice"),
        ("path,bits\na.wav\n", "not as many cells as columns"),
        ("path,bits\n,16\n", "the path is missing"),
    ],
)
def test_what_is_wrong_with_a_manifest_is_told_with_its_line(
    text: str, said: str, inline: Batch, tmp_path: Path
) -> None:
    noise("a.wav")
    Path("list.csv").write_text(text)
    run = inline("list.csv")
    assert run.code == 2
    assert said in run.err
    assert "list.csv, line" in run.err
    assert len(run.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "data"),
    [("a.jsonl", b"{"), ("a.jsonl", b"3"), ("a.csv", b"\xff\xfe\x00"), ("a.parquet", b"nothing")],
)
def test_a_damaged_manifest_is_an_input_error(name: str, data: bytes, tmp_path: Path) -> None:
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow", reason="needs the extra 'cluster'")
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=name):
        list(read_manifest(tmp_path / name))


def test_columns_for_people_begin_with_a_hash(inline: Batch, tmp_path: Path) -> None:
    noise("a.wav")
    Path("list.csv").write_text("path,#artist\na.wav,somebody\n")
    assert inline("list.csv", "--stems", "kick").code == 0
    assert [*stems_in(tmp_path / "o")] == ["a/kick.wav"]
