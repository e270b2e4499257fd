# SPDX-License-Identifier: GPL-3.0-or-later
"""Mixtures as MP3 or AAC leaves them, by a real encoder (PyAV, extra ``formats``)."""

from __future__ import annotations

import importlib.util
import io

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from lars_plugin.dsp.stft import Spectra
from lars_plugin.errors import InputError
from lars_plugin.synthesis import SAMPLE_RATE

__all__ = ["coded", "have_encoder", "split_difference"]

Wave = NDArray[np.float32]

# Encoders with the containers that their packets go into.
_CODECS = {"mp3": ("libmp3lame", "mp3"), "aac": ("aac", "adts")}

_TRANSFORM = Spectra(1024, 512, "sine")


def have_encoder() -> bool:
    """Whether PyAV is installed."""
    return importlib.util.find_spec("av") is not None


def coded(wave: Wave, codec: str, kbits: int) -> Wave:
    """A wave ``(2, samples)`` at 44.1 kHz encoded and decoded, its delay removed.

    Equal channels are encoded as one, and stay equal.

    Args:
        wave: more than a tenth of a second.
        codec: ``mp3`` or ``aac``.
        kbits: per second.

    Raises:
        InputError: PyAV is missing or lacks this encoder.
    """
    try:
        import av
    except ImportError:
        raise InputError("encoding needs PyAV: run pip install 'lars-plugin[formats]'") from None
    encoder, container = _CODECS[codec]
    peak = float(np.abs(wave).max()) + 1e-9
    mono = bool(np.array_equal(wave[0], wave[1]))
    layout, heard = ("mono", wave[:1]) if mono else ("stereo", wave)
    memory = io.BytesIO()
    try:
        with av.open(memory, "w", format=container) as out:
            stream = out.add_stream(encoder, rate=SAMPLE_RATE, layout=layout)
            stream.bit_rate = kbits * 1000
            # Silence behind it, because an encoder may drop its last frame.
            padded = np.pad(heard * np.float32(0.9 / peak), ((0, 0), (0, 4096)))
            frame = av.AudioFrame.from_ndarray(padded, format="fltp", layout=layout)
            frame.sample_rate = SAMPLE_RATE
            out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
        memory.seek(0)
        with av.open(memory) as back:
            parts = [one.to_ndarray() for one in back.decode(audio=0)]
    except (av.FFmpegError, ValueError) as error:
        raise InputError(f"PyAV cannot encode {codec}: {error}") from error
    decoded = np.concatenate(parts, axis=1).astype(np.float32) * np.float32(peak / 0.9)
    return np.array(np.broadcast_to(_aligned(decoded, heard), wave.shape))


def _aligned(late: Wave, wave: Wave) -> Wave:
    """A wave moved to where it agrees best with another, and cut to its length."""
    samples = wave.shape[1]
    size = fft.next_fast_len(max(samples, late.shape[1]) + 8192, real=True)
    # The louder channel: the sum of two inverted ones is silent.
    side = int(np.argmax(np.square(wave).sum(1)))
    match = fft.irfft(fft.rfft(late[side], size) * np.conj(fft.rfft(wave[side], size)), size)
    delay = int(np.argmax(match[:8192]))
    result = np.zeros_like(wave)
    part = late[:, delay : delay + samples]
    result[:, : part.shape[1]] = part
    return result


def split_difference(stems: Wave, difference: Wave) -> Wave:
    """Stems ``(S, 2, samples)`` that together have changed by a difference ``(2, samples)``.

    In each bin of a spectrogram each stem gets the part of it that its energy has there: what an
    encoder left out of the mixture is left out of the stem that it belonged to. Silence gets none.
    More than 512 samples; the result is new memory.
    """
    rows = [*stems.reshape(-1, stems.shape[2]), *difference]
    padded = _TRANSFORM.padded(rows)

    def parts(first: int, end: int) -> NDArray[np.complex64]:
        spectra = _TRANSFORM.analyse(padded, first, end)
        each = spectra[: -len(difference)].reshape(*stems.shape[:2], *spectra.shape[1:])
        power = each.real**2 + each.imag**2
        power /= power.sum(0) + np.float32(1e-12)
        return (power * spectra[-len(difference) :]).reshape(-1, *spectra.shape[1:])

    changed = _TRANSFORM.synthesise(parts, stems.shape[0] * stems.shape[1], stems.shape[2])
    return stems + changed.reshape(stems.shape)
