# SPDX-License-Identifier: GPL-3.0-or-later
"""`lars train`, from folders of data to a model that separates."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lars_plugin.errors import InputError
from lars_plugin.separation.separator import Separator
from lars_plugin.training.command import add_train_parser, run_train

SMALL = {
    "n_fft": 256,
    "hop_length": 64,
    "band_widths": [4] * 8 + [12] * 8,
    "features": [8, 12],
    "dilations": [1],
    "head": 8,
}


def parse(*words: object) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_train_parser(parser.add_subparsers())
    return parser.parse_args(["train", *map(str, words)])


def folders(data: Any) -> list[object]:
    return ["--kits", data.kits, "--grooves", data.grooves, "--clips", data.clips]


def test_training_makes_a_model_that_separates(
    data: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ["--minutes", 0.02, "--batch", 2, "--network", json.dumps(SMALL)]
    assert run_train(parse(tmp_path, *folders(data), *settings)) == 0
    printed = capsys.readouterr().out
    assert "mean" in printed
    assert (tmp_path / "curve.png").read_bytes()[:4] == b"\x89PNG"
    record = json.loads((tmp_path / "model" / "training.json").read_text())
    assert record["settings"]["seed"] == 0
    assert record["steps"] > 0
    wave = np.random.default_rng(0).standard_normal((2, 40000)).astype(np.float32) * 0.1
    stems = Separator(tmp_path / "model").separate(wave, 44100)
    np.testing.assert_allclose(stems.sum(), wave, atol=1e-5)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--kits", "/nowhere"], "no such folder"),
        (["--minutes", "0"], "must be positive"),
        (["--network", "[1]"], "JSON object"),
        (["--network", '{"colour": 1}'], "colour"),
    ],
)
def test_bad_arguments_are_one_clear_error(
    words: list[str], message: str, data: Any, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        run_train(parse(tmp_path, *folders(data), *words))
