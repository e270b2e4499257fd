# SPDX-License-Identifier: GPL-3.0-or-later
"""``lars evaluate`` from its arguments to its files, with a real network of random weights."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lars_plugin.cli import main
from lars_plugin.model import Chunking
from tests.models import config, model_folder

Wave = NDArray[np.float32]
Run = Callable[..., tuple[int, str, str]]

SIX = ("kick", "snare", "toms", "hihat", "ride", "crash")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny model."""
    described = config("mdx23c", chunking=Chunking(4032, 1.5))
    return model_folder(tmp_path_factory.mktemp("models") / "tiny", described)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """``run(argument, ...)``: exit code, stdout and stderr of ``lars evaluate``."""

    def call(*arguments: object) -> tuple[int, str, str]:
        code = main(["evaluate", *map(str, arguments)])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def timeless(path: Path) -> list[dict[str, str]]:
    """The rows of a table without the seconds of work, which are never the same."""
    return sorted(
        ({**row, "work": ""} for row in table(path)),
        key=lambda row: (row["clip"], row["system"], row["stem"]),
    )


def test_one_command_makes_the_whole_table_and_all_files(
    run: Run, clip_tree: Path, model: Path, tmp_path: Path
) -> None:
    files = {kind: tmp_path / f"scores.{kind}" for kind in ("csv", "json", "html", "png")}
    code, out, err = run(
        clip_tree, "--model", model, "--baseline", "mixture,oracle,nmf", "--html-clips", 1,
        "--csv", files["csv"], "--json", files["json"], "--html", files["html"],
        "--figure", files["png"],
    )  # fmt: skip
    assert code == 0, err
    lines = out.splitlines()
    assert lines[2].split() == [*SIX, "cymbals", "mean", "mean", "of", "5", "RTR"]
    assert [line.split()[0] for line in lines[3:8]] == ["tiny", "mixture", "oracle", "nmf", "clips"]
    assert "Leakage in dB" in out
    assert "by kit" in out
    rows = table(files["csv"])
    assert len(rows) == 3 * 4 * 7
    assert {row["system"] for row in rows} == {"tiny", "mixture", "oracle", "nmf"}
    result = json.loads(files["json"].read_text())
    assert result["layout"] == "clips"
    assert result["backends"] == {"tiny": "torch cpu float32"}
    assert (
        result["systems"]["oracle"]["mean"]["mean"] > result["systems"]["mixture"]["mean"]["mean"]
    )
    assert files["html"].read_text(encoding="utf-8").count("<audio") == 1 + 2 * 6
    assert files["png"].read_bytes().startswith(b"\x89PNG")
    assert all(f"wrote {path}" in err for path in files.values())


def test_a_miniature_stemgmd_goes_through_grouped_to_five_stems(
    run: Run, stemgmd_tree: Path, model: Path, tmp_path: Path
) -> None:
    path = tmp_path / "s.csv"
    code, out, err = run(
        stemgmd_tree, "--model", model, "--split", "all", "--jobs", 2, "--csv", path
    )
    assert code == 0, err
    assert out.splitlines()[2].split() == [
        "kick",
        "snare",
        "toms",
        "hihat",
        "cymbals",
        "mean",
        "RTR",
    ]
    assert "bluebird: tiny" in out
    assert "2 clips at a time" in out
    rows = table(path)
    assert {row["kit"] for row in rows} == {"bluebird", "brooklyn"}
    assert len({row["clip"] for row in rows}) == 6
    code, out, _ = run(stemgmd_tree, "--model", "none", "--no-five-stems", "--kits", "bluebird")
    assert code == 0
    assert "ride" in out
    assert "tiny" not in out


def test_resuming_does_only_what_is_missing_and_gives_the_same(
    run: Run, clip_tree: Path, model: Path, tmp_path: Path
) -> None:
    path = tmp_path / "s.csv"
    arguments = (clip_tree, "--model", model, "--baseline", "oracle", "--csv", path)
    assert run(*arguments)[0] == 0
    whole = timeless(path)
    text = path.read_text()
    path.write_text(text[: len(text) // 2])
    code, _, err = run(*arguments, "--resume", "--verbose")
    assert code == 0
    assert 1 <= err.count(" of 6: ") < 6
    assert timeless(path) == whole
    # Now everything is there: not even the model is needed.
    gone = (clip_tree, "--model", "gone/tiny", "--baseline", "oracle", "--csv", path, "--resume")
    assert run(*gone)[0] == 0


def test_markdown_and_every_clip_can_be_printed(run: Run, clip_tree: Path) -> None:
    code, out, _ = run(clip_tree, "--model", "none", "--markdown", "--per-clip", "--limit", 2)
    assert code == 0
    assert "| --- | ---: |" in out
    assert "| clip0: mixture |" in out
    assert "clip2" not in out


def test_the_threshold_moves_clips_from_sdr_to_leakage(run: Run, clip_tree: Path) -> None:
    _, out, _ = run(clip_tree, "--model", "none", "--silence-db", "0", "--baseline", "mixture")
    assert "above 0 dB" in out
    kick = next(line for line in out.splitlines() if line.startswith("clips")).split()[1]
    assert kick == "0"


def test_a_broken_clip_is_told_and_the_others_are_scored(
    run: Run, clip_tree: Path, tmp_path: Path
) -> None:
    shutil.copytree(clip_tree, tmp_path / "clips")
    (tmp_path / "clips" / "clip1" / "snare.wav").write_bytes(b"")
    code, out, err = run(tmp_path / "clips", "--model", "none", "--baseline", "oracle")
    assert code == 1
    assert "1 of 3 failed" in err
    assert "snare.wav" in err
    assert "oracle" in out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--resume"], 2, "--csv"),
        (["--figure", "a.gif"], 2, ".png, .svg or .pdf"),
        (["--baseline", "magic"], 2, "mixture, oracle, nmf"),
        (["--model", "none", "--baseline", "none"], 2, "at least one"),
        (["--model", "x/y"], 1, "no model folder"),
        (["--model", "none", "--kits", "z"], 2, "no kit z"),
        (["--model", "none", "--layout", "stemgmd"], 1, "holds no clips"),
        (["--limit", "0"], 2, "1 or more"),
        (["--jobs", "0"], 2, "1 or more"),
    ],
)
def test_wrong_use_is_told_in_one_line(
    run: Run, clip_tree: Path, arguments: list[str], code: int, message: str
) -> None:
    found, out, err = run(clip_tree, *arguments)
    assert found == code
    assert out == ""
    assert message in err
    assert "Traceback" not in err


def test_a_missing_folder_is_an_error(run: Run, tmp_path: Path) -> None:
    code, _, err = run(tmp_path / "none", "--model", "none")
    assert code == 1
    assert "is not a folder" in err


def test_nothing_is_half_written_where_a_file_cannot_be(
    run: Run, clip_tree: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    code, _, err = run(clip_tree, "--model", "none", "--json", tmp_path / "file" / "s.json")
    assert code == 1
    assert "cannot write" in err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
