# SPDX-License-Identifier: GPL-3.0-or-later
"""The shapes of Hybrid Demucs and HT-Demucs; without PyTorch.

Settings have the field's names, so that what a published package says can be taken over.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from lars_plugin.errors import InputError
from lars_plugin.model import Chunking, Convention
from lars_plugin.networks.demucs.field import field_settings, package_settings
from lars_plugin.networks.shared.shape import Shape, check_fields, check_number

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["HDemucsConfig", "HTDemucsConfig", "Layer"]

# The least value of whole numbers, where it is not 1; None: any.
_LEAST: Mapping[str, int | None] = MappingProxyType(
    {
        **dict.fromkeys(("wiener_iters", "dconv_depth"), None),
        **dict.fromkeys(("multi_freqs_depth", "context", "context_enc", "norm_starts"), 0),
        **dict.fromkeys(("dconv_mode", "dconv_attn", "dconv_lstm", "segment_length"), 0),
        **dict.fromkeys(("bottom_channels", "t_layers"), 0),
    }
)
_DEEPEST = 16  # levels, far above every network


@dataclass(frozen=True)
class Layer:
    """One level of the U-Nets.

    Attributes:
        index: 0 is next to the audio.
        freq: whether its spectral half convolves over frequency; above, there is one bin, and it
            convolves over time.
        merges: whether frequency ends here, and the wave's half joins the spectrum's.
        kernel, stride, padding: of the spectral half, along its axis.
        inputs, outputs: features of the spectral half, from coarse to fine on the way back.
        time_inputs, time_outputs: features of the wave's half.
        norm: whether there are group norms.
        split: whether bands of frequency have weights of their own.
    """

    index: int
    freq: bool
    merges: bool
    kernel: int
    stride: int
    padding: int
    inputs: int
    outputs: int
    time_inputs: int
    time_outputs: int
    norm: bool
    split: bool


@dataclass(frozen=True)
class _HybridConfig(Shape):
    """What both networks can be told.

    Attributes:
        stems: number of outputs.
        audio_channels: channels of the mixture.
        sample_rate: Hz.
        channels: features of the first level.
        channels_time: the same of the wave's half; None: as many.
        growth: features of a level over those of the level before.
        nfft: STFT window in samples; the hop is a quarter of it.
        cac: complex as channels: the network makes spectra. False: it makes magnitudes.
        wiener_iters: only without ``cac``; must be negative: magnitudes with the mixture's phase.
        depth: levels.
        rewrite: whether levels have a gated 1 x 1 convolution.
        multi_freqs: ends of bands of frequency, as shares of it, that have weights of their own.
        multi_freqs_depth: levels that have such bands.
        freq_emb: weight of what is added for each bin after the first level; 0 for none.
        emb_scale: factor of what is stored for the bins.
        kernel_size, stride: of the levels.
        time_stride: of levels behind the point where frequency has ended.
        context, context_enc: neighbours that a gated convolution sees on either side, on the way
            back and forth.
        norm_starts: first level with group norms.
        norm_groups: groups of a norm.
        dconv_mode: residual branches: 1 on the way there, 2 on the way back, 3 both, 0 none.
        dconv_depth: layers of such a branch; negative: without dilation.
        dconv_comp: features of a level over those inside of its branch.

    Raises:
        InputError: values that make no network.
    """

    stems: int = 4
    audio_channels: int = 2
    sample_rate: int = 44100
    channels: int = 48
    channels_time: int | None = None
    growth: float = 2
    nfft: int = 4096
    cac: bool = True
    wiener_iters: int = 0
    depth: int = 6
    rewrite: bool = True
    multi_freqs: tuple[float, ...] = ()
    multi_freqs_depth: int = 2
    freq_emb: float = 0.2
    emb_scale: float = 10
    kernel_size: int = 8
    stride: int = 4
    time_stride: int = 2
    context: int = 1
    context_enc: int = 0
    norm_starts: int = 4
    norm_groups: int = 4
    dconv_mode: int = 1
    dconv_depth: int = 2
    dconv_comp: float = 4

    title: ClassVar[str] = "Hybrid Demucs"
    # Settings of the field that have one value here.
    fixed: ClassVar[Mapping[str, Any]] = MappingProxyType({})

    def __post_init__(self) -> None:
        check_fields(self, self.title, _LEAST)
        if not isinstance(self.multi_freqs, (list, tuple)):
            raise self._invalid("multi_freqs", "a list of shares")
        for share in self.multi_freqs:
            check_number(f"{self.title}: multi_freqs", share)
        if self.depth > _DEEPEST:
            raise self._invalid("depth", f"at most {_DEEPEST}")
        if not self.cac and self.wiener_iters >= 0:
            raise self._invalid(
                "wiener_iters", "cac true, or a negative number: no iterative Wiener filter"
            )
        if self.nfft % 8:
            raise self._invalid("nfft", "a multiple of 8")
        if self.kernel_size - 2 * (self.kernel_size // 4) != self.stride:
            raise self._invalid("kernel_size", "the stride and twice a quarter of itself")
        if self.multi_freqs and self.kernel_size != 2 * self.stride:
            raise self._invalid("kernel_size", "twice the stride beside multi_freqs")
        if list(self.multi_freqs) != sorted({one for one in self.multi_freqs if 0 < one < 1}):
            raise self._invalid("multi_freqs", "shares between 0 and 1 that rise")
        if not self.dconv_depth or not self.dconv_comp > 0 or not self.growth > 0:
            raise InputError(f"{self.title}: dconv_depth, dconv_comp and growth must not be 0")
        if self.dconv_mode and min(self.channels, self.channels_time or 1 << 30) < self.dconv_comp:
            raise self._invalid("dconv_comp", "at most the features of the first level")
        layers = self.layers()
        bins = self.bins
        for layer in layers:
            if layer.split and not layer.freq:
                raise self._invalid("multi_freqs_depth", "at most the levels with frequencies")
            if layer.split:
                edges = [0, *(int(bins * share) for share in self.multi_freqs), bins]
                if min(end - begin for begin, end in itertools.pairwise(edges)) < self.kernel_size:
                    raise self._invalid("multi_freqs", "shares of at least a kernel at each level")
            if layer.freq and not layer.merges and bins % self.stride:
                raise self._invalid("nfft", f"{self.stride} to the power of the levels, times bins")
            bins = 1 if layer.merges else bins // self.stride
            if layer.norm and (layer.outputs % self.norm_groups or layer.split):
                raise self._invalid("norm_groups", "a divisor of the features of every level")
        merging = next((layer.index for layer in layers if layer.merges), None)
        if merging is not None and self.hop_length != self.stride ** (merging + 1):
            raise self._invalid("nfft", f"4 * {self.stride ** (merging + 1)} for these levels")
        if self.time_stride % 2 and not layers[-1].freq:
            raise self._invalid("time_stride", "even")

    @property
    def hop_length(self) -> int:
        return self.nfft // 4

    @property
    def bins(self) -> int:
        """Bins of the spectrum that the network sees."""
        return self.nfft // 2

    @property
    def spectral_channels(self) -> int:
        """Channels of the spectrum of one wave of ``audio_channels``."""
        return self.audio_channels * (2 if self.cac else 1)

    def layers(self) -> tuple[Layer, ...]:
        """The levels, from the audio on."""
        found = []
        outputs, time_outputs = self.channels, self.channels_time or self.channels
        inputs, time_inputs = self.spectral_channels, self.audio_channels
        freqs = self.nfft // 2
        for index in range(self.depth):
            freq = freqs > 1
            merges = freq and freqs <= self.kernel_size
            kernel = freqs if merges else self.kernel_size if freq else 2 * self.time_stride
            if merges:
                outputs = time_outputs = max(outputs, time_outputs)
            found.append(
                Layer(
                    index=index,
                    freq=freq,
                    merges=merges,
                    kernel=kernel,
                    stride=self.stride if freq else self.time_stride,
                    padding=0 if merges else kernel // 4,
                    inputs=inputs,
                    outputs=outputs,
                    time_inputs=time_inputs,
                    time_outputs=time_outputs,
                    norm=index >= self.norm_starts,
                    split=bool(self.multi_freqs) and index < self.multi_freqs_depth,
                )
            )
            inputs, time_inputs = outputs, time_outputs
            outputs, time_outputs = int(self.growth * outputs), int(self.growth * time_outputs)
            freqs = 1 if merges or not freq else freqs // self.stride
        return tuple(found)

    @classmethod
    def from_package(cls, said: Mapping[str, Any]) -> dict[str, Any]:
        """What a published package says about its network, as settings under ``network``; see
        :func:`~lars_plugin.networks.demucs.field.package_settings`."""
        return package_settings(cls, said)

    @classmethod
    def from_field(cls, field: Mapping[str, Any]) -> Self:
        """Read what the field's YAML files hold: ``training``, and the section of the network.

        Raises:
            InputError: a key is missing, a value makes no network, or an option is not supported.
        """
        return cls(**field_settings(cls, field))

    def _invalid(self, key: str, wanted: str) -> InputError:
        return InputError(f"{self.title}: {key} must be {wanted}, got {getattr(self, key)!r}")


@dataclass(frozen=True)
class HDemucsConfig(_HybridConfig):
    """Shape of an :class:`HDemucs`; the defaults are those of the published ``hdemucs_mmi``.

    Further attributes, beside those of its base:

    Attributes:
        hybrid_old: whether the recording is continued by silence instead of its reflection, as
            some models of 2021 were trained.
        dconv_attn, dconv_lstm: first levels whose residual branches have attention and an LSTM.
    """

    hybrid_old: bool = False
    dconv_attn: int = 4
    dconv_lstm: int = 4

    fixed: ClassVar[Mapping[str, Any]] = MappingProxyType({"hybrid": True})
    field_convention: ClassVar[Convention] = "demucs-short"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not any(layer.merges for layer in self.layers()):
            raise self._invalid("depth", "so large that frequency ends in one bin")

    def check_chunking(self, chunking: Chunking) -> None:
        pass  # of any length, also a short last one


@dataclass(frozen=True)
class HTDemucsConfig(_HybridConfig):
    """Shape of an :class:`HTDemucs`; the defaults are the field's.

    Further attributes, beside those of its base:

    Attributes:
        segment_length: samples that the network was trained on: shorter input is filled up with
            silence, longer input is refused. 0: any length.
        num_subbands: bands of frequency that become channels.
        bottom_channels: features in the transformer; 0: those of the last level.
        t_layers: layers of the transformer, alternately of attention within a half and across.
        t_emb: positions of the wave's half: ``sin``, ``cape`` or ``scaled``.
        t_hidden_scale: features of a feed-forward layer over those of the transformer.
        t_heads: of the attention.
        t_max_positions: only for ``scaled``.
        t_norm_in: whether each position is normalised first.
        t_norm_in_group: groups of a norm over all positions, where ``t_norm_in`` is false.
        t_group_norm: groups of norms over all positions inside of the layers; 0: each position.
        t_norm_first: whether norms stand before attention and feed-forward layers.
        t_norm_out: groups of a norm at the end of each layer; only with ``t_norm_first``.
        t_max_period: of the positions' sines.
        t_layer_scale: whether residual branches have a scale for each feature.
        t_gelu: GELU, or ReLU.
        t_weight_pos_embed: factor of the positions.
        t_cape_mean_normalize: whether positions count from the middle; only for ``cape``.
        t_cross_first: whether the first layer is one across.
    """

    depth: int = 4
    multi_freqs_depth: int = 3
    dconv_comp: float = 8
    segment_length: int = 0
    num_subbands: int = 1
    bottom_channels: int = 0
    t_layers: int = 5
    t_emb: str = "sin"
    t_hidden_scale: float = 4.0
    t_heads: int = 8
    t_max_positions: int = 10000
    t_norm_in: bool = True
    t_norm_in_group: int | bool = 0
    t_group_norm: int | bool = 0
    t_norm_first: bool = True
    t_norm_out: int | bool = 1
    t_max_period: float = 10000.0
    t_layer_scale: bool = True
    t_gelu: bool = True
    t_weight_pos_embed: float = 1.0
    t_cape_mean_normalize: bool = True
    t_cross_first: bool = False

    title: ClassVar[str] = "HT-Demucs"
    field_convention: ClassVar[Convention] = "demucs"
    fixed: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {"t_sparse_self_attn": False, "t_sparse_cross_attn": False, "t_sin_random_shift": 0}
    )

    def __post_init__(self) -> None:
        check_fields(self, self.title, _LEAST)
        if self.bins * self.num_subbands != self.nfft // 2:
            raise self._invalid("num_subbands", "a divisor of the bins")
        super().__post_init__()
        if not self.t_max_period > 0:
            raise self._invalid("t_max_period", "positive")
        if self.t_layers and self.channels_time not in (None, self.channels):
            raise self._invalid("channels_time", "channels beside a transformer")
        if self.t_layers and not self.layers()[-1].freq:
            raise self._invalid("depth", "smaller: the transformer needs frequencies")
        if self.t_emb not in ("sin", "cape", "scaled"):
            raise self._invalid("t_emb", "sin, cape or scaled")
        if self.t_layers and self.transformer_channels % (4 * self.t_heads):
            raise self._invalid("t_heads", "a divisor of a quarter of the transformer's features")

    @property
    def bins(self) -> int:
        return self.nfft // 2 // self.num_subbands

    @property
    def spectral_channels(self) -> int:
        return super().spectral_channels * self.num_subbands

    @property
    def transformer_channels(self) -> int:
        """Features in the transformer."""
        return self.bottom_channels or int(self.channels * self.growth ** (self.depth - 1))

    def positions(self, samples: int) -> int:
        """Positions of the wave's half in the transformer, for an input of so many samples."""
        for layer in self.layers():
            if layer.freq:
                samples = -(-samples // self.stride)
        return samples

    def check_chunking(self, chunking: Chunking) -> None:
        super().check_chunking(chunking)
        if 0 < self.segment_length < chunking.chunk_size:
            raise InputError(
                f"chunk_size {chunking.chunk_size} is longer than the {self.segment_length} samples"
                " that this network was trained on"
            )
        needed = self.positions(max(chunking.chunk_size, self.segment_length))
        if self.t_layers and self.t_emb == "scaled" and self.t_max_positions < needed:
            raise InputError(
                f"{self.title}: t_max_positions is {self.t_max_positions}, but chunks of"
                f" {chunking.chunk_size} samples need {needed}: make chunk_size smaller"
            )
