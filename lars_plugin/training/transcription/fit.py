# SPDX-License-Identifier: GPL-3.0-or-later
"""The training loop of the transcriber; it goes on where its checkpoint stands."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from lars_plugin.audio import AtomicFiles
from lars_plugin.errors import DatasetError
from lars_plugin.networks.transcriber.config import GROUPS, STROKES
from lars_plugin.networks.transcriber.network import Transcriber
from lars_plugin.training.transcription.remix import Item, Remixer

__all__ = ["FitSettings", "Fitted", "fit", "losses"]

# Toms and cymbals are rare: a missed one counts more than an invented one.
_RARE = {"toms": 2.0, "ride": 2.0, "crash": 2.0}
_RARE_GROUPS = {"toms": 1.5, "cymbals": 1.5}
# What the losses of onsets, velocities and shares count.
_SCALES = (10.0, 1.0, 0.1)
_WARM_UP = 200
_COOL = 0.3
_SAVE_SECONDS = 240


@dataclass(frozen=True)
class FitSettings:
    """Attributes:
    minutes: of training in all.
    batch: excerpts per step.
    lr: highest learning rate; it rises over 200 steps and falls over the last 30 % of the time.
    """

    minutes: float
    batch: int = 10
    lr: float = 2e-3
    steps: int | None = None


@dataclass(frozen=True)
class Fitted:
    """Attributes:
    average: the averaged weights.
    steps, minutes: of all runs together.
    """

    average: dict[str, Tensor]
    steps: int
    minutes: float


def losses(network: Transcriber, batch: tuple[Tensor, ...]) -> tuple[Tensor, Tensor, Tensor]:
    """Of onsets (cross entropy), velocities (squared error where something is struck) and shares
    (cross entropy, weighted by the level)."""
    levels, targets, weights, velocities, shares, share_weights = batch
    onsets, found, logits = network(levels)
    rare = [_RARE.get(stem, 1.0) for stem, _ in STROKES]
    rare += [_RARE_GROUPS.get(group, 1.0) for group in GROUPS]
    onset = nn.functional.binary_cross_entropy_with_logits(
        onsets, targets, weight=weights, pos_weight=torch.tensor(rare)
    )
    struck = (velocities > 0).float()
    velocity = ((found - velocities) ** 2 * struck).sum() / (struck.sum() + 1)
    entropy = -(shares * torch.log_softmax(logits, 2)).sum(2)
    return onset, velocity, (entropy * share_weights).mean()


def fit(
    network: Transcriber,
    source: Remixer,
    settings: FitSettings,
    checkpoint: Path,
    tell: Callable[[str], None],
) -> Fitted:
    """Train until the time is over.

    Args:
        network: changed.
        source: draws excerpts.
        settings: see there.
        checkpoint: read first if it is there, written every four minutes and at the end.
        tell: gets a line every hundred steps.

    Returns:
        The averaged weights, and how long it took to get there.

    Raises:
        DatasetError: the checkpoint is of another network.
    """
    optimizer = torch.optim.AdamW(network.parameters(), settings.lr, weight_decay=0.01)
    average = {key: value.detach().clone() for key, value in network.state_dict().items()}
    step, spent = 0, 0.0
    if checkpoint.is_file():
        try:
            found = torch.load(checkpoint, weights_only=True)
            network.load_state_dict(found["network"])
            optimizer.load_state_dict(found["optimizer"])
            average, step, spent = found["average"], found["step"], found["seconds"]
        except (RuntimeError, KeyError, ValueError) as error:
            raise DatasetError(
                f"{checkpoint} is of another network ({error}); choose another folder"
            ) from error
        tell(f"resumed at step {step}, {spent / 60:.1f} minutes in")
    begin = saved = time.monotonic()

    def save() -> None:
        state = {
            "network": network.state_dict(),
            "optimizer": optimizer.state_dict(),
            "average": average,
            "step": step,
            "seconds": spent + time.monotonic() - begin,
        }
        with AtomicFiles() as files:
            torch.save(state, files.create(checkpoint))

    network.train()

    def done() -> float:
        share = (spent + time.monotonic() - begin) / 60 / settings.minutes
        return max(share, step / settings.steps) if settings.steps else share

    while (so_far := done()) < 1:
        rate = settings.lr * min(1, (step + 1) / _WARM_UP) * min(1, max(0.01, (1 - so_far) / _COOL))
        for group in optimizer.param_groups:
            group["lr"] = rate
        onset, velocity, share = losses(network, _batch(source, settings.batch))
        loss = sum(
            scale * one for scale, one in zip(_SCALES, (onset, velocity, share), strict=True)
        )
        assert isinstance(loss, Tensor)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        step += 1
        _update(average, network, step)
        if step % 100 == 0:
            tell(
                f"step {step}: onsets {onset.item():.4f}, velocities {velocity.item():.4f},"
                f" shares {share.item():.3f}"
            )
        if time.monotonic() - saved > _SAVE_SECONDS:
            save()
            saved = time.monotonic()
    save()
    return Fitted(average, step, (spent + time.monotonic() - begin) / 60)


def _batch(source: Remixer, size: int) -> tuple[Tensor, ...]:
    items = [source.draw() for _ in range(size)]
    return tuple(
        torch.from_numpy(np.stack([getattr(item, field.name) for item in items]))
        for field in dataclasses.fields(Item)
    )


def _update(average: dict[str, Tensor], network: Transcriber, step: int) -> None:
    """A running mean over about 300 steps, shorter at first."""
    share = min(0.1, max(0.003, 1 / (step + 1)))
    for key, value in network.state_dict().items():
        if value.is_floating_point():
            average[key].lerp_(value, share)
        else:
            average[key].copy_(value)
