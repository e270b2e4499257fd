# SPDX-License-Identifier: GPL-3.0-or-later
"""A LiveNet hop by hop around its core: the Fourier transforms of a frame in numpy.

Axes: S stems, C audio channels, F bins.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from lars_plugin.forks import settle_torch
from lars_plugin.model import Wave
from lars_plugin.networks.livenet.config import LiveNetConfig
from lars_plugin.networks.livenet.core import LiveCore
from lars_plugin.networks.livenet.network import LiveNet
from lars_plugin.networks.shared.prepost import CoreInto, Shapes

__all__ = ["LivePrePost", "State"]

# Past samples (C, n_fft - hop), tail of the output (S * C, delay), the core's vector (1, N).
State = tuple[Wave, Wave, Wave]


class LivePrePost:
    """A :class:`~lars_plugin.networks.livenet.network.LiveNet` without its core.

    Args:
        config: the shape.
        load: makes the network, in eval mode, float32; called at once, for its first state.
    """

    def __init__(self, config: LiveNetConfig, load: Callable[[], LiveNet]) -> None:
        settle_torch()
        self._network = load()
        stft = self._network.stft
        self.hop, self.delay = config.hop_length, config.delay
        self.shape = (config.stems, config.audio_channels)
        self._n_fft, self._synthesis = stft.n_fft, stft.synthesis
        self._window: Wave = stft.window.numpy()
        self._output_window: Wave = stft.output_window.numpy()
        with torch.inference_mode():
            start = self._network.initial_state()
            self._start: State = (
                start[0][0].numpy(),
                start[3].numpy(),
                LiveCore.pack(start).numpy(),
            )

    def core(self) -> LiveCore:
        return LiveCore(self._network).eval()

    def core_shapes(self) -> Shapes:
        return (2, self.shape[1], self._n_fft // 2 + 1), self._start[2].shape

    def initial_state(self) -> State:
        return self._start

    def step(self, hop: Wave, state: State, core: CoreInto) -> tuple[Wave, State]:
        history, tail, vector = state
        wave = np.concatenate([history, hop], axis=1)
        mixture = np.fft.rfft(wave * self._window)
        spec = np.empty((2, *mixture.shape), np.float32)
        spec[0], spec[1] = mixture.real, mixture.imag
        # New memory for what comes out: the caller keeps the state, and may go back to one.
        stems = np.empty((2, *self.shape, mixture.shape[1]), np.float32)
        new = np.empty_like(vector)
        core([spec, vector], [stems, new])
        spectra = np.empty(stems.shape[1:], np.complex64)
        spectra.real, spectra.imag = stems
        # In float32 since NumPy 2; before, in float64 and back.
        played = np.fft.irfft(spectra, self._n_fft)[..., -self._synthesis :]
        frames: Wave = played.astype(np.float32)
        frames *= self._output_window
        frames = frames.reshape(tail.shape[0], self._synthesis)
        frames[:, : self.delay] += tail
        out = frames[:, : self.hop].reshape(*self.shape, self.hop)
        return out, (wave[:, self.hop :], frames[:, self.hop :], new)
