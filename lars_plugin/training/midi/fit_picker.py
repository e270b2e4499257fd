# SPDX-License-Identifier: GPL-3.0-or-later
"""Train the network that finds strokes (:mod:`lars_plugin.midi.picker`), on energies and onsets.

The energies are varied on the fly: a gain and an equaliser curve for all stems, and a gain for each
stem. True stems can be made to leak as a model's do: a share of every stroke goes to other stems,
and it differs from stroke to stroke and band to band. At times some stems are absent. Renderings
vary kits, rooms and mixes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from lars_plugin.midi.bands import FINE_BANDS
from lars_plugin.midi.onsets import levels_db
from lars_plugin.midi.picker import CONTEXT, DILATIONS, KERNEL, PAST, Picker, prepared

__all__ = ["Heard", "fit_picker"]

# A stroke is right at its frame, and half right at the next ones.
_NEXT = 0.5
# Strokes are rare: a missed stroke weighs this much more than a false one.
_WEIGHT = 2.0
_BATCH, _FRAMES = 16, 200
# How often some stems are absent, and how often no stem leaks.
_ABSENT, _CLEAN = 0.15, 0.25

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Heard:
    """One excerpt.

    Attributes:
        energies: ``(stems + 1, n, FINE_BANDS)`` float32 against the reference, the sum's last.
        strokes: for each stem the times of its strokes in frames, rising.
        leaks: whether its stems are true stems that should be made to leak.
    """

    energies: Floats
    strokes: tuple[NDArray[np.float64], ...]
    leaks: bool = False


class _Network(nn.Module):
    def __init__(self, inputs: int, stems: int, hidden: int) -> None:
        super().__init__()
        widths = (inputs, hidden, hidden, hidden)
        self.layers = nn.ModuleList(
            nn.Conv1d(widths[k], widths[k + 1], KERNEL, dilation=dilation)
            for k, dilation in enumerate(DILATIONS)
        )
        self.head = nn.Conv1d(hidden, stems, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits ``(batch, stems, m - context)`` of ``(batch, inputs, m)``."""
        for layer in self.layers:
            x = torch.relu(layer(x))
        out: torch.Tensor = self.head(x)
        return out

    def picker(self) -> Picker:
        arrays: dict[str, Floats] = {}
        for number, layer in enumerate((*self.layers, self.head), 1):
            weights = layer.weight.detach().numpy()
            # (out, in, taps) -> (taps * in, out)
            arrays[f"w{number}"] = np.ascontiguousarray(
                weights.transpose(2, 1, 0).reshape(-1, weights.shape[0])
            )
            arrays[f"b{number}"] = layer.bias.detach().numpy().copy()
        return Picker(**arrays)

    def start_from(self, picker: Picker) -> None:
        with torch.no_grad():
            for number, layer in enumerate((*self.layers, self.head), 1):
                taps = layer.weight.shape[2]
                weights = getattr(picker, f"w{number}")
                shaped = weights.reshape(taps, -1, weights.shape[1]).transpose(2, 1, 0)
                layer.weight.copy_(torch.from_numpy(shaped.copy()))
                layer.bias.copy_(torch.from_numpy(getattr(picker, f"b{number}").copy()))


