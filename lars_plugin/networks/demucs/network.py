# SPDX-License-Identifier: GPL-3.0-or-later
"""Hybrid Demucs and HT-Demucs: waves in, stems out.

One U-Net works on the spectrum and shrinks frequency, another works on the wave and shrinks time;
their stems are added. In Hybrid Demucs they become one where a single bin is left; in HT-Demucs a
transformer lets them see each other. Tensors have the published names: ``encoder``, ``decoder``,
``tencoder``, ``tdecoder``, ``freq_emb``, ``crosstransformer``, ``channel_upsampler`` …

Axes: B batch, S stems, C audio channels, L samples, D features, F bins, T frames.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from lars_plugin.errors import InputError
from lars_plugin.networks.demucs.config import HDemucsConfig, HTDemucsConfig, Layer
from lars_plugin.networks.demucs.layers import Bands, Decoder, Encoder, Residual, unflatten
from lars_plugin.networks.demucs.transformer import CrossTransformer

__all__ = ["HDemucs", "HDemucsConfig", "HTDemucs", "HTDemucsConfig"]

_EPSILON = 1e-5  # beside a standard deviation
_PHASE_EPSILON = 1e-8  # beside a magnitude


class _BinEmbedding(nn.Module):
    """What is added for each bin."""

    def __init__(self, bins: int, features: int, factor: float) -> None:
        super().__init__()
        self.embedding = nn.Embedding(bins, features)
        self._factor = factor

    def forward(self, bins: int) -> Tensor:
        """``(D, bins, 1)``."""
        return (self.embedding.weight[:bins] * self._factor).t()[:, :, None]


class _Hybrid(nn.Module):
    """What the two networks share."""

    onnx_lacks: ClassVar[str] = "the STFT with complex numbers"  # said by exports

    _window: Tensor

    def __init__(self, config: HDemucsConfig | HTDemucsConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("_window", torch.hann_window(config.nfft), persistent=False)
        self._silent = isinstance(config, HDemucsConfig) and config.hybrid_old
        layers = config.layers()
        timed = [layer for layer in layers if layer.freq]
        self.encoder = nn.ModuleList(self._split(layer, self._encoder) for layer in layers)
        self.tencoder = nn.ModuleList(self._time_encoder(layer) for layer in timed)
        self.decoder = nn.ModuleList(
            self._split(layer, self._decoder) for layer in reversed(layers)
        )
        self.tdecoder = nn.ModuleList(self._time_decoder(layer) for layer in reversed(timed))
        self.freq_emb: _BinEmbedding | None = None
        if config.freq_emb:
            first = layers[0]
            bins = 1 if first.merges else config.nfft // 2 // config.stride
            self.freq_emb = _BinEmbedding(bins, first.outputs, config.emb_scale)

    def _residual(self, layer: Layer, features: int, *, back: bool) -> Residual | None:
        config = self.config
        if not config.dconv_mode & (2 if back else 1):
            return None
        return Residual(
            features,
            config.dconv_comp,
            config.dconv_depth,
            lstm=isinstance(config, HDemucsConfig) and layer.index >= config.dconv_lstm,
            attention=isinstance(config, HDemucsConfig) and layer.index >= config.dconv_attn,
        )

    def _split(
        self, layer: Layer, make: Callable[[Layer], Encoder | Decoder]
    ) -> Encoder | Decoder | Bands:
        if not layer.split:
            return make(layer)
        shares = self.config.multi_freqs
        return Bands([make(layer) for _ in range(len(shares) + 1)], shares)

    def _encoder(self, layer: Layer) -> Encoder:
        config = self.config
        return Encoder(
            *(layer.inputs, layer.outputs, layer.kernel, layer.stride, layer.padding),
            freq=layer.freq,
            groups=config.norm_groups if layer.norm else 0,
            context=config.context_enc if config.rewrite else None,
            residual=self._residual(layer, layer.outputs, back=False),
        )

    def _time_encoder(self, layer: Layer) -> Encoder:
        config = self.config
        return Encoder(
            *(layer.time_inputs, layer.time_outputs, config.kernel_size, config.stride),
            config.kernel_size // 4,
            freq=False,
            bare=layer.merges,
            groups=config.norm_groups if layer.norm else 0,
            context=config.context_enc if config.rewrite else None,
            residual=None
            if layer.merges
            else self._residual(layer, layer.time_outputs, back=False),
        )

    def _decoder(self, layer: Layer) -> Decoder:
        config = self.config
        outputs = layer.inputs if layer.index else layer.inputs * config.stems
        return Decoder(
            *(layer.outputs, outputs, layer.kernel, layer.stride, layer.padding),
            freq=layer.freq,
            last=layer.index == 0,
            groups=config.norm_groups if layer.norm else 0,
            context=config.context if config.rewrite else None,
            across=not layer.split,
            residual=self._residual(layer, layer.outputs, back=True),
        )

    def _time_decoder(self, layer: Layer) -> Decoder:
        config = self.config
        outputs = layer.time_inputs if layer.index else layer.time_inputs * config.stems
        return Decoder(
            *(layer.time_outputs, outputs, config.kernel_size, config.stride),
            config.kernel_size // 4,
            freq=False,
            last=layer.index == 0,
            bare=layer.merges,
            groups=config.norm_groups if layer.norm else 0,
            context=config.context if config.rewrite else None,
            residual=None if layer.merges else self._residual(layer, layer.time_outputs, back=True),
        )

    def forward(self, wave: Tensor) -> Tensor:
        """Waves ``(B, C, L)`` to stems ``(B, S, C, L)``."""
        wave = wave.float()
        length = wave.shape[-1]
        spectra = self._spectra(wave)
        x = self._as_features(spectra)
        x, mean, deviation = _normalised(x)
        xt, time_mean, time_deviation = _normalised(wave)
        x, xt = self._run(x, xt)
        x = self._as_stems(x) * deviation[:, None] + mean[:, None]
        xt = xt.reshape(wave.shape[0], self.config.stems, -1, length)
        xt = xt * time_deviation[:, None] + time_mean[:, None]
        return xt + self._waves(x.float(), spectra, length)

    def _run(self, x: Tensor, xt: Tensor) -> tuple[Tensor, Tensor]:
        """Both halves through their U-Nets: real tensors only."""
        skips, time_skips, lengths, time_lengths = [], [], [], []
        for index, encode in enumerate(self.encoder):
            lengths.append(x.shape[-1])
            joined = None
            if index < len(self.tencoder):
                time_lengths.append(xt.shape[-1])
                encode_time = self.tencoder[index]
                xt = encode_time(xt)
                if encode_time.bare:
                    joined = xt
                else:
                    time_skips.append(xt)
            x = encode(x, joined)
            if index == 0 and self.freq_emb is not None:
                x = x + self.config.freq_emb * self.freq_emb(x.shape[2])
            skips.append(x)
        x, xt = self._between(x, xt)
        first = len(self.decoder) - len(self.tdecoder)
        for index, decode in enumerate(self.decoder):
            x, before = decode(x, skips.pop(), lengths.pop())
            if index < first:
                continue
            decode_time = self.tdecoder[index - first]
            if decode_time.bare:
                xt, _ = decode_time(before.flatten(1, 2), None, time_lengths.pop())
            else:
                xt, _ = decode_time(xt, time_skips.pop(), time_lengths.pop())
        return x, xt

    def _between(self, x: Tensor, xt: Tensor) -> tuple[Tensor, Tensor]:
        """What happens between the way there and the way back."""
        raise NotImplementedError

    def _spectra(self, wave: Tensor) -> Tensor:
        """Waves ``(B, C, L)`` to complex ``(B, C, F, T)`` without Nyquist, a frame for each hop
        that has begun."""
        hop, length = self.config.hop_length, wave.shape[-1]
        frames = -(-length // hop)
        before = hop // 2 * 3
        padded = _continued(wave, before, before + frames * hop - length, silent=self._silent)
        spectra = torch.stft(
            padded.flatten(0, 1),
            self.config.nfft,
            hop,
            window=self._window,
            normalized=True,
            return_complex=True,
        )
        return unflatten(spectra[:, :-1, 2 : 2 + frames], 0, wave.shape[:2])

    def _waves(self, x: Tensor, mixture: Tensor, length: int) -> Tensor:
        """Stems ``(B, S, C', F, T)`` of the spectrum to ``(B, S, C, L)``."""
        if self.config.cac:
            pairs = unflatten(x, 2, (-1, 2)).permute(0, 1, 2, 4, 5, 3)
            spectra = torch.view_as_complex(pairs.contiguous())
        else:
            phases = mixture / (_PHASE_EPSILON + mixture.abs())
            spectra = phases[:, None] * x
        spectra = functional.pad(spectra, (2, 2, 0, 1))  # Nyquist, and frames beyond both ends
        hop = self.config.hop_length
        before = 0 if self._silent else hop // 2 * 3
        waves = torch.istft(
            spectra.flatten(0, 2),
            self.config.nfft,
            hop,
            window=self._window,
            normalized=True,
            length=-(-length // hop) * hop + 2 * before,
        )
        return unflatten(waves[:, before : before + length], 0, spectra.shape[:3])

    def _as_features(self, spectra: Tensor) -> Tensor:
        """Complex ``(B, C, F, T)`` to real ``(B, D, F, T)``."""
        if not self.config.cac:
            return spectra.abs()
        return torch.view_as_real(spectra).permute(0, 1, 4, 2, 3).flatten(1, 2)

    def _as_stems(self, x: Tensor) -> Tensor:
        """Real ``(B, D, F, T)`` to ``(B, S, C', F, T)``."""
        return unflatten(x, 1, (self.config.stems, -1))


class HDemucs(_Hybrid):
    """Hybrid Demucs: waves ``(B, C, L)`` to stems ``(B, S, C, L)`` float32, for any L."""

    def _between(self, x: Tensor, _: Tensor) -> tuple[Tensor, Tensor]:
        # The way back starts with nothing: all comes past the levels.
        return torch.zeros_like(x), torch.zeros_like(x)


class HTDemucs(_Hybrid):
    """HT-Demucs: waves ``(B, C, L)`` to stems ``(B, S, C, L)`` float32.

    Raises:
        InputError: input that is longer than the ``segment_length`` of a network that has one.
    """

    config: HTDemucsConfig

    def __init__(self, config: HTDemucsConfig) -> None:
        super().__init__(config)
        outer = int(config.channels * config.growth ** (config.depth - 1))
        if config.bottom_channels:
            inner = config.bottom_channels
            self.channel_upsampler = nn.Conv1d(outer, inner, 1)
            self.channel_downsampler = nn.Conv1d(inner, outer, 1)
            self.channel_upsampler_t = nn.Conv1d(outer, inner, 1)
            self.channel_downsampler_t = nn.Conv1d(inner, outer, 1)
        self.crosstransformer = CrossTransformer(config) if config.t_layers else None

    def forward(self, wave: Tensor) -> Tensor:
        length, whole = wave.shape[-1], self.config.segment_length
        if 0 < whole < length:
            raise InputError(f"this network takes {whole} samples at most, got {length}")
        if length < whole:
            wave = functional.pad(wave, (0, whole - length))
        return super().forward(wave)[..., :length]

    def _between(self, x: Tensor, xt: Tensor) -> tuple[Tensor, Tensor]:
        if self.crosstransformer is None:
            return x, xt
        if not self.config.bottom_channels:
            seen: tuple[Tensor, Tensor] = self.crosstransformer(x, xt)
            return seen
        bins = x.shape[2]
        x = unflatten(self.channel_upsampler(x.flatten(2)), 2, (bins, -1))
        x, xt = self.crosstransformer(x, self.channel_upsampler_t(xt))
        x = unflatten(self.channel_downsampler(x.flatten(2)), 2, (bins, -1))
        return x, self.channel_downsampler_t(xt)

    def _as_features(self, spectra: Tensor) -> Tensor:
        x = super()._as_features(spectra)
        return unflatten(x, 2, (self.config.num_subbands, -1)).flatten(1, 2)

    def _as_stems(self, x: Tensor) -> Tensor:
        bands = self.config.num_subbands
        return super()._as_stems(unflatten(x, 1, (-1, bands)).flatten(2, 3))


def _normalised(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """All of a batch's entry at mean 0 and deviation 1, and what these were."""
    axes = tuple(range(1, x.dim()))
    mean = x.mean(axes, keepdim=True)
    # A single sample has no deviation.
    deviation = x.std(axes, keepdim=True) if x[0].numel() > 1 else torch.zeros_like(mean)
    return (x - mean) / (_EPSILON + deviation), mean, deviation


def _continued(wave: Tensor, before: int, after: int, *, silent: bool) -> Tensor:
    """A wave with samples before and after it: its reflection, behind silence where it is short."""
    if silent:
        return functional.pad(wave, (before, after))
    missing = max(before, after) + 1 - wave.shape[-1]
    if missing > 0:
        zeros_after = min(after, missing)
        wave = functional.pad(wave, (missing - zeros_after, zeros_after))
        before, after = before - (missing - zeros_after), after - zeros_after
    return functional.pad(wave, (before, after), mode="reflect")
