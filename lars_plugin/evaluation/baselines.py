# SPDX-License-Identifier: GPL-3.0-or-later
"""Baselines for models: doing nothing, the best masks, and a classic method.

Each takes a :class:`~lars_plugin.evaluation.clips.Recording` and returns an estimate for each of
its references.

``mixture``: the mixture itself for every stem: the score of doing nothing.

``oracle``: Wiener masks from the true stems, ``|S|^2 / sum |S|^2``, on the mixture's STFT (Hann,
2048 samples, hop 512), its phase kept: about the best that real masks on this STFT can do. A
system that does not know the answer will rarely reach it, but complex masks can exceed it.

``nmf``: the mixture's magnitudes, as the mean over channels, factorised without any training into
:data:`COMPONENTS` spectra and their activations (Kullback-Leibler divergence, scikit-learn), each
component given to one stem, and the stems cut out by Wiener masks. Such a factorisation does not
know which component belongs to which drum. Here the true stems tell it (:func:`assign`), so this
baseline is flattered.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from lars_plugin.errors import InputError
from lars_plugin.evaluation.clips import Recording
from lars_plugin.evaluation.scoring import derived

__all__ = [
    "BASELINES",
    "COMPONENTS",
    "HOP",
    "N_FFT",
    "assign",
    "mixture",
    "nmf",
    "oracle",
    "require_nmf",
]

Wave = NDArray[np.float32]
Spectra = NDArray[np.floating]  # (bins, frames), not negative

N_FFT = 2048
HOP = 512

COMPONENTS = 30
_ITERATIONS = 100


def mixture(recording: Recording) -> dict[str, Wave]:
    """The mixture for every stem, and for every sum of stems: a sum of mixtures would be unfair."""
    return dict.fromkeys(derived(recording.references), recording.mixture)


def oracle(recording: Recording) -> dict[str, Wave]:
    """Wiener masks from the true stems."""
    references = recording.references
    return _masked(
        recording.mixture,
        tuple(references),
        lambda name, channel: _power(references[name][channel]),
    )


def nmf(recording: Recording) -> dict[str, Wave]:
    """Non-negative matrix factorisation, its components assigned by the true stems.

    Raises:
        InputError: scikit-learn is not installed.
    """
    require_nmf()
    from sklearn.decomposition import NMF

    if not recording.mixture.any():
        return mixture(recording)
    magnitudes = _magnitudes(recording.mixture)
    model = NMF(
        min(COMPONENTS, *magnitudes.shape),
        init="nndsvda",
        solver="mu",
        beta_loss="kullback-leibler",
        tol=0,  # always all iterations: the same work and the same result everywhere
        max_iter=_ITERATIONS,
        random_state=0,
    )
    spectra = model.fit_transform(magnitudes)  # (bins, components)
    activations = model.components_  # (components, frames)
    truths = {name: _magnitudes(wave) for name, wave in recording.references.items()}
    owners = assign(spectra, activations, truths)
    powers = {}
    for name in recording.references:
        mine = [index for index, owner in enumerate(owners) if owner == name]
        powers[name] = np.square(spectra[:, mine] @ activations[mine], dtype=np.float32)
    return _masked(recording.mixture, tuple(powers), lambda name, _channel: powers[name])


def require_nmf() -> None:
    """Raises InputError where scikit-learn is not installed."""
    if importlib.util.find_spec("sklearn") is None:
        raise InputError(
            "the nmf baseline needs scikit-learn; pip install 'lars-plugin[evaluation]'"
        )


def assign(spectra: Spectra, activations: Spectra, truths: Mapping[str, Spectra]) -> list[str]:
    """The stem that each component resembles most.

    Args:
        spectra: ``(bins, components)``.
        activations: ``(components, frames)``.
        truths: magnitudes of each true stem, ``(bins, frames)``.

    Returns:
        For each component the stem with the highest cosine between the component's magnitudes
        (spectrum times activation) and the stem's; a silent stem gets none.
    """
    names = list(truths)
    cosines = np.zeros((len(names), spectra.shape[1]))
    for row, name in enumerate(names):
        norm = np.linalg.norm(truths[name])
        if norm > 0:
            # <w h, T> = w' T h, without ever making w h. Its own norm is the same for all stems.
            cosines[row] = np.einsum("bk,bk->k", spectra, truths[name] @ activations.T) / norm
    return [names[index] for index in cosines.argmax(axis=0)]


BASELINES: dict[str, Callable[[Recording], dict[str, Wave]]] = {
    "mixture": mixture,
    "oracle": oracle,
    "nmf": nmf,
}


def _masked(
    mix: Wave, names: tuple[str, ...], power: Callable[[str, int], Spectra]
) -> dict[str, Wave]:
    """Each stem's share of the mixture's STFT.

    Powers, by stem and channel, are computed twice, so that only one of them is held at a time.
    """
    result = {name: np.zeros_like(mix) for name in names}
    for channel in range(mix.shape[0]):
        spectrum = _stft(mix[channel])
        total = np.full(spectrum.shape, np.finfo(np.float32).tiny, np.float32)
        for name in names:
            total += power(name, channel)
        for name in names:
            mask = power(name, channel) / total
            result[name][channel] = _istft(spectrum * mask, mix.shape[1])
    return result


def _stft(wave: NDArray[np.float32]) -> NDArray[np.complex64]:
    """``(samples,)`` to ``(bins, frames)``; silence stands before the start and after the end."""
    padded = np.pad(wave, (0, max(0, N_FFT - len(wave))))
    return np.asarray(signal.stft(padded, nperseg=N_FFT, noverlap=N_FFT - HOP)[2], np.complex64)


def _istft(spectrum: NDArray[np.complexfloating], samples: int) -> NDArray[np.float32]:
    wave = signal.istft(spectrum, nperseg=N_FFT, noverlap=N_FFT - HOP)[1]
    return np.asarray(wave[:samples], np.float32)


def _power(wave: NDArray[np.float32]) -> NDArray[np.float32]:
    spectrum = _stft(wave)
    return np.asarray(spectrum.real**2 + spectrum.imag**2, np.float32)


def _magnitudes(wave: Wave) -> NDArray[np.float32]:
    """Mean over channels, ``(bins, frames)``."""
    return np.sqrt(np.mean([_power(channel) for channel in wave], axis=0, dtype=np.float32))
