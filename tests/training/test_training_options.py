# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of `lars train`: whole songs, other losses, kits left out."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lars_plugin.errors import DatasetError, InputError
from lars_plugin.separation.separator import Separator
from lars_plugin.training import prepare
from lars_plugin.training.command import _settings, add_train_parser, run_train
from lars_plugin.training.networks.losses import band_loss, paper_loss
from lars_plugin.training.networks.scores import load_clips
from lars_plugin.training.networks.wave_loss import sdr_loss, wave_loss
from tests.models import QUICK_BANDUNET, bandunet


def parse(*words: object) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_train_parser(parser.add_subparsers())
    return parser.parse_args(["train", *map(str, words)])


def folders(data: Any) -> list[object]:
    return ["--kits", data.kits, "--grooves", data.grooves, "--clips", data.clips]


def test_a_model_of_whole_songs_has_a_seventh_stem_and_scores_for_it(
    data: Any, tmp_path: Path
) -> None:
    clips = tmp_path / "clips"
    assert prepare.main(["fullmix-clips", str(clips), "--clips", str(data.clips)]) == 0
    words = [*folders(data)[:4], "--clips", clips, "--minutes", 0.02, "--batch", 2]
    words += ["--network", json.dumps(QUICK_BANDUNET), "--accompaniment", "synthetic"]
    words += ["--exclude-kits", "kit0", "--loss", "both", "--synthetic-kits", 1]
    out = tmp_path / "out"
    assert run_train(parse(out, *words)) == 0
    settings = json.loads((out / "model" / "training.json").read_text())["settings"]
    assert settings["accompaniment"] == "synthetic"
    assert settings["exclude_kits"] == ["kit0"]
    assert settings["synthetic_kits"] == 1
    assert settings["paper_weight"] > 0
    (row,) = (out / "scores.csv").read_text().splitlines()
    assert len(row.split(",")) == 2 + 7 + 1
    assert (out / "curve.png").read_bytes()[:4] == b"\x89PNG"
    wave = np.random.default_rng(0).standard_normal((2, 30000)).astype(np.float32) * 0.1
    stems = Separator(out / "model").separate(wave, 44100)
    assert list(stems)[-1] == "other"
    np.testing.assert_allclose(stems.sum(), wave, atol=1e-5)


def test_clips_without_other_cannot_score_whole_songs(data: Any) -> None:
    with pytest.raises(DatasetError, match=r"other\.flac"):
        load_clips(data.clips, ("kick", "other"))


