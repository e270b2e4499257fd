# SPDX-License-Identifier: GPL-3.0-or-later
"""Averaging models."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import yaml

from lars_plugin.networks.bandunet.config import BandUNetConfig
from lars_plugin.training import prepare
from lars_plugin.training.networks.publish import publish
from lars_plugin.training.networks.start import build, read_weights
from tests.models import QUICK_BANDUNET


def model(folder: Path, seed: int, **other: object) -> str:
    torch.manual_seed(seed)
    publish(build("bandunet", {**QUICK_BANDUNET, "stems": 6, **other}), folder, {"seed": seed})
    return str(folder)


def test_the_average_of_models_has_the_mean_weights_and_says_what_it_is_made_of(
    tmp_path: Path,
) -> None:
    sources = [model(tmp_path / name, seed) for seed, name in enumerate("ab")]
    assert prepare.main(["average", str(tmp_path / "mean"), *sources]) == 0
    mean, one, other = (read_weights(path) for path in (str(tmp_path / "mean"), *sources))
    for name, value in mean.items():
        if value.is_floating_point():
            wanted = (one[name].float() + other[name].float()) / 2
            torch.testing.assert_close(value.float(), wanted, atol=1e-3, rtol=1e-3)
    record = json.loads((tmp_path / "mean" / "training.json").read_text())
    assert [part["training"]["seed"] for part in record["mean of"]] == [0, 1]


def test_shares_weigh_the_models_and_stand_in_the_record(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sources = [model(tmp_path / name, seed) for seed, name in enumerate("ab")]
    command = ["average", str(tmp_path / "mean"), *sources, "--shares"]
    assert prepare.main([*command, "3", "1"]) == 0
    mean, one, other = (read_weights(path) for path in (str(tmp_path / "mean"), *sources))
    for name, value in mean.items():
        if value.is_floating_point():
            wanted = 0.75 * one[name].float() + 0.25 * other[name].float()
            torch.testing.assert_close(value.float(), wanted, atol=1e-3, rtol=1e-3)
    record = json.loads((tmp_path / "mean" / "training.json").read_text())
    assert [part["share"] for part in record["mean of"]] == [0.75, 0.25]
    for shares in (["1"], ["1", "0"], ["1", "-1"], ["1", "nan"], ["1", "inf"], ["1", "1", "1"]):
        caplog.clear()
        assert prepare.main([*command, *shares]) == 2
        assert "--shares must be 2 positive numbers" in caplog.text


def test_a_model_without_levels_gives_them_half_the_weight_of_one_with(tmp_path: Path) -> None:
    sources = [model(tmp_path / "a", 0), model(tmp_path / "b", 1, levels=True)]
    assert prepare.main(["average", str(tmp_path / "mean"), *sources]) == 0
    mean, old, new = (read_weights(path) for path in (str(tmp_path / "mean"), *sources))
    for name, value in mean.items():
        if name.startswith("embed."):
            known = old[name].shape[1]
            wanted = new[name].float() / 2
            wanted[:, :known] += old[name].float() / 2
            torch.testing.assert_close(value.float(), wanted, atol=1e-3, rtol=1e-3)


def test_a_model_that_leaves_settings_to_their_defaults_is_of_the_same_kind(tmp_path: Path) -> None:
    sources = [model(tmp_path / name, seed) for seed, name in enumerate("ab")]
    path = tmp_path / "b" / "config.yaml"
    data = yaml.safe_load(path.read_text())
    network, fields = data["network"], BandUNetConfig.__dataclass_fields__
    same = [key for key, value in network.items() if value == fields[key].default]
    assert same
    for key in same:
        del network[key]
    path.write_text(yaml.safe_dump(data))
    assert prepare.main(["average", str(tmp_path / "mean"), *sources]) == 0


@pytest.mark.parametrize("other", [{"features": (8, 14)}, {"stems": 7}])
def test_models_of_different_kinds_are_not_averaged(tmp_path: Path, other: dict[str, int]) -> None:
    sources = [model(tmp_path / "a", 0), model(tmp_path / "b", 1, **other)]
    assert prepare.main(["average", str(tmp_path / "mean"), *sources]) == 2
    assert prepare.main(["average", str(tmp_path / "mean"), sources[0]]) == 2
    assert not (tmp_path / "mean").exists()


def test_what_is_made_of_other_models_is_one_clear_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert prepare.main(["average", str(tmp_path / "mean"), "cascade", "cascade"]) == 2
    assert "it has no average" in caplog.text