def fit_picker(
    heard: Sequence[Heard],
    *,
    steps: int = 2000,
    hidden: int = 64,
    rate: float = 3e-3,
    start: Picker | None = None,
    seed: int = 0,
    tell: Callable[[str], None] | None = None,
) -> Picker:
    """Train the network. The same input gives the same network on the same machine.

    Args:
        heard: excerpts, of two seconds or more.
        steps: of the optimiser, with a batch of 16 seconds each.
        hidden: units of each layer.
        rate: highest learning rate.
        start: go on from this network, with as many units.
        seed: of first weights and variation.
        tell: called with lines about the loss.
    """
    rng = np.random.default_rng(seed)
    targets = [_target(one) for one in heard]
    stems = len(heard[0].strokes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        hidden = hidden if start is None else len(start.b1)
        network = _Network((stems + 1) * FINE_BANDS, stems, hidden)
    if start is not None:
        network.start_from(start)
    optimiser = torch.optim.AdamW(network.parameters(), rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, rate, total_steps=steps, pct_start=0.1
    )
    running = 0.0
    for step in range(steps):
        drawn = [_draw(rng, heard, targets) for _ in range(_BATCH)]
        x = torch.from_numpy(np.stack([one for one, _ in drawn]))
        y = torch.from_numpy(np.stack([two for _, two in drawn]))
        losses = nn.functional.binary_cross_entropy_with_logits(network(x), y, reduction="none")
        loss = (losses * (1 + (_WEIGHT - 1) * y)).mean()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        running += loss.item()
        if tell is not None and (step + 1) % 500 == 0:
            tell(f"step {step + 1} of {steps}: loss {running / 500:.5f}")
            running = 0.0
    return network.picker()


def _target(one: Heard) -> Floats:
    """``(stems, n)``: 1 at a stroke, less next to it."""
    n = one.energies.shape[1]
    target = np.zeros((len(one.strokes), n), np.float32)
    for row, moments in zip(target, one.strokes, strict=True):
        frames = np.rint(moments).astype(int)
        for shift, value in ((-1, _NEXT), (1, _NEXT), (0, 1.0)):
            at = frames + shift
            at = at[(at >= 0) & (at < n)]
            row[at] = np.maximum(row[at], value)
    return target


def _draw(
    rng: np.random.Generator, heard: Sequence[Heard], targets: Sequence[Floats]
) -> tuple[Floats, Floats]:
    """A part of an excerpt, varied: ``(inputs, m)`` and ``(stems, _FRAMES)``."""
    index = int(rng.integers(len(heard)))
    energies, target = heard[index].energies, targets[index]
    n = energies.shape[1]
    begin = int(rng.integers(0, max(1, n - _FRAMES)))
    wanted = np.arange(begin - PAST, begin + _FRAMES + CONTEXT - PAST)
    part = energies[:, np.clip(wanted, 0, n - 1)].copy()
    part[:, wanted < 0] = 0
    target = target[:, np.clip(np.arange(begin, begin + _FRAMES), 0, n - 1)]
    if heard[index].leaks:
        if rng.random() < _ABSENT:
            part, target = _absent(rng, part, target)
        if rng.random() >= _CLEAN:
            part = _leak(rng, part, [np.searchsorted(s, wanted + 2) for s in heard[index].strokes])
    count, _, bands = part.shape
    decibels = rng.normal(0, 3, (count, 1, 1)) + rng.normal(0, 3) + _curve(rng, 4.0, bands)
    levels = prepared(levels_db(part * 10 ** (decibels / 10), 1.0))
    return levels.transpose(0, 2, 1).reshape(count * bands, -1), target


def _curve(rng: np.random.Generator, spread: float, bands: int) -> NDArray[np.float64]:
    """A smooth random curve over the bands, in dB."""
    knots = rng.normal(0, spread, 5)
    return np.asarray(np.interp(np.arange(bands), np.linspace(0, bands - 1, 5), knots))


def _absent(rng: np.random.Generator, part: Floats, target: Floats) -> tuple[Floats, Floats]:
    """Drop some stems, from the sum as well."""
    gone = rng.random(len(target)) < rng.uniform(0.1, 0.8)
    stems = part[:-1] * ~gone[:, None, None]
    return np.concatenate([stems, stems.sum(axis=0, keepdims=True)]), target * ~gone[:, None]


def _leak(rng: np.random.Generator, part: Floats, strokes: Sequence[NDArray[np.intp]]) -> Floats:
    """Stems as an unknown model would give them: the energy of each stroke leaks into others.

    Args:
        rng: what to draw with.
        part: ``(stems + 1, m, bands)`` energies.
        strokes: for each stem the number of the stroke that sounds, frame by frame.
    """
    stems, bands = len(part) - 1, part.shape[2]
    loudest, share, wobble = rng.uniform(-30, 2), rng.uniform(0.2, 1), rng.uniform(0, 7)
    leaked = np.zeros_like(part[:-1])
    for source in range(stems):
        usual = loudest - rng.exponential(9.0, (stems, 1)) - 90.0 * (rng.random((stems, 1)) > share)
        usual = usual + np.stack([_curve(rng, 4.0, bands) for _ in range(stems)])
        which, place = np.unique(strokes[source], return_inverse=True)
        decibels = usual[:, None] + rng.normal(0, wobble, (stems, len(which), 1))
        decibels += rng.normal(0, wobble / 2, (*decibels.shape[:2], bands))
        decibels[source] = 0.0
        shares = 10 ** (decibels / 10)
        shares /= shares.sum(axis=0)
        leaked += (shares[:, place] * part[source]).astype(np.float32)
    return np.concatenate([leaked, part[-1:]])
