# SPDX-License-Identifier: GPL-3.0-or-later
"""`lars train`, from folders of data to a model that separates."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lars_plugin.errors import InputError
from lars_plugin.networks.bandunet.network import BandUNet
from lars_plugin.separation.separator import Separator
from lars_plugin.training.command import add_train_parser, run_train
from lars_plugin.training.networks.start import adopt, build, read_weights
from tests.models import QUICK_BANDUNET, SMALL_LIVENET

QUICK = ["--minutes", 0.02, "--batch", 2, "--synthetic-kits", 1]


def parse(*words: object) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_train_parser(parser.add_subparsers())
    return parser.parse_args(["train", *map(str, words)])


def folders(data: Any) -> list[object]:
    return ["--kits", data.kits, "--grooves", data.grooves, "--clips", data.clips]


def test_training_makes_a_model_that_separates(
    data: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        run_train(parse(tmp_path, *folders(data), *QUICK, "--network", json.dumps(QUICK_BANDUNET)))
        == 0
    )
    printed = capsys.readouterr().out
    assert "mean" in printed
    assert (tmp_path / "curve.png").read_bytes()[:4] == b"\x89PNG"
    record = json.loads((tmp_path / "model" / "training.json").read_text())
    assert record["settings"]["seed"] == 0
    assert record["steps"] > 0
    wave = np.random.default_rng(0).standard_normal((2, 40000)).astype(np.float32) * 0.1
    stems = Separator(tmp_path / "model").separate(wave, 44100)
    np.testing.assert_allclose(stems.sum(), wave, atol=1e-5)


def test_a_causal_network_is_trained_by_the_same_command_and_runs_live(
    data: Any, tmp_path: Path
) -> None:
    words = [*QUICK, "--architecture", "livenet", "--network", json.dumps(SMALL_LIVENET)]
    assert run_train(parse(tmp_path, *folders(data), *words)) == 0
    separator = Separator(tmp_path / "model", batch_size=1)
    assert separator.stream(44100, 2).latency_samples == 127
    wave = np.random.default_rng(0).standard_normal((2, 4000)).astype(np.float32) * 0.1
    np.testing.assert_allclose(separator.separate(wave, 44100).sum(), wave, atol=1e-5)


def test_the_published_kind_of_network_is_trained_by_the_same_command(
    data: Any, tmp_path: Path
) -> None:
    shape = {
        "n_fft": 1024, "hop_length": 512, "dim_f": 128, "num_channels": 8, "growth": 4,
        "num_scales": 2, "num_blocks_per_scale": 1,
    }  # fmt: skip
    words = [*QUICK, "--architecture", "mdx23c", "--network", json.dumps(shape)]
    assert run_train(parse(tmp_path, *folders(data), *words)) == 0
    wave = np.random.default_rng(0).standard_normal((2, 40000)).astype(np.float32) * 0.1
    result = Separator(tmp_path / "model").separate(wave, 44100)
    assert tuple(result) == ("kick", "snare", "toms", "hihat", "ride", "crash")
    assert all(np.isfinite(stem).all() for stem in result.values())


def test_training_starts_from_a_model_and_adds_a_stem(data: Any, tmp_path: Path) -> None:
    six = build("bandunet", {**QUICK_BANDUNET, "stems": 6})
    seven = build("bandunet", {**QUICK_BANDUNET, "stems": 7})
    assert isinstance(six, BandUNet)
    assert isinstance(seven, BandUNet)
    adopt(seven, six.state_dict())
    wave = torch.randn(1, 2, 4096)
    with torch.inference_mode():
        spec = six.stft(wave)
        for old, new in zip(six.band_outputs(spec), seven.band_outputs(spec), strict=True):
            torch.testing.assert_close(new[:, :, :6], old)
            assert not torch.equal(new[:, :, 6], old[:, :, 5])
    # From a run's checkpoint, through the command.
    torch.save({"ema": six.state_dict()}, tmp_path / "checkpoint.pt")
    found = read_weights(str(tmp_path / "checkpoint.pt"))
    assert all(torch.equal(found[name], value) for name, value in six.state_dict().items())
    words = [*QUICK, "--network", json.dumps(QUICK_BANDUNET), "--init", tmp_path / "checkpoint.pt"]
    assert run_train(parse(tmp_path / "out", *folders(data), *words)) == 0


@pytest.mark.parametrize("architecture", ["bandunet", "livenet"])
def test_a_network_that_is_given_levels_starts_as_the_one_without(architecture: str) -> None:
    settings = QUICK_BANDUNET if architecture == "bandunet" else SMALL_LIVENET
    old = build(architecture, settings).eval()
    new = build(architecture, {**settings, "levels": True}).eval()
    adopt(new, old.state_dict())
    wave = torch.randn(1, 2, 4096)
    with torch.inference_mode():
        torch.testing.assert_close(new(wave), old(wave))
    with pytest.raises(InputError, match="does not fit"):
        adopt(old, new.state_dict())


def test_weights_of_another_network_are_refused() -> None:
    other = build("livenet", SMALL_LIVENET)
    with pytest.raises(InputError, match="another architecture"):
        adopt(build("bandunet", QUICK_BANDUNET), other.state_dict())
    wider = build("bandunet", {**QUICK_BANDUNET, "head": 12})
    with pytest.raises(InputError, match="does not fit"):
        adopt(build("bandunet", QUICK_BANDUNET), wider.state_dict())
    seven = build("bandunet", {**QUICK_BANDUNET, "stems": 7})
    with pytest.raises(InputError, match="7 stems for one of 6"):
        adopt(build("bandunet", QUICK_BANDUNET), seven.state_dict())


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
