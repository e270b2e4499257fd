# SPDX-License-Identifier: GPL-3.0-or-later
"""A short-time Fourier transform for live use: long window to look with, short one to play with.

A symmetric window of 46 ms would delay by 46 ms. Here the analysis window rises slowly and falls
fast, and the synthesis window covers only its last part (Mauler and Gerkmann 2009, "A low delay,
variable resolution, perfect reconstruction spectral analysis-synthesis system for speech
enhancement"). The delay is that of the short window, the frequency resolution nearly that of the
long one.

Axes: B batch, C channels, T frames, F bins (``n_fft // 2 + 1``). Frame t ends with sample
``(t + 1) * hop_length``; nothing after that enters it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["CausalSTFT"]


class CausalSTFT(nn.Module):
    """Frames from a past that the caller keeps, and overlap-add into a tail that the caller keeps.

    Args:
        n_fft: length of the analysis window in samples.
        hop_length: samples from one frame to the next.
        synthesis: length of the synthesis window; a multiple, at least twofold, of the hop.
    """

    window: Tensor
    output_window: Tensor

    def __init__(self, n_fft: int, hop_length: int, synthesis: int) -> None:
        super().__init__()
        if n_fft % 2 or synthesis % 2 or not 2 * hop_length <= synthesis <= n_fft:
            raise ValueError(
                "n_fft and synthesis must be even, synthesis from 2 hops to n_fft:"
                f" got {n_fft}, {synthesis}, hop {hop_length}"
            )
        if synthesis % hop_length:
            raise ValueError(f"synthesis {synthesis} must be a multiple of hop {hop_length}")
        self.n_fft = n_fft
        self.hop_length = hop_length
        self.synthesis = synthesis
        half = synthesis // 2
        rise = torch.hann_window(2 * (n_fft - half), dtype=torch.float64)[: n_fft - half].sqrt()
        fall = torch.hann_window(synthesis, dtype=torch.float64)[half:].sqrt()
        analysis = torch.cat([rise, fall])
        # Their product is a Hann window, whose copies at this hop sum to synthesis / (2 hop).
        product = torch.hann_window(synthesis, dtype=torch.float64) * (2 * hop_length / synthesis)
        output = product / analysis[-synthesis:].clamp_min(1e-12)
        self.register_buffer("window", analysis.float(), persistent=False)
        self.register_buffer("output_window", output.float(), persistent=False)

    @property
    def history(self) -> int:
        """Samples of the past that the first frame needs."""
        return self.n_fft - self.hop_length

    @property
    def delay(self) -> int:
        """Samples by which a block that is put out trails the block that was taken."""
        return self.synthesis - self.hop_length

    def frames(self, wave: Tensor) -> Tensor:
        """``(B, C, history + T * hop)`` to spectrograms ``(B, C, T, F, 2)``."""
        parts = wave.unfold(-1, self.n_fft, self.hop_length)
        return torch.view_as_real(torch.fft.rfft(parts * self.window))

    def forward(self, wave: Tensor) -> Tensor:
        """Waves ``(B, C, L)``, with silence before them, to ``(B, C, L // hop, F, 2)``."""
        return self.frames(nn.functional.pad(wave, (self.history, 0)))

    def overlap_add(self, spec: Tensor, tail: Tensor) -> tuple[Tensor, Tensor]:
        """Spectrograms to the samples they finish.

        Args:
            spec: ``(N, T, F, 2)``.
            tail: ``(N, delay)``, what earlier frames left; zeros at the start.

        Returns:
            Samples ``(N, T * hop)`` and the new tail ``(N, delay)``.
        """
        count, frames = spec.shape[:2]
        parts = torch.fft.irfft(torch.view_as_complex(spec.contiguous()), self.n_fft)
        parts = parts[..., -self.synthesis :] * self.output_window
        pieces = parts.reshape(count, frames, -1, self.hop_length)
        blocks = pieces.shape[2]
        out = parts.new_zeros(count, frames + blocks - 1, self.hop_length)
        # In the order of time, so that blocks of frames give what one frame at a time gives.
        for index in reversed(range(blocks)):
            out[:, index : index + frames] += pieces[:, :, index]
        out = out.reshape(count, -1)
        head = out[:, : self.delay] + tail
        out = torch.cat([head, out[:, self.delay :]], dim=1)
        return out[:, : frames * self.hop_length], out[:, frames * self.hop_length :]
