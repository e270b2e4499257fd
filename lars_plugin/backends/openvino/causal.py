# SPDX-License-Identifier: GPL-3.0-or-later
"""Stepping a LiveNet with OpenVINO: a hop in about a third of the time that PyTorch needs.

A hop is arithmetic of a millisecond in hundreds of small operators, and PyTorch spends most of it
between them. Here the network of one frame (:mod:`lars_plugin.networks.livenet.core`) is one
compiled graph on one thread; the Fourier transforms around it are NumPy's. The state is explicit as
everywhere: arrays in, new arrays out.
"""

from __future__ import annotations

import functools
import logging
import queue
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from lars_plugin.audio.levels import without_denormals
from lars_plugin.backends.errors import engine_errors
from lars_plugin.backends.openvino.backend import compiled, has_bfloat16, keep_for_ever
from lars_plugin.backends.openvino.cache import kept, key_of
from lars_plugin.backends.openvino.convert import convert, optional, save
from lars_plugin.errors import InputError
from lars_plugin.forks import fork_count, settle_torch
from lars_plugin.networks.livenet.core import LiveCore
from lars_plugin.networks.livenet.network import LiveNet
from lars_plugin.pickling import NotPickled

__all__ = ["OpenVINOCausalBackend"]

log = logging.getLogger(__name__)

# Changes whenever what is converted, or how, does.
_CONVERSION = 1

_HINTS = {"float32": "f32", "bfloat16": "bf16"}

Wave = NDArray[np.float32]
# Past samples (C, n_fft - hop), tail of the output (S * C, delay), the core's vector (1, N).
State = tuple[Wave, Wave, Wave]


class _Live:
    """What ``convert`` asks for."""

    def __init__(self, network: LiveNet) -> None:
        self._network = network

    def core(self) -> nn.Module:
        return LiveCore(self._network).eval()


