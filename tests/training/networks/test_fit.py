# SPDX-License-Identifier: GPL-3.0-or-later
"""Losses and the trainer."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lars_plugin.networks.bandunet.network import BandUNet, BandUNetConfig
from lars_plugin.training.networks.losses import band_loss, paper_loss
from lars_plugin.training.networks.scores import load_clips, validate
from lars_plugin.training.networks.trainer import FitConfig, Trainer, _schedule
from tests.models import QUICK_BANDUNET

SMALL = BandUNetConfig(**QUICK_BANDUNET)


def test_band_loss_is_what_the_separated_spectrogram_says() -> None:
    torch.manual_seed(0)
    network = BandUNet(SMALL).eval()
    stems = torch.randn(2, 6, 2, 2048) * (torch.rand(2, 6, 1, 1) + 0.4)
    stems[0, 3] = 0
    loss, score = band_loss(network, stems, 0.5, 0.25)
    mixture = stems.sum(1)
    scale = mixture.square().mean(dim=(1, 2)).sqrt() + 1e-5
    spec = network.stft(mixture / scale[:, None, None])
    result = network.separate(spec)[..., :-1, :]
    wanted = network.stft((stems / scale[:, None, None, None]).flatten(1, 2))
    wanted = wanted.unflatten(1, (6, 2))[..., :-1, :]
    off, power = (result - wanted).square().sum(-1), wanted.square().sum(-1)
    axes = (2, 3, 4)
    mix = spec[..., :-1, :].square().sum(-1)
    loud = power.sum(axes) > 2e-4 * mix.sum((1, 2, 3))[:, None]
    floor = torch.where(loud, 2e-4, 1e-3) * mix.sum((1, 2, 3))[:, None]
    whole = mix.sqrt().sum((1, 2, 3))[:, None]
    first = off.sqrt().sum(axes) / (power.sqrt().sum(axes) + 0.15 * whole)
    second = torch.log10((off.sum(axes) + floor) / (power.sum(axes) + floor))
    weight = torch.where(loud, 1.0, 0.2)
    terms = (0.5 * first + 0.25 * second) * weight / weight.mean()
    assert loss.item() == pytest.approx(terms.mean().item(), rel=1e-2)
    sdr = 10 * torch.log10(power.sum(axes) / off.sum(axes))
    expected = [sdr[1, 3] if s == 3 else sdr[:, s].mean() for s in range(6)]
    np.testing.assert_allclose(score.numpy(), torch.stack(expected).detach().numpy(), atol=0.05)


def test_band_loss_of_silence_is_finite_and_has_no_gradient_of_nan() -> None:
    network = BandUNet(SMALL)
    stems = torch.zeros(2, 6, 2, 2048)
    loss, _ = band_loss(network, stems, 0.5, 0.25)
    loss.backward()  # type: ignore[no-untyped-call]
    assert torch.isfinite(loss)
    for parameter in network.parameters():
        assert parameter.grad is not None
        assert torch.isfinite(parameter.grad).all()


def test_paper_loss_is_zero_for_the_truth_and_adds_wave_and_magnitude_errors() -> None:
    stems = torch.randn(1, 2, 2, 9000)
    assert paper_loss(stems, stems).item() == 0
    # A flipped sign leaves magnitudes alone: only the wave term remains.
    expected = 2 * stems.abs().mean()
    assert paper_loss(-stems, stems).item() == pytest.approx(expected.item(), rel=1e-5)


def config(data: Any, minutes: float) -> FitConfig:
    return FitConfig(
        kits=str(data.kits),
        grooves=str(data.grooves),
        clips=str(data.clips),
        minutes=minutes,
        segment=8192,
        batch=2,
        pool=8,
        synthetic_kits=1,
    )


def test_steps_on_one_batch_raise_its_sdr() -> None:
    torch.manual_seed(0)
    network = BandUNet(SMALL)
    optimizer = torch.optim.AdamW(network.parameters(), lr=5e-3)
    tone = torch.sin(torch.arange(8192) * 0.05).expand(1, 1, 2, -1)
    stems = torch.cat([tone, 0.3 * torch.randn(1, 1, 2, 8192), torch.zeros(1, 4, 2, 8192)], dim=1)
    scores = []
    for _ in range(60):
        loss, score = band_loss(network, stems, 0.3, 1.0)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        scores.append(score[:2].mean().item())
    assert scores[-1] > scores[0] + 5


def test_a_run_spends_its_minutes_and_resumes_where_it_stopped(data: Any, tmp_path: Path) -> None:
    torch.manual_seed(0)
    first = Trainer(BandUNet(SMALL), config(data, 0.05), tmp_path)
    first.run()
    assert first.progress == 1
    assert len((tmp_path / "steps.csv").read_text().splitlines()) == first.step > 0
    # What comes next in this process has subnormal numbers again.
    assert (np.full(1, 1e-40, np.float32) * np.float32(0.5)).any()
    again = Trainer(BandUNet(SMALL), config(data, 0.05), tmp_path)
    assert (again.step, again.spent) == (first.step, first.spent)
    for mine, theirs in zip(first.network.parameters(), again.network.parameters(), strict=True):
        assert torch.equal(mine, theirs)
    again.run()  # no time is left
    assert again.step == first.step
    longer = Trainer(BandUNet(SMALL), config(data, first.spent / 60 + 0.01), tmp_path)
    longer.run()
    assert longer.step > first.step


def test_a_dead_renderer_ends_the_run_with_an_error(data: Any, tmp_path: Path) -> None:
    broken = dataclasses.replace(config(data, 1), kits=str(tmp_path / "missing"))
    from lars_plugin.errors import DatasetError

    with pytest.raises(DatasetError, match="rendering process"):
        Trainer(BandUNet(SMALL), broken, tmp_path).run()


def test_validation_scores_every_sounding_stem(data: Any) -> None:
    scores = validate(BandUNet(SMALL), load_clips(data.clips))
    assert set(scores) == {"kick", "snare", "toms", "hihat", "ride", "crash", "mean"}
    assert all(np.isfinite(value) for value in scores.values())


def test_the_rate_stays_until_the_cool_down_and_then_falls_to_nothing() -> None:
    rates = [_schedule(progress / 100, 0.25) for progress in range(101)]
    assert rates[0] < 0.01
    assert all(rate == rates[2] for rate in rates[2:76])
    assert rates[75] > rates[80] > rates[99] > rates[100]
    assert rates[100] < 0.01


def test_a_stopped_run_keeps_all_its_steps(data: Any, tmp_path: Path) -> None:
    def stop(line: str) -> None:
        raise KeyboardInterrupt  # as Ctrl-C and SIGTERM do, here in the first validation

    often = dataclasses.replace(config(data, 60), validate_every=1e-6)
    run = Trainer(BandUNet(SMALL), often, tmp_path)
    run.report = stop
    with pytest.raises(KeyboardInterrupt):
        run.run()
    again = Trainer(BandUNet(SMALL), config(data, 60), tmp_path)
    assert (again.step, again.spent) == (run.step, run.spent)
    assert again.step == len((tmp_path / "steps.csv").read_text().splitlines()) == 1
    for mine, theirs in zip(run.network.parameters(), again.network.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_a_run_that_is_stopped_before_its_first_step_leaves_nothing_to_go_on_from(
    data: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Trainer(BandUNet(SMALL), config(data, 60), tmp_path)

    def stop(pool: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "_train_step", stop)
    with pytest.raises(KeyboardInterrupt):
        run.run()
    # So another --init in the same folder starts anew.
    assert not run.checkpoint.exists()


def test_a_cooled_run_goes_on_as_if_it_had_not_been_cooled(data: Any, tmp_path: Path) -> None:
    torch.manual_seed(0)
    run = Trainer(BandUNet(SMALL), config(data, 5), tmp_path)
    run.spent, run.step = 60.0, 7
    run.save()
    cooled = Trainer(BandUNet(SMALL), config(data, 5), tmp_path)
    cooled.cool_for(0.02)
    cooled.run()
    assert cooled.progress == 1
    assert cooled.step > 7
    again = Trainer(BandUNet(SMALL), config(data, 5), tmp_path)
    assert (again.step, again.spent) == (7, 60.0)
    for mine, theirs in zip(again.network.parameters(), run.network.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_a_run_of_steps_takes_as_many_however_long_they_last(data: Any, tmp_path: Path) -> None:
    steps = dataclasses.replace(config(data, 1e-6), steps=3)
    run = Trainer(BandUNet(SMALL), steps, tmp_path)
    run.step = 1
    assert run.progress == pytest.approx(1 / 3)
    run.save()
    resumed = Trainer(BandUNet(SMALL), steps, tmp_path)
    resumed.run()
    assert resumed.step == 3
    assert resumed.progress == 1
    assert len((tmp_path / "steps.csv").read_text().splitlines()) == 2


@pytest.mark.parametrize("minutes", [60, 50, 41, 70, 600])
def test_a_cooled_run_goes_on_from_the_constant_rate_whatever_its_minutes(
    data: Any, tmp_path: Path, minutes: float
) -> None:
    first = Trainer(BandUNet(SMALL), config(data, 60), tmp_path)
    first.spent = 40 * 60.0
    first.save()
    cooled = Trainer(BandUNet(SMALL), config(data, 60), tmp_path)
    cooled.cool_for(10)
    cooled.spent = 50 * 60.0
    cooled.save()
    assert Trainer(BandUNet(SMALL), config(data, minutes), tmp_path).spent == 40 * 60


@pytest.mark.parametrize(
    ("minutes", "goes_on_at"),
    [(70, 45), (75, 45), (79, 45), (100, 45), (55, 45), (60, 60), (40, 60)],
)
def test_a_finished_run_is_prolonged_from_where_its_rate_was_constant(
    data: Any, tmp_path: Path, minutes: float, goes_on_at: float
) -> None:
    run = Trainer(BandUNet(SMALL), config(data, 60), tmp_path)
    run.spent = 45 * 60.0
    run.save(run.before_cooling)
    run.spent = 60 * 60.0
    run.save()
    longer = Trainer(BandUNet(SMALL), config(data, minutes), tmp_path)
    # At 40 minutes it is over in any case, and the cooled weights are the result.
    assert longer.spent == goes_on_at * 60


def test_an_interrupted_cooling_goes_on_by_the_same_command(data: Any, tmp_path: Path) -> None:
    run = Trainer(BandUNet(SMALL), config(data, 60), tmp_path)
    run.spent = 20 * 60.0
    run.save()
    cooling = Trainer(BandUNet(SMALL), config(data, 60), tmp_path)
    cooling.cool_for(10)
    cooling.spent, cooling.step = 28 * 60.0, 7
    cooling.save()

    def again(minutes: float) -> Trainer:
        trainer = Trainer(BandUNet(SMALL), config(data, 60), tmp_path)
        trainer.cool_for(minutes)
        return trainer

    same, other = again(10), again(5)
    assert (same.spent, same.step) == (28 * 60, 7)
    assert (same.config.minutes, same.config.cooldown) == pytest.approx((30, 1 / 3))
    assert (other.spent, other.config.minutes) == (20 * 60, 25)
    same.spent = 30 * 60.0
    same.save()
    # A finished cooling is made anew from the constant rate.
    assert again(10).spent == 20 * 60


def test_the_ramp_of_the_logarithmic_term_stays_when_a_run_is_prolonged_or_cooled(
    data: Any, tmp_path: Path
) -> None:
    run = Trainer(BandUNet(SMALL), config(data, 60), tmp_path)
    assert run.log_ramp == 0
    run.spent = 8.4 * 60
    assert run.log_ramp == pytest.approx(0.6)
    run.save()
    longer = Trainer(BandUNet(SMALL), config(data, 600), tmp_path)
    assert longer.log_ramp == pytest.approx(0.6)
    longer.save()
    cooled = Trainer(BandUNet(SMALL), config(data, 600), tmp_path)
    cooled.cool_for(600)
    assert cooled.log_ramp == pytest.approx(0.6)
    # Older checkpoints do not have it: their minutes tell.
    state = torch.load(run.checkpoint, weights_only=True)
    del state["log_ramp"]
    state["config"]["minutes"], state["spent"] = 60, 11 * 60
    torch.save(state, run.checkpoint)
    older = Trainer(BandUNet(SMALL), config(data, 600), tmp_path)
    assert older.log_ramp == pytest.approx(8 / 9)
