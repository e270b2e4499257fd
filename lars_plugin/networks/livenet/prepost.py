# SPDX-License-Identifier: GPL-3.0-or-later
"""A LiveNet hop by hop around its core: the Fourier transforms of a frame in numpy.

The windows and the first state follow from the shape alone, so a network that was converted before
needs no PyTorch here.

Axes: S stems, C audio channels, F bins.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lars_plugin.model import Wave
from lars_plugin.networks.livenet.config import LiveNetConfig
from lars_plugin.networks.shared.constants import QUIETEST
from lars_plugin.networks.shared.prepost import CoreInto, Shapes

if TYPE_CHECKING:
    from lars_plugin.networks.livenet.core import LiveCore
    from lars_plugin.networks.livenet.network import LiveNet

__all__ = ["LivePrePost", "State", "live_windows"]


class State(NamedTuple):
    """What the past leaves behind."""

    history: Wave  # samples (C, n_fft - hop)
    tail: Wave  # of the output (S * C, delay)
    vector: Wave  # the core's (1, N)
    masks: NDArray[np.complex64] | None = None  # held (S, C, F), if they are
    left: int = 0  # frames that they still hold for


class LivePrePost:
    """A :class:`~lars_plugin.networks.livenet.network.LiveNet` without its core.

    Args:
        config: the shape.
        load: makes the network, in eval mode, float32; not called before the core is needed.
    """

    def __init__(self, config: LiveNetConfig, load: Callable[[], LiveNet]) -> None:
        self._load = load
        self.hop, self.delay, self._hold = config.hop_length, config.delay, config.hold
        self.shape = (config.stems, config.audio_channels)
        self._n_fft, self._synthesis = config.n_fft, config.synthesis
        self._window, self._output_window = live_windows(config)
        vector = np.zeros((1, 1 + config.recurrent + _past(config)), np.float32)
        vector[0, 0] = math.log(QUIETEST)  # the running level; see LiveCore.pack
        self._start = State(
            np.zeros((config.audio_channels, config.n_fft - config.hop_length), np.float32),
            np.zeros((config.stems * config.audio_channels, config.delay), np.float32),
            vector,
        )

    def core(self) -> LiveCore:
        from lars_plugin.forks import settle_torch
        from lars_plugin.networks.livenet.core import LiveCore

        settle_torch()
        return LiveCore(self._load()).eval()

    def core_shapes(self) -> Shapes:
        return (2, self.shape[1], self._n_fft // 2 + 1), self._start[2].shape

    def initial_state(self) -> State:
        return self._start

    def step(self, hop: Wave, state: State, core: CoreInto) -> tuple[Wave, State]:
        wave = np.concatenate([state.history, hop], axis=1)
        mixture = np.fft.rfft(wave * self._window)
        if self._hold == 1:
            spectra, vector = self._run(core, mixture, state.vector)
            masks, left = None, 0
        elif state.left and state.masks is not None:
            masks, vector, left = state.masks, state.vector, state.left - 1
        else:
            masks, vector = self._run(core, mixture, state.vector)
            left = self._hold - 1
        if masks is not None:
            spectra = masks * mixture.astype(np.complex64)
        tail = state.tail
        # In float32 since NumPy 2; before, in float64 and back.
        played = np.fft.irfft(spectra, self._n_fft)[..., -self._synthesis :]
        frames: Wave = played.astype(np.float32)
        frames *= self._output_window
        frames = frames.reshape(tail.shape[0], self._synthesis)
        frames[:, : self.delay] += tail
        out = frames[:, : self.hop].reshape(*self.shape, self.hop)
        return out, State(wave[:, self.hop :], frames[:, self.hop :], vector, masks, left)

    def _run(
        self, core: CoreInto, mixture: NDArray[np.complexfloating], vector: Wave
    ) -> tuple[NDArray[np.complex64], Wave]:
        """What the core makes of a frame, and its vector."""
        spec = np.empty((2, *mixture.shape), np.float32)
        spec[0], spec[1] = mixture.real, mixture.imag
        # New memory for what comes out: the caller keeps the state, and may go back to one.
        stems = np.empty((2, *self.shape, mixture.shape[1]), np.float32)
        new = np.empty_like(vector)
        core([spec, vector], [stems, new])
        result = np.empty(stems.shape[1:], np.complex64)
        result.real, result.imag = stems
        return result, new


def _past(config: LiveNetConfig) -> int:
    """Numbers that the blocks keep: frames of the past, times features, times bands."""
    bands = len(config.band_widths)
    scales = enumerate(config.dilations)
    # Each scale has a block on the way down and one on the way up.
    kept = [2 * 2 * dilation * config.features[i] * (bands >> i) for i, dilation in scales]
    coarsest = config.features[-1] * (bands >> len(config.dilations))
    return sum(kept) + sum(2 * dilation * coarsest for dilation in config.bottom)


def live_windows(config: LiveNetConfig) -> tuple[Wave, Wave]:
    """The windows ``(n_fft,)`` and ``(synthesis,)`` of ``CausalSTFT``, without PyTorch."""
    half = config.synthesis // 2
    rise = np.sqrt(_hann(2 * (config.n_fft - half))[: config.n_fft - half])
    fall = np.sqrt(_hann(config.synthesis)[half:])
    analysis = np.concatenate([rise, fall])
    product = _hann(config.synthesis) * (2 * config.hop_length / config.synthesis)
    output = product / np.maximum(analysis[-config.synthesis :], 1e-12)
    return analysis.astype(np.float32), output.astype(np.float32)


def _hann(length: int) -> NDArray[np.float64]:
    """A periodic Hann window, as PyTorch makes it."""
    turns = np.arange(length, dtype=np.float64) * (2 * math.pi / length)
    return np.asarray(0.5 - 0.5 * np.cos(turns))
