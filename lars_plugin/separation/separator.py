# SPDX-License-Identifier: GPL-3.0-or-later
"""Separator: a model and its settings, ready for whole recordings or for streams."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lars_plugin.composites.settled import PRESETS, settled
from lars_plugin.errors import CancelledError, InputError
from lars_plugin.model import AnyModel, Chunking
from lars_plugin.refine.postprocess import PostProcessing
from lars_plugin.separation.streams.base import ModelStream, choose_stems
from lars_plugin.separation.streams.open import open_stream
from lars_plugin.stems import Stems

__all__ = ["PRESETS", "Progress", "Separator"]

# (samples done, samples in all) -> False to cancel, anything else to go on.
Progress = Callable[[int, int], "bool | None"]

# Samples per push: small enough for a lively progress bar, large enough to cost nothing.
_BLOCK = 1 << 16


class Separator:
    """Separates drum recordings.

    It works in forked children (PyTorch on one thread there), and pickling one stores how its model
    was loaded, so that another process loads it again. Copies share the network.

    Args:
        model: a name of the zoo, ``cascade:A,B``, ``A+B`` or ``auto:A,B`` of such names, each
            of which may be ``NAME@PRESET``, a model folder, an ensemble's file, or a loaded model.
        preset: ``fast``, ``balanced`` or ``best``: the model's overlap for that preset; in a
            composite each part's own.
        overlap: chunks per sample, 1 or more; goes before the preset. None for both: the
            model's own.
        batch_size: chunks per run of the network; None for the model's own.
        shifts: how often a recording is separated, each time with the chunks elsewhere; the mean
            counts. None for the model's own, usually 1. Not for causal models.
        device: ``auto``, ``cpu``, ``cuda``, ``mps``; for names and folders only.
        stems: canonical names of those wanted, in this order; all for None.
        precision: ``float32``, ``bfloat16``, ``float16``, ``int8`` or ``auto``; for names and
            folders only.
        backend: ``torch``, ``openvino`` or ``auto``; None, as on the command line, is what
            LARS_BACKEND says, else ``auto``: the fastest here. For names and folders only, see
            :func:`~lars_plugin.zoo.load.load_model`.
        post: what the stems go through after the model.

    Raises:
        InputError: settings that do not fit the model; when it is pickled, a model that was not
            loaded by name or from files.
        ModelError: the model cannot be found or loaded.
    """

    def __init__(
        self,
        model: str | Path | AnyModel = "lars-mini",
        *,
        preset: str | None = None,
        overlap: float | None = None,
        batch_size: int | None = None,
        shifts: int | None = None,
        device: str = "auto",
        stems: Sequence[str] | None = None,
        precision: str = "float32",
        backend: str | None = None,
        post: PostProcessing | None = None,
    ) -> None:
        self._model = _load(model, device, precision, backend)
        self._settled = settled(self._model, preset, overlap, batch_size, shifts)
        self._post = post or PostProcessing()
        chosen = choose_stems(self._model, stems)
        self._stems = tuple(self._model.config.stems[index] for index in chosen)
        self._settings: dict[str, Any] = {
            "preset": preset,
            "overlap": overlap,
            "batch_size": batch_size,
            "shifts": shifts,
            "stems": self._stems,
            "post": self._post,
        }

    def __reduce__(self) -> Any:
        return _with_settings, (self._model, self._settings)

    def __copy__(self) -> Separator:
        return _with_settings(self._model, self._settings)

    def __deepcopy__(self, memo: object) -> Separator:
        return self.__copy__()

    @property
    def model(self) -> AnyModel:
        """The loaded model."""
        return self._model

    @property
    def chunking(self) -> Chunking:
        """The chunking in force, presets and arguments applied; a cascade's is its music stage's,
        an ensemble's that of the model with the longest chunks."""
        return self._settled.config.chunking

    @property
    def post(self) -> PostProcessing:
        """What the stems go through after the model."""
        return self._post

    @property
    def stems(self) -> tuple[str, ...]:
        """Names of the stems that are returned, in order."""
        return self._stems

    @property
    def sample_rate(self) -> int:
        """The model's rate in Hz; input of any other is resampled, and its stems back."""
        return self._model.config.sample_rate

    def stream(self, sample_rate: float, channels: int) -> ModelStream:
        """A stream of blocks ``(channels, n)`` at this rate."""
        return open_stream(self._settled, sample_rate, channels, stems=self._stems, post=self._post)

    def separate(
        self,
        audio: NDArray[np.generic],
        sample_rate: float,
        *,
        progress: Progress | None = None,
    ) -> Stems:
        """Separate a whole recording.

        Args:
            audio: ``(channels, samples)`` floating point, nominally in +-1, mono or stereo, any
                length from 0; not changed.
            sample_rate: Hz.
            progress: called with (samples done, samples in all); returning False cancels.

        Returns:
            Stems of the same rate, channels and length as the audio.

        Raises:
            InputError: wrong dtype, shape or rate.
            NonFiniteError: NaN or Inf in the audio, or from the network.
            CancelledError: the progress callback returned False.
        """
        audio = np.asarray(audio)
        if audio.ndim != 2:
            raise InputError(f"audio must be (channels, samples), got shape {audio.shape}")
        stream = self.stream(sample_rate, audio.shape[0])
        samples = audio.shape[1]
        out = np.empty((len(self._stems), audio.shape[0], samples), np.float32)
        done = 0
        for start in range(0, samples, _BLOCK):
            part = stream.push(audio[:, start : start + _BLOCK])
            out[..., done : done + part.shape[2]] = part
            done += part.shape[2]
            _tell(progress, done, samples)
        part = stream.flush()
        out[..., done:] = part
        _tell(progress, samples, samples)
        return Stems(dict(zip(self._stems, out, strict=True)), sample_rate)


def _with_settings(model: AnyModel, settings: Mapping[str, Any]) -> Separator:
    return Separator(model, **settings)


def _load(
    model: str | Path | AnyModel, device: str, precision: str, backend: str | None
) -> AnyModel:
    if isinstance(model, AnyModel):
        return model
    from lars_plugin.zoo import load_model  # brings in torch: only when it is needed

    return load_model(model, device=device, precision=precision, backend=backend)


def _tell(progress: Progress | None, done: int, total: int) -> None:
    if progress is not None and progress(done, total) is False:
        raise CancelledError(f"cancelled after {done} of {total} samples")