class OpenVINOCausalBackend(NotPickled):
    """A :class:`~lars_plugin.networks.livenet.network.LiveNet` hop by hop; any thread may call.

    Args:
        network: in eval mode, float32.
        identity: what the conversion depends on besides versions: the digest of the weights, the
            architecture and its settings. JSON values.
        cache: the folder where conversions are kept.
        precision: ``float32``, or ``bfloat16`` where the processor has arithmetic for it.
        told: called with a line before something takes seconds.

    Raises:
        InputError: unknown precision, or OpenVINO is missing.
        EngineError: the network cannot be converted or compiled.
    """

    def __init__(
        self,
        network: LiveNet,
        *,
        identity: Mapping[str, Any],
        cache: Path,
        precision: str = "float32",
        told: Callable[[str], None] | None = None,
    ) -> None:
        if precision not in _HINTS:
            raise InputError(
                f"live networks run in {' or '.join(_HINTS)} with OpenVINO, not {precision!r}"
            )
        self._openvino = optional("openvino", "openvino")
        self._precision = precision
        config, stft = network.config, network.stft
        self._hop, self._delay = config.hop_length, network.delay
        self._n_fft, self._synthesis = stft.n_fft, stft.synthesis
        self._shape = (config.stems, config.audio_channels)
        self._window: Wave = stft.window.numpy()
        self._output_window: Wave = stft.output_window.numpy()
        settle_torch()
        with torch.inference_mode():
            start = network.initial_state()
            self._start: State = (
                start[0][0].numpy(),
                start[3].numpy(),
                LiveCore.pack(start).numpy(),
            )
        self._compile = functools.partial(
            self._compiled, network, dict(identity), cache, told or log.info
        )
        self._model, self._forks = self._compile(), fork_count()
        self._idle: queue.SimpleQueue[Any] = queue.SimpleQueue()
        # The first run allocates; no live stream shall wait for that.
        self.step(np.zeros((self._shape[1], self._hop), np.float32), self._start)

    @property
    def name(self) -> str:
        """What runs where."""
        return f"openvino cpu {self._precision}"

    def initial_state(self) -> Any:
        """Silence before the first sample."""
        return self._start

    def step(self, hops: Wave, state: Any) -> tuple[Wave, Any]:
        """See :class:`~lars_plugin.model.CausalBackend`."""
        made = np.empty((*self._shape, hops.shape[1]), np.float32)
        hops = without_denormals(hops)
        with engine_errors(self.name):
            request = self._request()
            for at in range(0, hops.shape[1], self._hop):
                part = slice(at, at + self._hop)
                made[..., part], state = self._step(request, hops[:, part], state)
            self._idle.put(request)
        return made, state

    def __call__(self, batch: Wave) -> Wave:
        """Whole recordings ``(B, C, L)``, the delay removed."""
        length = batch.shape[2]
        missing = self._delay + (-length - self._delay) % self._hop
        padded = np.pad(batch, ((0, 0), (0, 0), (0, missing)))
        made = [self.step(wave, self._start)[0] for wave in padded]
        return np.stack(made)[..., self._delay : self._delay + length]

    def _step(self, request: Any, hop: Wave, state: State) -> tuple[Wave, State]:
        history, tail, vector = state
        wave = np.concatenate([history, hop], axis=1)
        mixture = np.fft.rfft(wave * self._window)
        spec = np.empty((2, *mixture.shape), np.float32)
        spec[0], spec[1] = mixture.real, mixture.imag
        tensor = self._openvino.Tensor
        # New memory for what comes out: the caller keeps the state, and may go back to one.
        stems = np.empty((2, *self._shape, mixture.shape[1]), np.float32)
        new = np.empty_like(vector)
        request.set_input_tensor(0, tensor(spec, shared_memory=True))
        request.set_input_tensor(1, tensor(vector, shared_memory=True))
        request.set_output_tensor(0, tensor(stems, shared_memory=True))
        request.set_output_tensor(1, tensor(new, shared_memory=True))
        request.infer()
        spectra = np.empty(stems.shape[1:], np.complex64)
        spectra.real, spectra.imag = stems
        # In float32 since NumPy 2; before, in float64 and back.
        played = np.fft.irfft(spectra, self._n_fft)[..., -self._synthesis :]
        frames: Wave = played.astype(np.float32)
        frames *= self._output_window
        frames = frames.reshape(tail.shape[0], self._synthesis)
        frames[:, : self._delay] += tail
        out = frames[:, : self._hop].reshape(*self._shape, self._hop)
        return out, (wave[:, self._hop :], frames[:, self._hop :], new)

    def _request(self) -> Any:
        """One for each thread that is in here at a time."""
        if self._forks != fork_count():
            # A forked child: the threads of what was compiled are gone.
            keep_for_ever((self._model, self._idle))
            self._idle = queue.SimpleQueue()
            self._model, self._forks = self._compile(), fork_count()
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            return self._model.create_infer_request()

    def _compiled(
        self,
        network: LiveNet,
        identity: dict[str, Any],
        cache: Path,
        told: Callable[[str], None],
    ) -> Any:
        facts = {
            "conversion": _CONVERSION,
            "identity": identity,
            "openvino": self._openvino.__version__,
            "torch": torch.__version__,
            "system": sys.platform,
        }

        bins = self._n_fft // 2 + 1
        shapes = ((2, self._shape[1], bins), self._start[2].shape)

        def make() -> Any:
            told("converting the live network for OpenVINO; once for this model, then cached")
            return convert(_Live(network), shapes)

        source = kept(cache, key_of(facts), make, save)
        properties = {
            "INFERENCE_PRECISION_HINT": _HINTS[self._precision] if has_bfloat16() else "f32",
            "PERFORMANCE_HINT": "LATENCY",
            # More threads would wait for each other longer than they work.
            "INFERENCE_NUM_THREADS": 1,
            "NUM_STREAMS": 1,
            # A host's audio thread may sit on any core; ours must be free to leave it.
            "ENABLE_CPU_PINNING": False,
        }
        return compiled(source, properties)