def test_the_loss_option_chooses_the_weights(data: Any, tmp_path: Path) -> None:
    ours, paper, both = (
        _settings(parse(tmp_path, *folders(data), "--loss", loss))
        for loss in ("ours", "paper", "both")
    )
    assert ours.paper_weight == 0 < ours.abs_weight
    assert (paper.abs_weight, paper.log_weight) == (0, 0)
    assert paper.paper_weight == 1
    assert both.abs_weight == ours.abs_weight
    assert 0 < both.paper_weight < 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--accompaniment", "/nowhere"], "accompaniment /nowhere: no such folder"),
        (["--synthetic-kits", "-1"], "must not be negative"),
        (["--stemgmd", "/nowhere"], "stemgmd /nowhere: no such folder"),
        (["--without", "room,rooms"], "unknown augmentation 'rooms': use timbre"),
    ],
)
def test_a_missing_folder_is_one_clear_error(
    words: list[str], message: str, data: Any, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        run_train(parse(tmp_path, *folders(data), *words))


def test_the_wave_loss_is_equation_1_of_mixtures_at_one_level() -> None:
    network = bandunet(**QUICK_BANDUNET).eval()
    stems = torch.randn(2, 6, 2, 9000) * 0.1
    loss, score = wave_loss(network, stems)
    scale = stems.sum(1).square().mean(dim=(1, 2), keepdim=True).sqrt() + 1e-5
    with torch.no_grad():
        result = network(stems.sum(1) / scale)
    wanted = stems / scale[:, None]
    assert loss.item() == pytest.approx(paper_loss(result, wanted).item(), rel=1e-4)
    error, power = (result - wanted).square().mean((2, 3)), wanted.square().mean((2, 3))
    expected = (10 * torch.log10(power / error)).mean(0)
    np.testing.assert_allclose(score.numpy(), expected.numpy(), atol=1e-3)
    # The level of an excerpt does not change its gradient.
    louder, _ = wave_loss(network, stems * 20)
    assert louder.item() == pytest.approx(loss.item(), rel=2e-3)


def test_the_wave_loss_of_silence_has_finite_gradients() -> None:
    network = bandunet(**QUICK_BANDUNET)
    stems = torch.zeros(1, 6, 2, 9000)
    loss, _ = wave_loss(network, stems)
    loss.backward()  # type: ignore[no-untyped-call]
    assert torch.isfinite(loss)
    for parameter in network.parameters():
        assert parameter.grad is None or torch.isfinite(parameter.grad).all()


def test_our_loss_on_waves_is_the_sdr_and_a_bounded_term() -> None:
    class Half(torch.nn.Module):
        def forward(self, wave: torch.Tensor) -> torch.Tensor:
            return torch.stack([wave, wave]).transpose(0, 1) * 0.5

    torch.manual_seed(0)
    one = torch.randn(3, 1, 2, 5000)
    stems = torch.cat([one, torch.zeros_like(one)], dim=1)
    loss, scores = sdr_loss(Half(), stems, 0.0, 1.0, 1e-4, 1e-3)
    assert scores[0].item() == pytest.approx(6.02, abs=0.01)
    # Weights 1 and 0.2 over their mean: a stem at -6 dB, and leakage against the floor.
    sounding, silent = -0.602, float(np.log10((0.25 + 1e-3) / 1e-3))
    expected = (sounding + 0.2 * silent) / 1.2
    assert loss.item() == pytest.approx(expected, abs=1e-2)
    bounded, _ = sdr_loss(Half(), stems, 1.0, 0.0, 1e-4, 1e-3)
    assert bounded.item() == pytest.approx((0.5 / 1.15 + 0.2 * 0.5 / 0.15) / 1.2, abs=1e-2)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--impulses", "/nowhere"], "no such folder"),
        (["--patterns", "/nowhere"], "no such folder"),
        (["--records", "1.5"], "0 to 1"),
        (["--cool", "0"], "--cool"),
        (["--level-weight", "-1"], "--level-weight"),
    ],
)
def test_options_of_records_and_schedule_are_checked(
    data: Any, tmp_path: Path, words: list[str], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        _settings(parse(tmp_path, *folders(data), *words))


def test_what_belongs_to_no_stem_is_in_the_mixture_alone() -> None:
    torch.manual_seed(0)
    stems, rest = torch.randn(2, 6, 2, 9000), torch.randn(2, 2, 9000)
    heard: list[torch.Tensor] = []

    class Sixth(torch.nn.Module):
        """A sixth of what it hears for each stem."""

        def forward(self, wave: torch.Tensor) -> torch.Tensor:
            heard.append(wave)
            return wave[:, None].expand(-1, 6, -1, -1) / 6

    wave_loss(Sixth(), stems, rest)
    sdr_loss(Sixth(), stems, 0.3, 1.0, 1e-3, 1e-3, rest)
    mixture = stems.sum(1) + rest
    for wave in heard:
        ratio = wave / mixture
        assert ratio.std(dim=(1, 2)).max() < 1e-4
    network = bandunet()
    alone, _ = band_loss(network, stems, 0.3, 1.0)
    beside, _ = band_loss(network, stems, 0.3, 1.0, rest=rest)
    assert beside > alone


def test_a_run_goes_on_with_cooling_by_command(
    data: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*folders(data), "--batch", 2, "--synthetic-kits", 1, "--records", 1]
    words += ["--network", json.dumps(QUICK_BANDUNET), "--optimizer", "muon"]
    out = tmp_path / "out"
    assert run_train(parse(out, *words, "--minutes", 5, "--cool", 0.02)) == 0
    assert "parameters; 0.02 minutes on cpu" in capsys.readouterr().out
    record = json.loads((out / "model" / "training.json").read_text())
    assert record["settings"]["cooldown"] == pytest.approx(1)
    assert record["settings"]["minutes"] == pytest.approx(0.02)
    assert record["steps"] >= 1
    assert (out / "constant.pt").is_file()
