# SPDX-License-Identifier: GPL-3.0-or-later
"""How a drum was struck, by its sound.

If the model's settings have scorers for a stem's articulations, the scorers decide. Otherwise:

hihat    closed and pedal decay fast, open decays slowly; a pedal is also soft and has no stick
snare    a side-stick has neither body below 350 Hz nor wires above 5.6 kHz
ride     a bell has a strong middle against its treble
cymbals  (one stem for all) a crash fills the bands from 700 Hz up and is loud

Toms and crashes are always compared with each other: toms by pitch, in up to three groups;
crashes by timbre and place, in up to two.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lars_plugin.midi.analysis import Analysis
from lars_plugin.midi.features import features
from lars_plugin.midi.hits import DEFAULT_ARTICULATION
from lars_plugin.midi.settings import StemSettings

__all__ = ["articulations", "group_pitches", "tom_pitch"]

Floats = NDArray[np.floating]

# Hi-hats that fall slower than this many dB per second are open.
_OPEN_DB_PER_SECOND = 170.0
_PEDAL_BELOW_DB = 9.0
# Toms whose pitches differ by less than this are one drum.
_SEMITONES = 2.5
# Hz between low, mid and high if there are no other toms to compare with.
_LOW, _HIGH = 100.0, 150.0


def articulations(
    analysis: Analysis,
    stem: int,
    frames: NDArray[np.intp],
    wave: Floats,
    settings: StemSettings | None = None,
) -> list[str]:
    """The articulation of every hit of one stem.

    Args:
        analysis: of all stems.
        stem: index of the stem.
        frames: ``(m,)`` of its hits, in rising order.
        wave: ``(channels, samples)`` of the stem.
        settings: may have scorers.
    """
    name = analysis.stems[stem]
    if not len(frames):
        return []
    if name == "toms":
        pitches = [tom_pitch(wave, analysis.sample_rate, int(k) * analysis.hop) for k in frames]
        return group_pitches(pitches)
    if settings is not None and settings.articulations:
        found = _by_scorers(analysis, stem, frames, settings)
    else:
        found = _by_rules(analysis, stem, frames)
    if name in ("crash", "cymbals"):
        return _two_crashes(analysis, stem, frames, wave, found)
    return found


def _by_scorers(
    analysis: Analysis, stem: int, frames: NDArray[np.intp], settings: StemSettings
) -> list[str]:
    until = np.append(frames[1:], analysis.levels.shape[1])
    known = features(analysis.fine, analysis.levels, stem, frames, until)
    names = list(settings.articulations)
    chances = np.stack([settings.articulations[name](known) for name in names])
    best = chances.argmax(axis=0)
    usual = DEFAULT_ARTICULATION[analysis.stems[stem]]
    return [names[index] if chances[index, hit] >= 0.5 else usual for hit, index in enumerate(best)]


def _by_rules(analysis: Analysis, stem: int, frames: NDArray[np.intp]) -> list[str]:
    name = analysis.stems[stem]
    usual = DEFAULT_ARTICULATION[name]
    levels = analysis.levels[stem]
    n = len(levels)
    peaks = levels[np.clip(frames[:, None] + np.arange(5), 0, n - 1)].max(axis=1)
    if name == "hihat":
        until = np.append(frames[1:], n)
        last = np.clip(np.minimum(until - 4, frames + 50), frames + 6, n - 1)
        first = np.minimum(frames + 4, n - 1)
        top = levels[:, 6:].mean(axis=1)
        seconds = np.maximum(last - first, 1) * analysis.hop / analysis.sample_rate
        fall = (top[first] - top[last]) / seconds
        loud = peaks[:, 6:].mean(axis=1)
        soft = np.median(loud) - loud > _PEDAL_BELOW_DB
        return [
            "open" if slow else "pedal" if quiet else usual
            for slow, quiet in zip(fall < _OPEN_DB_PER_SECOND, soft, strict=True)
        ]
    if name == "snare":
        middle = peaks[:, 3:7].mean(axis=1)
        dry = (middle - peaks[:, 1:3].max(axis=1) > 6) & (middle - peaks[:, 8:].mean(axis=1) > 18)
        return ["sidestick" if one else usual for one in dry]
    if name == "ride":
        bell = peaks[:, 4:6].max(axis=1) - peaks[:, 7:9].mean(axis=1) > 10
        return ["bell" if one else usual for one in bell]
    if name == "cymbals":
        loud = peaks[:, 5:].mean(axis=1)
        full = (peaks[:, 3:6].mean(axis=1) - loud > -12) & (loud >= np.median(loud))
        return ["crash" if one else "bow" for one in full]
    return [usual] * len(frames)


def _two_crashes(
    analysis: Analysis, stem: int, frames: NDArray[np.intp], wave: Floats, found: list[str]
) -> list[str]:
    """Find a second crash by its timbre and its place, if there is one. The more frequent one is
    the first."""
    which = [index for index, name in enumerate(found) if name == "crash"]
    if len(which) < 4:
        return found
    n = analysis.levels.shape[1]
    described = []
    for index in which:
        frame = int(frames[index])
        part = analysis.levels[stem][min(frame + 4, n - 1) : frame + 40]
        profile = part.mean(axis=0)[3:]
        start = frame * analysis.hop
        power = np.square(wave[:, start : start + 40 * analysis.hop], dtype=np.float64).sum(axis=1)
        place = 10 * np.log10((power[0] + 1e-12) / (power[-1] + 1e-12))
        described.append([*(profile - profile.mean()), place])
    points = np.asarray(described)
    second = _split(points)
    if second is None:
        return found
    if second.sum() * 2 > len(second):
        second = ~second
    made_names = list(found)
    for index, other in zip(which, second, strict=True):
        made_names[index] = "crash2" if other else "crash"
    return made_names


def _split(points: Floats) -> NDArray[np.bool_] | None:
    """Two well separated groups of points, or None: 2-means from the two farthest."""
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    a, b = np.unravel_index(int(distances.argmax()), distances.shape)
    centres = points[[a, b]].astype(np.float64)
    group = np.zeros(len(points), bool)
    for _ in range(20):
        group = np.linalg.norm(points - centres[0], axis=1) > np.linalg.norm(
            points - centres[1], axis=1
        )
        if group.all() or not group.any():
            return None
        centres = np.stack([points[~group].mean(axis=0), points[group].mean(axis=0)])
    inside = np.where(
        group,
        np.linalg.norm(points - centres[1], axis=1),
        np.linalg.norm(points - centres[0], axis=1),
    )
    apart = float(np.linalg.norm(centres[0] - centres[1]))
    enough = min(group.sum(), (~group).sum()) >= 2
    return group if enough and apart > 6 and apart > 2.5 * float(inside.mean()) else None


def tom_pitch(wave: Floats, sample_rate: float, attack: int) -> float:
    """Hz of the strongest partial from 50 to 400 Hz in the tenth of a second after the stick."""
    start = attack + round(0.015 * sample_rate)
    part = wave[:, start : start + round(0.12 * sample_rate)].mean(axis=0)
    if len(part) < 64:
        return (_LOW + _HIGH) / 2
    size = 8 << (len(part) - 1).bit_length()  # finer than a semitone from 60 Hz up
    spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part)), size))
    hertz = np.arange(len(spectrum)) * sample_rate / size
    # Favour low modes: a drum's lowest mode is its pitch, even if the next one is louder.
    spectrum = np.where((hertz >= 50) & (hertz <= 400), spectrum / np.maximum(hertz, 50), 0)
    strongest = int(spectrum.argmax())
    # No sound there, for example digital silence: there is no pitch, so use a middle one.
    return float(hertz[strongest]) if spectrum[strongest] > 0 else (_LOW + _HIGH) / 2


def group_pitches(pitches: list[float]) -> list[str]:
    """``low``, ``mid`` or ``high`` for each pitch in Hz, by up to three groups among them."""
    values = 12 * np.log2(np.asarray(pitches, np.float64))
    order = np.argsort(values, kind="stable")
    gaps = np.diff(values[order])
    # The two widest gaps separate the groups, if they are wide enough for two drums.
    cuts = sorted(int(k) for k in np.argsort(-gaps, kind="stable")[:2] if gaps[k] >= _SEMITONES)
    group = np.zeros(len(values), int)
    group[order] = np.searchsorted(cuts, np.arange(len(values)), side="left")
    if len(cuts) == 2:
        names = ["low", "mid", "high"]
    elif len(cuts) == 1:
        names = ["low", "high"]
    else:
        middle = float(np.median(pitches))
        names = ["low" if middle < _LOW else "high" if middle > _HIGH else "mid"]
    return [names[index] for index in group]
