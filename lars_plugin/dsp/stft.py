# SPDX-License-Identifier: GPL-3.0-or-later
"""Short-time Fourier transforms in numpy, a few frames at a time.

The same numbers as :class:`~lars_plugin.networks.shared.stft.STFT`, for processors: whoever makes
spectrograms out of spectrograms does it piece by piece, while a piece is in a core's cache, and
no spectrogram of all stems is ever in memory.

The package has these transforms, each for a reason:

- this one: networks' pre- and postprocessing around compiled cores, the spatial Wiener filter, the
  refinement and training's encoders, which see whole chunks or windows on a processor;
- ``networks/shared/stft.py``: the same in PyTorch, for training (gradients), graphics cards and,
  written as convolutions, for graphs that leave PyTorch; all centred transforms of networks are
  this one, LarsNet's and the form for graphics cards included;
- ``networks/livenet/stft.py``: an asymmetric window, half as late as a symmetric one of its length;
  ``networks/livenet/prepost.py`` has one frame of it in numpy, where a network is compiled and a
  call of PyTorch takes longer than the transform;
- ``refine/spectral.py``: frames of a stream with silence before the start, one by one, because
  what follows a live stream must not depend on its blocks; frames here are centred, and reflected
  at the ends, which are not known in a stream;
- ``midi/bands.py``: powers in bands of a stream's frames, never turned back into a wave;
- ``midi/mel.py`` and ``midi/log_spectrum.py``: what transcribers hear, powers and magnitudes at the
  frames, windows and ends that their weights were trained with;
- ``training/networks/losses.py``: the magnitudes of a published loss, with gradients, at window
  lengths that no network has (the other losses use the network's own transform);
- ``evaluation/baselines.py`` and ``evaluation/plots.py``: SciPy's, because what is measured with
  must not share code with what is measured, and pictures need no inverse.

Single spectra, convolutions by FFT and cymbals made of random spectra (``midi/articulation.py``,
``training/sounds``, ``training/music``) analyse no frames, hence are none of these.

Axes: R rows (channels, or stems times channels), T frames, F bins (``n_fft // 2``), L samples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lars_plugin.dsp.parallel import run_parts

__all__ = ["Spectra", "Window"]

Wave = NDArray[np.float32]
Spectrum = NDArray[np.complex64]
Window = Literal["hann", "sine"]

# Samples in the frames of a piece, 64 of 2,048. A dozen spectra are then 6 MB: some cache, and
# few calls.
PIECE = 1 << 17


class Spectra:
    """Windowed Fourier transforms, frames centred with reflect padding, and their inverse.

    Args:
        n_fft: window in samples, even.
        hop_length: samples from one frame to the next.
        window: ``hann``, periodic; or ``sine``, its square root, with which frames may lie half a
            window apart, where a product of two Hann windows would leave gaps.
    """

    def __init__(self, n_fft: int, hop_length: int, window: Window = "hann") -> None:
        self.n_fft = n_fft
        self.hop_length = hop_length
        turn = np.arange(n_fft) * (2 * np.pi / n_fft)
        hann = 0.5 - 0.5 * np.cos(turn)
        shape = hann if window == "hann" else np.sqrt(hann)
        self._window = shape.astype(np.float32)
        # For transforms that divide by n_fft: those that do not are computed in double precision
        # by NumPy (2.4), which takes three times as long.
        self._analysis = (shape * n_fft).astype(np.float32)
        self._hops = -(-n_fft // hop_length)  # a frame touches so many hops
        # Only neighbouring pieces may touch the same hop.
        self._piece = max(PIECE // n_fft, self._hops)
        self._gains: dict[int, Wave] = {}

    def frames(self, length: int) -> int:
        """Frames of a wave of so many samples."""
        return 1 + length // self.hop_length

    def parts(self, length: int) -> list[tuple[int, int]]:
        """Pieces of all frames of a wave, ``(first, end)`` each."""
        frames = self.frames(length)
        piece = self._piece
        return [(first, min(first + piece, frames)) for first in range(0, frames, piece)]

    def padded(self, waves: Sequence[Wave] | Wave, gain: float = 1, threads: int = 1) -> Wave:
        """Waves ``(R, L)``, amplified, as :meth:`analyse` wants them: new memory.

        L must exceed ``n_fft / 2``.
        """
        half, length = self.n_fft // 2, waves[0].shape[0]
        padded = np.empty((len(waves), length + 2 * half), np.float32)

        def pad(index: int) -> None:
            row = padded[index]
            np.multiply(waves[index], np.float32(gain), out=row[half : half + length])
            row[:half] = row[2 * half : half : -1]
            row[half + length :] = row[half + length - 2 : length - 2 : -1]

        run_parts(pad, range(len(waves)), threads)
        return padded

    def analyse(self, padded: Wave, first: int, end: int) -> Spectrum:
        """Frames ``first`` to ``end`` of a padded wave: ``(R, end - first, F + 1)``."""
        views = np.lib.stride_tricks.sliding_window_view(padded, self.n_fft, axis=1)
        framed = views[:, first * self.hop_length : (end - 1) * self.hop_length + 1 :
                       self.hop_length] * self._analysis  # fmt: skip
        # NumPy before 2 computes in double precision, and so returns it. (SciPy's transforms are
        # no faster in one thread, but take a tenth of a second to import.)
        return np.fft.rfft(framed, norm="forward").astype(np.complex64, copy=False)

    def synthesise(
        self,
        make: Callable[[int, int], Spectrum],
        rows: int,
        length: int,
        *,
        gain: float = 1.0,
        threads: int = 1,
    ) -> Wave:
        """Waves ``(R, L)`` of spectrograms that are made piece by piece.

        Args:
            make: ``(R, n, F + 1)`` for frames ``first`` to ``first + n``, which is not changed;
                any thread calls it.
            rows: R.
            length: L.
            gain: of the result.
            threads: pieces at a time.
        """
        hop, over = self.hop_length, self._hops - 1
        frames = self.frames(length)
        sums = np.empty((rows, frames + over, hop), np.float32)
        sums[:, :over] = 0

        def add(part: tuple[int, int]) -> tuple[int, Wave, Wave]:
            first, end = part
            waves = np.fft.irfft(make(first, end), self.n_fft).astype(np.float32, copy=False)
            waves *= self._window
            count = end - first
            here = np.zeros((rows, count + over, hop), np.float32)
            for k in range(self._hops):
                piece = waves[:, :, k * hop : (k + 1) * hop]
                here[:, k : k + count, : piece.shape[2]] += piece
            # Its own hops, that is; those that it shares with its neighbours are added in order.
            if count > over:
                sums[:, first + over : end] = here[:, over:count]
                return first, here[:, :over].copy(), here[:, count:].copy()
            return first, here, here[:, :0]

        for first, head, tail in run_parts(add, self.parts(length), threads):
            end = min(first + self._piece, frames)
            if tail.shape[1]:
                sums[:, first : first + over] += head
                sums[:, end : end + over] = tail
            else:
                # A last piece that is shorter than a frame: beyond `first + over` nothing stands.
                sums[:, first + over : end + over] = 0
                sums[:, first : end + over] += head
        half = self.n_fft // 2
        waves = sums.reshape(rows, -1)[:, half : half + length]
        scale = self._gain(length) * np.float32(gain)
        out = np.empty((rows, length), np.float32)
        run_parts(lambda row: np.multiply(waves[row], scale, out=out[row]), range(rows), threads)
        return out

    def beside(
        self, mixture: Wave, stems: Wave, threads: int = 1
    ) -> tuple[float, Spectrum, Spectrum]:
        """Spectra of a mixture and its stems, brought to where the mixture has an RMS of 1.

        Args:
            mixture: ``(C, L)``, not silent (:func:`~lars_plugin.audio.levels.is_silent`); not
                changed.
            stems: ``(S, C, L)``; not changed.
            threads: pieces at a time.

        Returns:
            The gain that did that, the mixture ``(C, T, F + 1)`` and the stems
            ``(S, C, T, F + 1)``, in new memory.
        """
        count, channels, length = stems.shape
        gain = float(np.mean(np.square(mixture, dtype=np.float64))) ** -0.5
        waves = [*mixture, *stems.reshape(-1, length)]
        padded = self.padded(waves, gain, threads)
        frames = self.frames(length)
        found = np.empty((len(waves), frames, self.n_fft // 2 + 1), np.complex64)

        def analyse(part: tuple[int, int]) -> None:
            found[:, part[0] : part[1]] = self.analyse(padded, *part)

        run_parts(analyse, self.parts(length), threads)
        each = found.reshape(1 + count, channels, frames, -1)
        return gain, each[0], each[1:]

    def stems_of(self, spectra: Spectrum, mixture: Wave, gain: float, threads: int = 1) -> Wave:
        """The way back: stems ``(S, C, L)``, new memory, that add up to the mixture.

        What the spectra leave of it, and what rounding took, all stems share alike.
        """
        count, channels = spectra.shape[:2]
        flat = spectra.reshape(count * channels, *spectra.shape[2:])
        out = self.synthesise(
            lambda first, end: flat[:, first:end],
            count * channels,
            mixture.shape[1],
            gain=1 / gain,
            threads=threads,
        )
        stems = out.reshape(count, *mixture.shape)

        def share(first: int) -> None:
            part = stems[..., first : first + PIECE]
            part += (mixture[:, first : first + PIECE] - part.sum(axis=0)) / np.float32(count)

        run_parts(share, range(0, mixture.shape[1], PIECE), threads)
        return stems

    def _gain(self, length: int) -> Wave:
        """What makes the sum of squared windows one, ``(L,)``; few lengths are ever asked for."""
        gain = self._gains.get(length)
        if gain is None:
            frames, hop = self.frames(length), self.hop_length
            squares = np.zeros(self._hops * hop)
            squares[: self.n_fft] = np.square(self._window, dtype=np.float64)
            total = np.zeros((frames + self._hops - 1, hop))
            for k in range(self._hops):
                total[k : k + frames] += squares[k * hop : (k + 1) * hop]
            half = self.n_fft // 2
            gain = (1 / total.reshape(-1)[half : half + length]).astype(np.float32)
            self._gains = {length: gain}
        return gain
