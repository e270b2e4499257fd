# SPDX-License-Identifier: GPL-3.0-or-later
"""LiveNet: the causal network of our live models.

Axes: B batch, S stems, C audio channels, T frames, F bins, K bands, D features.

Between the band split and the masks of ``bands.py`` stands a U-Net over frequency alone: bands
are halved and doubled, frames never, so each frame can be computed when it comes. What was heard
before reaches a frame through causal (dilated) convolutions over time and a recurrent layer at the
bottom. The state, all that the past leaves behind, is explicit: a tuple of tensors in, one out.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from lars_plugin.networks.livenet.config import LiveNetConfig
from lars_plugin.networks.livenet.stft import CausalSTFT
from lars_plugin.networks.shared.bands import BandNetwork, apply_masks
from lars_plugin.networks.shared.constants import QUIETEST

__all__ = ["Block", "LiveNet", "LiveNetConfig", "State"]

State = tuple[Tensor, ...]


class Block(nn.Module):
    """Residual block: causal conv, frequency layers, conv over frequency.

    ``(B, D, T, K)`` to the same; its state is the last ``2 * dilation`` frames of its input.
    """

    def __init__(self, features: int, bands: int, tdf_factor: int, dilation: int) -> None:
        super().__init__()
        hidden = max(4, bands // tdf_factor)
        self.past = 2 * dilation
        self.first = nn.Conv2d(
            features, features, 3, padding=(0, 1), dilation=(dilation, 1), bias=False
        )
        self.first_norm = nn.BatchNorm2d(features)
        self.squeeze = nn.Linear(bands, hidden)
        self.expand = nn.Linear(hidden, bands)
        self.norm = nn.BatchNorm2d(features)
        self.second = nn.Conv2d(features, features, (1, 3), padding=(0, 1), bias=False)
        self.second_norm = nn.BatchNorm2d(features)

    def forward(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        heard = torch.cat([past.to(x.dtype), x], dim=2)
        y = functional.silu(self.first_norm(self._over_time(heard)))
        y = y + self.norm(self.expand(functional.silu(self.squeeze(y))))
        y = functional.silu(self.second_norm(self.second(y)))
        return x + y, heard[:, :, -self.past :]

    def _over_time(self, heard: Tensor) -> Tensor:
        """The causal convolution.

        In training it gets channels of zeros up to a multiple of 16: oneDNN as of PyTorch 2.13
        makes the bfloat16 weight gradient of a dilated convolution from memory beyond its input
        where the channels-last channels do not fill its vectors (56 of them at dilation 2: one
        gradient in five came out infinite).
        """
        convolution, missing = self.first, -heard.shape[1] % 16
        if not self.training or not missing:
            return cast(Tensor, convolution(heard))
        beside = (0, 0, 0, 0, 0, missing)
        return functional.conv2d(
            functional.pad(heard, beside),
            functional.pad(convolution.weight, beside),
            padding=convolution.padding,
            dilation=convolution.dilation,
        )


def _halve(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, (1, 2), stride=(1, 2), bias=False),
        nn.BatchNorm2d(outputs),
        nn.SiLU(),
    )


def _double(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.ConvTranspose2d(inputs, outputs, (1, 2), stride=(1, 2), bias=False),
        nn.BatchNorm2d(outputs),
        nn.SiLU(),
    )


class LiveNet(BandNetwork):
    """Waves in, stems out, block by block or at once; the stems sum to the input.

    ``network(wave)`` takes ``(B, C, L)`` to ``(B, S, C, L)``, the delay removed. Live,
    ``network.step(block, state)`` takes ``(B, C, n * hop_length)`` and the state of the step
    before, and returns stems of that length, ``delay`` samples late, and the new state.
    """

    def __init__(self, config: LiveNetConfig) -> None:
        super().__init__(
            stems=config.stems,
            audio_channels=config.audio_channels,
            band_widths=config.band_widths,
            features=config.features[0],
            head=config.head,
            levels=config.levels,
        )
        self.config = config
        self.stft = CausalSTFT(config.n_fft, config.hop_length, config.synthesis)
        features, bands = config.features, len(config.band_widths)
        self.encoder = nn.ModuleList()
        self.down = nn.ModuleList()
        self.up = nn.ModuleList()
        self.decoder = nn.ModuleList()
        for level, dilation in enumerate(config.dilations):
            width, below, size = features[level], features[level + 1], bands >> level
            self.encoder.append(Block(width, size, config.tdf_factor, dilation))
            self.down.append(_halve(width, below))
            self.up.append(_double(below, width))
            self.decoder.append(Block(width, size, config.tdf_factor, dilation))
        self.coarsest = bands >> len(config.dilations)
        self.bottom = nn.ModuleList(
            Block(features[-1], self.coarsest, config.tdf_factor, d) for d in config.bottom
        )
        flat = features[-1] * self.coarsest
        self.enter = nn.Linear(flat, config.recurrent)
        self.recurrent = nn.GRU(config.recurrent, config.recurrent, batch_first=True)
        self.leave = nn.Linear(config.recurrent, flat)
        self.hidden = nn.Sequential(
            nn.Conv2d(2 * features[0], config.head, 1, bias=False),
            nn.BatchNorm2d(config.head),
            nn.SiLU(),
        )

    # The state: (past samples, running level, recurrent, tail of the output, past of each block).

    @property
    def delay(self) -> int:
        """Samples by which the stems that :meth:`step` returns trail its input."""
        return self.stft.delay

    @property
    def fade(self) -> float:
        """Nepers of power by which the running level falls from a frame that the network looks at
        to the next."""
        samples = self.config.hop_length * self.config.hold
        return samples / self.config.sample_rate / self.config.memory

    @property
    def holds(self) -> bool:
        """Whether masks are held for more than a frame."""
        return self.config.hold > 1

    def _blocks(self) -> list[Block]:
        blocks = [*self.encoder, *self.bottom, *reversed(self.decoder)]
        return [block for block in blocks if isinstance(block, Block)]

    def initial_state(self, batch: int = 1) -> State:
        """The state before the first sample: silence, for ever.

        Returns:
            float32 tensors: past samples ``(B, C, n_fft - hop)``, the running level in nepers of
            power ``(B, 1)``, the recurrent state ``(1, B, R)``, the tail of the output
            ``(B * S * C, delay)``, then ``(B, D, past, K)`` for each block. Where masks are held,
            also the features ``(K, head, B)`` behind them, and the number of frames ``(1,)`` that
            they still hold for.
        """
        config, like = self.config, self.position
        blocks, bands = [], len(config.band_widths)
        for block in self._blocks():
            features = block.first.in_channels
            blocks.append(like.new_zeros(batch, features, block.past, block.squeeze.in_features))
        stems = batch * config.stems * config.audio_channels
        held = (like.new_zeros(bands, self.head, batch), like.new_zeros(1)) if self.holds else ()
        return (
            like.new_zeros(batch, config.audio_channels, self.stft.history),
            like.new_full((batch, 1), math.log(QUIETEST)),
            like.new_zeros(1, batch, config.recurrent),
            like.new_zeros(stems, self.stft.delay),
            *blocks,
            *held,
        )

    def step(self, block: Tensor, state: State) -> tuple[Tensor, State]:
        """The next samples.

        Args:
            block: ``(B, C, n * hop_length)`` float32, n >= 1.
            state: from :meth:`initial_state` or the step before; not changed.

        Returns:
            Stems ``(B, S, C, n * hop_length)``, :attr:`delay` samples late, and the state.
        """
        batch, channels, length = block.shape
        wave = torch.cat([state[0], block], dim=2)
        spec = self.stft.frames(wave)
        features, level, recurrent, past = self._features(spec, state)
        outputs = self.mask_outputs(features, batch, channels)
        stems = apply_masks(spec, outputs, self.config.stems)
        out, tail = self.stft.overlap_add(stems.flatten(0, 2), state[3])
        shaped = out.reshape(batch, self.config.stems, channels, length)
        return shaped, (wave[..., -self.stft.history :], level, recurrent, tail, *past)

    def forward(self, wave: Tensor) -> Tensor:
        hop, length = self.config.hop_length, wave.shape[2]
        missing = self.delay + (-length - self.delay) % hop
        out, _ = self.step(functional.pad(wave, (0, missing)), self.initial_state(wave.shape[0]))
        return out[..., self.delay : self.delay + length]

    def band_outputs(self, spec: Tensor) -> list[Tensor]:
        """:meth:`mask_outputs` for a whole mixture's spectrogram ``(B, C, T, F + 1, 2)``."""
        batch, channels = spec.shape[:2]
        return self.mask_outputs(self._trunk(spec), batch, channels)

    def _trunk(self, spec: Tensor) -> Tensor:
        """Spectrogram ``(B, C, T, F + 1, 2)``, silence before it, to features."""
        return self._features(spec, self.initial_state(spec.shape[0]))[0]

    def _features(self, spec: Tensor, state: State) -> tuple[Tensor, Tensor, Tensor, list[Tensor]]:
        """Features ``(K, head, B * T)`` and what the next frames need: level, recurrent, past."""
        level, recurrent, past = state[1], state[2], list(state[4:])
        if not self.holds:
            return self._stateful_trunk(spec, level, recurrent, past)
        batch, _, frames = spec.shape[:3]
        held, left = past[-2:]
        past = past[:-2]
        waiting = min(int(left), frames)
        parts = [held[..., None].expand(-1, -1, -1, waiting)]
        seen = spec[:, :, waiting :: self.config.hold]
        if seen.shape[2]:
            new, level, recurrent, past = self._stateful_trunk(seen, level, recurrent, past)
            new = new.reshape(*held.shape, -1)
            parts.append(new.repeat_interleave(self.config.hold, dim=3))
            held = new[..., -1]
        every = torch.cat(parts, dim=3)
        left = left.new_tensor([every.shape[3] - frames if seen.shape[2] else int(left) - frames])
        features = every[..., :frames].reshape(*held.shape[:2], batch * frames)
        return features, level, recurrent, [*past, held, left]

    def _stateful_trunk(
        self, spec: Tensor, level: Tensor, recurrent: Tensor, past: list[Tensor]
    ) -> tuple[Tensor, Tensor, Tensor, list[Tensor]]:
        """Features ``(K, head, B * T)`` and what the next frames need."""
        batch, _, frames = spec.shape[:3]
        scale, level = self.running_level(spec, level)
        x = spec[..., :-1, :].permute(0, 2, 3, 1, 4) / scale[:, :, None, None, None]
        x = self.split_bands(x)
        entry, skips, kept = x, [], []
        waiting = iter(past)
        for encode, down in zip(self.encoder, self.down, strict=True):
            x, heard = encode(x, next(waiting))
            kept.append(heard)
            skips.append(x)
            x = down(x)
        for block in self.bottom:
            x, heard = block(x, next(waiting))
            kept.append(heard)
        x, recurrent = self._recur(x, recurrent)
        for up, decode, skip in zip(
            reversed(self.up), reversed(self.decoder), reversed(skips), strict=True
        ):
            x, heard = decode(up(x) + skip, next(waiting))
            kept.append(heard)
        x = self.hidden(torch.cat([x, entry], dim=1))
        features = x.permute(3, 1, 0, 2).reshape(x.shape[3], self.head, batch * frames)
        return features, level, recurrent, kept

    def _recur(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        batch, width, frames, bands = x.shape
        flat = self.enter(x.permute(0, 2, 1, 3).reshape(batch, frames, width * bands))
        with torch.autocast(x.device.type, enabled=False):
            flat, state = self.recurrent(flat.float(), state)
        back = self.leave(flat).reshape(batch, frames, width, bands).permute(0, 2, 1, 3)
        return x + back, state

    def running_level(self, spec: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
        """Level ``(B, T)`` of the loudest frame so far, which is slowly forgotten.

        A network that sees the future divides by the level of the whole excerpt; this one by the
        highest level up to now. The recursion max(power, previous * decay) is a running maximum
        once the decay is taken out of the logarithm.
        """
        frames = spec.shape[2]
        power = spec.square().mean(dim=(1, 3, 4)) / self.stft.window.square().sum() * 2
        slope = torch.arange(1, frames + 1, device=spec.device, dtype=torch.float32) * self.fade
        log_power = torch.cat([level, (power + QUIETEST).log() + slope], dim=1)
        running = torch.cummax(log_power, dim=1).values[:, 1:] - slope
        running = running.clamp_min(math.log(QUIETEST))
        return (running / 2).exp(), running[:, -1:]
