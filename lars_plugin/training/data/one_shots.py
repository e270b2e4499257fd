# SPDX-License-Identifier: GPL-3.0-or-later
"""One-shots of any origin brought to the form of a kit folder: aligned, trimmed, levelled."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray
from scipy import signal

from lars_plugin.synthesis import SAMPLE_RATE

__all__ = ["Hit", "loudness", "write_kit"]

Wave = NDArray[np.float32]

# Highest 400 ms loudness (K-weighted, dB) of a hit at velocity 127: about the medians of the
# acoustic kits that we train with. The renderer varies every stem's level about this.
_LEVELS = {
    "kick": -21.0, "center": -23.0, "rim": -22.5, "sidestick": -29.0, "high": -25.0, "mid": -25.0,
    "low": -23.0, "closed": -32.0, "half": -27.0, "open": -26.0, "pedal": -38.0, "bow": -31.0,
    "bell": -29.0, "crash": -24.0, "splash": -27.0, "china": -23.0,
}  # fmt: skip
_SECONDS = {"kick": 1.5, "snare": 1.5, "toms": 2.5, "hihat": 2.5, "ride": 4.0, "crash": 5.0}


@dataclass(frozen=True)
class Hit:
    """One recorded stroke.

    Attributes:
        stem: one of our six.
        articulation: within the stem, see ``grooves.NOTE_MAP``.
        instrument: tells several drums of one articulation apart.
        velocity: 1 to 127, of the layer it stands for.
        wave: ``(1 or 2, samples)`` float32.
        rate: in Hz.
    """

    stem: str
    articulation: str
    instrument: str
    velocity: int
    wave: Wave
    rate: float


def loudness(wave: Wave) -> float:
    """Highest K-weighted loudness of 400 ms in dB (ITU-R BS.1770-4, annex 1, without gating).

    Args:
        wave: ``(channels, samples)`` at 44.1 kHz; a shorter one counts as if silence followed.
    """
    weighted = signal.sosfilt(_K_WEIGHTING, wave, axis=-1)
    power = (weighted**2).sum(0)
    window = int(0.4 * SAMPLE_RATE)
    sums = np.concatenate([[0.0], np.cumsum(np.pad(power, (0, window)))])
    best = float((sums[window:] - sums[:-window]).max()) / window
    return float(-0.691 + 10 * np.log10(max(best, 1e-12)))


def _k_weighting() -> NDArray[np.float64]:
    """The standard's two filters, moved to 44.1 kHz by their analogue parameters."""
    # High shelf: +4 dB above 1.7 kHz.
    root = 10 ** (3.999843853973347 / 20)
    k = np.tan(np.pi * 1681.974450955533 / SAMPLE_RATE)
    band = root**0.4996667741545416
    q = 0.7071752369554196
    a0 = 1 + k / q + k * k
    shelf = [
        (root + band * k / q + k * k) / a0, 2 * (k * k - root) / a0,
        (root - band * k / q + k * k) / a0, 1, 2 * (k * k - 1) / a0, (1 - k / q + k * k) / a0,
    ]  # fmt: skip
    k = np.tan(np.pi * 38.13547087602444 / SAMPLE_RATE)
    q = 0.5003270373238773
    a0 = 1 + k / q + k * k
    highpass = [1, -2, 1, 1, 2 * (k * k - 1) / a0, (1 - k / q + k * k) / a0]
    return np.array([shelf, highpass])


_K_WEIGHTING = _k_weighting()


def _shape(hit: Hit) -> Wave:
    """Attack within the first 2 ms, end 60 dB below the peak, 20 ms of fade."""
    wave = hit.wave
    if hit.rate != SAMPLE_RATE:
        wave = soxr.resample(wave.T, hit.rate, SAMPLE_RATE).T
    if len(wave) == 2 and np.array_equal(wave[0], wave[1]):
        wave = wave[:1]
    wave = np.asarray(wave - wave.mean(axis=1, keepdims=True), np.float32)
    level = np.abs(wave).max(0)
    peak = float(level.max())
    start = max(0, int(np.argmax(level > 0.1 * peak)) - int(0.002 * SAMPLE_RATE))
    heard = np.nonzero(level > 1e-3 * peak)[0]
    longest = _SECONDS[hit.stem]
    if hit.articulation in ("closed", "pedal"):
        longest = 1.0
    end = min(int(heard[-1]) + 1, start + int(longest * SAMPLE_RATE))
    wave = wave[:, start:end].copy()
    fade = min(882, wave.shape[1])
    wave[:, -fade:] *= np.linspace(1, 0, fade, dtype=np.float32)
    return np.asarray(wave, np.float32)


def write_kit(folder: Path, kit: str, hits: Sequence[Hit]) -> list[dict[str, object]]:
    """Write a kit's hits as 16-bit FLAC below ``folder/kit``.

    The loudest hit of an instrument gets its usual level and velocity 127; softer ones keep their
    distance, and get the velocity that this distance means by the law of the manifests (30 log10
    of the ratio of velocities, in dB). So a layer's nominal velocity only orders the layers.

    Returns:
        Rows of the manifest, split "train".
    """
    groups: dict[tuple[str, str, str], list[Hit]] = defaultdict(list)
    for hit in hits:
        groups[hit.stem, hit.articulation, hit.instrument].append(hit)
    shaped: list[tuple[Hit, Wave, int]] = []
    for (_, articulation, _), group in groups.items():
        waves = [_shape(hit) for hit in group]
        levels = [loudness(wave) for wave in waves]
        gain = np.float32(10 ** ((_LEVELS[articulation] - max(levels)) / 20))
        for hit, wave, level in zip(group, waves, levels, strict=True):
            velocity = 127 * 10 ** ((level - max(levels)) / 30)
            shaped.append((hit, wave * gain, max(5, round(velocity))))
    if not shaped:
        return []
    loudest = max(float(np.abs(wave).max()) for _, wave, _ in shaped)
    scale = np.float32(min(1.0, 10 ** (-1 / 20) / loudest))
    seen: Counter[str] = Counter()
    rows: list[dict[str, object]] = []
    for hit, wave, velocity in shaped:
        instrument = re.sub(r"[^a-z0-9]+", "", hit.instrument.lower())[:24] or "one"
        stem = f"{hit.articulation}_{instrument}_v{velocity:03d}"
        seen[stem] += 1
        file = Path(kit) / hit.stem / f"{stem}_r{seen[stem]}.flac"
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / file, (wave * scale).T, SAMPLE_RATE, subtype="PCM_16")
        rows.append(
            {
                "kit": kit, "split": "train", "file": file.as_posix(), "class": hit.stem,
                "articulation": hit.articulation, "velocity": velocity,
                "round_robin": seen[stem], "channels": len(wave),
                "seconds": round(wave.shape[1] / SAMPLE_RATE, 3), "instrument": instrument,
            }
        )  # fmt: skip
    return rows
