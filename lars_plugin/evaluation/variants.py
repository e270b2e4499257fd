# SPDX-License-Identifier: GPL-3.0-or-later
"""Variants of clips that sound like records: mono, old tapes, rooms, loud cymbals.

A model trained on dry one-shots does well on dry one-shots. ``lars evaluate --variants`` measures
how well it does on other recordings. Each variant changes the stems and takes their sum as the
mixture, so stems add up in every variant. No global random state is used: a clip's variant is the
same in every run.

Variants:

=============  =====================================================================================
plain          the clip as it is
mono           both channels the mean of the two
lp10, lp5      low-pass at 10 and 5 kHz (Butterworth, order 6, forwards and backwards): old tapes
mono-lp10      both: most records before 1965
room           each drum with early reflections at two microphones of its own, one diffuse tail
hall           a shoebox by the image-source method, two spaced overheads (``shoebox.py``)
squash         bus compression, slow and fast, by one gain for all stems
bright, dull   hi-hat, ride and crash 6 dB up and down
low-toms       each tom stroke seven semitones lower and 6 dB softer: as low as a kick
left           the right channel is silent
inverted       one signal, the right channel with the other sign
=============  =====================================================================================
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import soxr
from numpy.typing import NDArray
from scipy.signal import butter, fftconvolve, lfilter, sosfiltfilt

from lars_plugin.errors import InputError
from lars_plugin.evaluation.clips import Clip, Recording, load_clip
from lars_plugin.evaluation.shoebox import overheads

__all__ = ["VARIANTS", "load_variant", "make_variant", "spread_over_variants", "variant_of"]

Wave = NDArray[np.float32]
Stems = dict[str, Wave]
Change = Callable[[Mapping[str, Wave], int, np.random.Generator], Stems]

_CYMBALS = ("hihat", "ride", "crash", "cymbals")
# Peak of a variant's mixture, as of a mastered recording.
_PEAK = 0.89
# Other stems keep their place when drums are put into a room.
_DRUMS = ("kick", "snare", "toms", *_CYMBALS, "drums")


def _each(change: Callable[[Wave, int], NDArray[np.floating]]) -> Change:
    def apply(stems: Mapping[str, Wave], rate: int, rng: np.random.Generator) -> Stems:
        del rng
        return {name: change(wave, rate).astype(np.float32) for name, wave in stems.items()}

    return apply


def _mono(wave: Wave, rate: int) -> Wave:
    del rate
    return np.repeat(wave.mean(axis=0, keepdims=True), len(wave), axis=0)


def _lowpass(edge: float) -> Callable[[Wave, int], NDArray[np.floating]]:
    def apply(wave: Wave, rate: int) -> NDArray[np.floating]:
        if edge >= 0.49 * rate:
            return wave
        sections = butter(6, edge, fs=rate, output="sos")
        # Reflection at the ends, as long as the filter rings; less for short clips.
        padding = min(3 * 13, wave.shape[1] - 1)
        return np.asarray(sosfiltfilt(sections, wave, axis=1, padlen=padding))

    return apply


def _louder_cymbals(decibels: float) -> Change:
    gain = np.float32(10 ** (decibels / 20))

    def apply(stems: Mapping[str, Wave], rate: int, rng: np.random.Generator) -> Stems:
        del rate, rng
        return {k: wave * gain if k in _CYMBALS else wave for k, wave in stems.items()}

    return apply


def _room(stems: Mapping[str, Wave], rate: int, rng: np.random.Generator) -> Stems:
    """Two microphones for each drum, with reflections within 30 ms; one tail for all."""
    t = np.arange(int(1.2 * rate)) / rate
    noise = rng.standard_normal((2, len(t))) * 10 ** (-3 * t / rng.uniform(0.35, 0.9))
    noise[:, : int(0.012 * rate)] = 0
    tail = np.asarray(_lowpass(9000)(noise.astype(np.float32), rate), np.float64)
    tail /= np.sqrt(np.square(tail).sum(1)).mean()
    wet = rng.uniform(0.25, 0.55)
    result: Stems = {}
    for name, wave in stems.items():
        taps = np.zeros((2, int(0.03 * rate)))
        pan = rng.uniform(-0.6, 0.6)
        for side in (0, 1):
            at = 0.0005 + 0.0004 * (pan * (1 if side else -1) + 1)
            taps[side, int(at * rate)] = 1
            for _ in range(6):
                taps[side, int(rng.uniform(0.002, 0.028) * rate)] += rng.uniform(-0.35, 0.35)
        heard = wet * tail
        heard[:, : taps.shape[1]] += taps
        result[name] = _heard_by_two(wave, heard) if name in _DRUMS else wave
    return result


def _hall(stems: Mapping[str, Wave], rate: int, rng: np.random.Generator) -> Stems:
    responses = overheads([name for name in stems if name in _DRUMS], rate, rng)
    return {
        name: _heard_by_two(wave, responses[name]) if name in responses else wave
        for name, wave in stems.items()
    }


def _heard_by_two(wave: Wave, responses: NDArray[np.floating]) -> Wave:
    """A drum ``(channels, samples)`` as two microphones hear it, or one of a mono recording."""
    dry = wave.mean(axis=0)
    return np.stack([fftconvolve(dry, one)[: len(dry)] for one in responses[: len(wave)]]).astype(
        np.float32
    )


def _squash(stems: Mapping[str, Wave], rate: int, rng: np.random.Generator) -> Stems:
    """A compressor on the sum: 5:1 above half the median level, attack 2 ms, release 120 ms."""
    del rng
    level = np.abs(np.sum(list(stems.values()), axis=0)).max(axis=0).astype(np.float64)
    attack = np.exp(-1 / (0.002 * rate))
    risen = np.asarray(lfilter([1 - attack], [1, -attack], level))
    envelope = _held(risen, float(np.exp(-1 / (0.12 * rate))))
    threshold = 0.5 * float(np.quantile(envelope, 0.5))
    if threshold <= 0:
        return dict(stems)
    gain = np.minimum(1.0, (threshold / np.maximum(envelope, 1e-9)) ** 0.8).astype(np.float32)
    return {name: wave * gain for name, wave in stems.items()}


def _held(level: NDArray[np.float64], decay: float) -> NDArray[np.float64]:
    """Peaks that decay by this factor a sample: ``y[n] = max(x[n], decay y[n - 1])``."""
    at = np.arange(len(level))
    # In blocks, so that the powers fit into a double: the maximum of x[k] decay^(n - k).
    out = np.empty_like(level)
    last, block = 0.0, 1 << 15
    for start in range(0, len(level), block):
        part = level[start : start + block]
        powers = decay ** at[: len(part)]
        rising = np.maximum.accumulate(np.maximum(part / powers, last * decay))
        out[start : start + block] = rising * powers
        last = float(out[start + len(part) - 1])
    return out


def _low_toms(stems: Mapping[str, Wave], rate: int, rng: np.random.Generator) -> Stems:
    """Each tom stroke as if on a larger drum: seven semitones lower, longer, -6 dB."""
    del rng
    result = dict(stems)
    if "toms" in result:
        result["toms"] = _lower(result["toms"], rate, 2 ** (7 / 12)) * np.float32(0.5)
    return result


def _lower(wave: Wave, rate: int, factor: float) -> Wave:
    level = np.abs(wave).max(axis=0)
    frame = max(1, int(0.01 * rate))
    frames = np.array([part.max() for part in np.split(level, range(frame, len(level), frame))])
    before = np.concatenate([[0.0], frames[:-1]])
    loud = frames > 0.02 * frames.max(initial=0.0)
    starts = np.flatnonzero(loud & (frames > 2 * before)) * frame
    starts = starts[np.diff(starts, prepend=-rate) > int(0.05 * rate)]
    out = np.zeros_like(wave)
    edges = [0, *(max(0, int(s) - frame) for s in starts if s > frame), wave.shape[1]]
    for begin, end in itertools.pairwise(edges):
        if end > begin:
            slow = soxr.resample(wave[:, begin:end].T, rate, rate * factor).T
            length = min(slow.shape[1], wave.shape[1] - begin)
            out[:, begin : begin + length] += slow[:, :length]
    return out


def _one_sided(right: float, mono: bool) -> Callable[[Wave, int], NDArray[np.floating]]:
    def apply(wave: Wave, rate: int) -> NDArray[np.floating]:
        if len(wave) != 2:
            return wave
        base = _mono(wave, rate) if mono else wave
        return base * np.array([[1.0], [right]], np.float32)

    return apply


VARIANTS: Mapping[str, Change] = {
    "plain": _each(lambda wave, _: wave),
    "mono": _each(_mono),
    "lp10": _each(_lowpass(10000)),
    "lp5": _each(_lowpass(5000)),
    "mono-lp10": _each(lambda wave, rate: _lowpass(10000)(_mono(wave, rate), rate)),
    "room": _room,
    "hall": _hall,
    "squash": _squash,
    "bright": _louder_cymbals(6),
    "dull": _louder_cymbals(-6),
    "low-toms": _low_toms,
    "left": _each(_one_sided(0.0, mono=False)),
    "inverted": _each(_one_sided(-1.0, mono=True)),
}


def make_variant(recording: Recording, variant: str, clip: str) -> Recording:
    """A recording changed into a variant; the peak of its mixture is at -1 dBFS.

    Args:
        recording: not changed.
        variant: a key of :data:`VARIANTS`.
        clip: the clip's name: random rooms are drawn from it.

    Raises:
        InputError: no such variant.
    """
    if variant not in VARIANTS:
        raise InputError(f"unknown variant {variant!r}; use {', '.join(VARIANTS)}")
    rng = np.random.default_rng(zlib.crc32(clip.encode()))
    stems = VARIANTS[variant](recording.references, recording.sample_rate, rng)
    mixture = np.sum(list(stems.values()), axis=0, dtype=np.float32)
    gain = np.float32(_PEAK / max(float(np.abs(mixture).max(initial=0.0)), 1e-9))
    if not mixture.any():
        gain = np.float32(1)
    return Recording(
        mixture * gain,
        {name: wave * gain for name, wave in stems.items()},
        recording.sample_rate,
    )


def load_variant(clip: Clip) -> Recording:
    """A clip as it is read, changed into its variant if it has one.

    Raises:
        LarsError: see :func:`~lars_plugin.evaluation.clips.load_clip`.
    """
    recording = load_clip(clip)
    if not clip.variant:
        return recording
    return make_variant(recording, clip.variant, clip.name.removeprefix(f"{clip.variant}/"))


def spread_over_variants(clips: Sequence[Clip], variants: Sequence[str]) -> list[Clip]:
    """Each clip in each variant; the names start with the variant, as in ``room/clip``.

    Raises:
        InputError: no such variant.
    """
    unknown = [name for name in variants if name not in VARIANTS]
    if unknown:
        raise InputError(
            f"unknown variant {', '.join(unknown)}; use all, or some of {', '.join(VARIANTS)}"
        )
    return [
        replace(clip, name=f"{variant}/{clip.name}", variant=variant)
        for variant in variants
        for clip in clips
    ]


def variant_of(clip: str) -> str:
    """The variant that a clip's name of :func:`spread_over_variants` starts with."""
    return clip.partition("/")[0]
