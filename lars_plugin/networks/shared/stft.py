# SPDX-License-Identifier: GPL-3.0-or-later
"""Short-time Fourier transforms as modules on real tensors.

Axes: B batch, C channels, T frames, F bins (``n_fft // 2 + 1``), L samples.
A spectrogram is real, ``(B, C, T, F, 2)``; the last axis holds (re, im).
Frames are centred with reflect padding, as ``torch.stft(center=True)`` has them,
so ``T = 1 + L // hop_length``.

Two ways of computing the same numbers: ``fft`` for running, ``conv`` (the discrete
Fourier transform written as a convolution) for graphs that have to leave PyTorch,
where complex numbers and FFTs are not portable.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["STFT"]


class STFT(nn.Module):
    """Windowed STFT and its least-squares inverse (Griffin and Lim 1984, equation 6).

    Args:
        n_fft: window length in samples; a periodic Hann window of this length is used.
        hop_length: samples from one frame to the next; divides ``n_fft`` at least twice.
        portable: compute through convolutions (for export) instead of FFTs.
    """

    window: Tensor
    analysis: Tensor
    synthesis: Tensor

    def __init__(self, n_fft: int, hop_length: int, *, portable: bool = False) -> None:
        super().__init__()
        if n_fft < 2 or n_fft % 2 or hop_length < 1 or hop_length > n_fft // 2:
            raise ValueError(
                f"n_fft must be even, hop_length at most half of it: got {n_fft}, {hop_length}"
            )
        self.n_fft = n_fft
        self.hop_length = hop_length
        self.portable = portable
        self.register_buffer("window", torch.hann_window(n_fft, periodic=True), persistent=False)
        if portable:
            self.register_buffer("analysis", self._analysis_basis(), persistent=False)
            self.register_buffer("synthesis", self._synthesis_basis(), persistent=False)

    def _angles(self) -> Tensor:
        sample = torch.arange(self.n_fft, dtype=torch.float64)
        bins = torch.arange(self.n_fft // 2 + 1, dtype=torch.float64)
        # The product is reduced modulo n_fft before the cosine: large angles lose digits.
        return (bins[:, None] * sample[None, :]) % self.n_fft * (2 * math.pi / self.n_fft)

    def _analysis_basis(self) -> Tensor:
        angles, window = self._angles(), self.window.double()
        basis = torch.cat([angles.cos() * window, -angles.sin() * window])
        return basis[:, None, :].float()

    def _synthesis_basis(self) -> Tensor:
        angles, window = self._angles(), self.window.double()
        weight = torch.full((self.n_fft // 2 + 1, 1), 2.0 / self.n_fft, dtype=torch.float64)
        weight[0] = weight[-1] = 1.0 / self.n_fft  # direct current and Nyquist stand alone
        basis = torch.cat([angles.cos() * weight * window, -angles.sin() * weight * window])
        return basis[:, None, :].float()

    def forward(self, wave: Tensor) -> Tensor:
        """Waves ``(B, C, L)`` to spectrograms ``(B, C, T, F, 2)``; L must exceed n_fft / 2."""
        batch, channels, length = wave.shape
        flat = wave.reshape(batch * channels, length)
        if self.portable:
            half = self.n_fft // 2
            padded = functional.pad(flat[:, None, :], (half, half), mode="reflect")
            parts = functional.conv1d(padded, self.analysis, stride=self.hop_length)
            frames = parts.shape[-1]
            spec = parts.reshape(batch, channels, 2, half + 1, frames).permute(0, 1, 4, 3, 2)
            return spec.contiguous()
        spec = torch.view_as_real(self.spectra(flat).transpose(1, 2).contiguous())
        return spec.reshape(batch, channels, spec.shape[1], spec.shape[2], 2)

    def inverse(self, spec: Tensor, length: int) -> Tensor:
        """Spectrograms ``(B, C, T, F, 2)`` to waves ``(B, C, length)``."""
        batch, channels, frames, bins, _ = spec.shape
        flat = spec.reshape(batch * channels, frames, bins, 2)
        if self.portable:
            half = self.n_fft // 2
            parts = flat.permute(0, 3, 2, 1).reshape(batch * channels, 2 * bins, frames)
            wave = functional.conv_transpose1d(parts, self.synthesis, stride=self.hop_length)
            squares = (self.window * self.window).reshape(1, 1, self.n_fft)
            envelope = functional.conv_transpose1d(
                torch.ones_like(parts[:1, :1]), squares, stride=self.hop_length
            )
            wave = wave[:, 0, half : half + length] / envelope[:, 0, half : half + length]
        else:
            wave = self.waves(torch.view_as_complex(flat.contiguous()).transpose(1, 2), length)
        return wave.reshape(batch, channels, length)

    def spectra(self, waves: Tensor) -> Tensor:
        """Waves ``(N, L)`` to complex spectrograms ``(N, F, T)``, by FFT."""
        return torch.stft(
            waves, self.n_fft, self.hop_length, window=self.window, center=True, return_complex=True
        )

    def waves(self, spectra: Tensor, length: int) -> Tensor:
        """Complex spectrograms ``(N, F, T)`` to waves ``(N, length)``, by FFT."""
        return torch.istft(
            spectra, self.n_fft, self.hop_length, window=self.window, center=True, length=length
        )
