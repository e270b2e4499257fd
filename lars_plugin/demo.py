# SPDX-License-Identifier: GPL-3.0-or-later
"""A short performance of synthetic drums with its stems, and a picture of stems."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from lars_plugin.audio import AtomicFiles
from lars_plugin.stems import Stems
from lars_plugin.synthesis import SAMPLE_RATE, random_kit

__all__ = ["draw_stems", "perform"]

Wave = NDArray[np.float32]

_BPM = 116
_SECONDS = 12.0
_STEPS = 16  # per bar of four beats

# Five bars, a letter per sixteenth for the velocity.
_VELOCITIES = {"X": 1.0, "x": 0.8, "o": 0.55, "g": 0.28}
_SCORE = """
kick/kick        X.....x.x.......  X.....x.x..x....  X..x....x.x.....  X.....x.x.......  X..x..x.x.......
snare/center     ....X..g.g..X..g  ....X..g.g..X.gg  ....X..g.g..X..g  ....X...........  ....X..g.g......
snare/sidestick  ................  ................  ................  ................  ............x...
toms/high        ................  ................  ................  ......xxX.......  ..........xx....
toms/mid         ................  ................  ................  .........xX.....  ............x...
toms/low         ................  ................  ................  ...........xX.xX  .............xX.
hihat/closed     x.o.x.o.x.o.x.o.  x.o.x.o.x.o.x...  ................  x.o.x...........  x.o.x.o.x.......
hihat/open       ................  ..............x.  ................  ................  ................
hihat/pedal      ................  ................  ....o.......o...  ........o.......  ................
ride/bow         ................  ................  x.o.x.oox.o.x.oo  ................  ................
ride/bell        ................  ................  ............x...  ................  ................
crash/crash      ................  ................  X...............  ................  X...............
"""  # noqa: E501 # one line per drum is what makes it readable
# The last stroke, after the fill of the last bar.
_LAST = (("kick", "kick", 1.0), ("crash", "crash", 1.0))

# Gain and place (-1 left, 1 right) of each drum.
_MIX = {
    "kick/kick": (0.8, 0.0),
    "snare/center": (0.95, -0.05),
    "snare/sidestick": (0.6, -0.05),
    "toms/high": (0.6, -0.45),
    "toms/mid": (0.6, 0.05),
    "toms/low": (0.65, 0.5),
    "hihat/closed": (0.9, -0.35),
    "hihat/open": (0.6, -0.35),
    "hihat/pedal": (0.6, -0.35),
    "ride/bow": (0.6, 0.4),
    "ride/bell": (0.5, 0.4),
    "crash/crash": (0.55, 0.3),
}


def perform(seed: int = 7) -> Stems:
    """Twelve seconds of drums: six stereo stems at 44.1 kHz whose sum peaks at 0.9.

    Args:
        seed: of the kit and of the variation of strokes.
    """
    rng = np.random.default_rng(seed)
    kit = random_kit(rng).sounds
    samples = round(_SECONDS * SAMPLE_RATE)
    stems = {name: np.zeros((2, samples), np.float32) for name in kit}
    strokes = _strokes(rng)
    for index, (at, drum, velocity) in enumerate(strokes):
        stem, articulation = drum.split("/")
        wave = _strike(kit[stem][articulation], velocity)
        if stem == "hihat":
            # The next stroke damps the ringing cymbals.
            following = [start for start, other, _ in strokes[index + 1 :] if "hihat" in other]
            wave = _choke(wave, following[0] - at) if following else wave
        gain, pan = _MIX[drum]
        angle = (pan + 1) * np.pi / 4
        sides = np.array([[np.cos(angle)], [np.sin(angle)]], np.float32) * np.float32(gain)
        length = min(len(wave), samples - at)
        stems[stem][:, at : at + length] += sides * wave[:length]
    room = _room(rng)
    end = np.linspace(1, 0, SAMPLE_RATE // 2, dtype=np.float32)  # of what still rings
    for name, wave in stems.items():
        echo = signal.fftconvolve(wave, room, axes=-1)[:, :samples]
        stems[name] = wave + echo.astype(np.float32)
        stems[name][:, -len(end) :] *= end
    peak = float(np.abs(np.sum(list(stems.values()), axis=0)).max())
    return Stems({n: wave * np.float32(0.9 / peak) for n, wave in stems.items()}, SAMPLE_RATE)


def _strokes(rng: np.random.Generator) -> list[tuple[int, str, float]]:
    """(sample, drum, velocity) in order of time, with the variation of a good drummer."""
    step = 60 / _BPM / 4
    played: list[tuple[int, str, float]] = []
    bars = 0
    for line in _SCORE.strip().splitlines():
        drum, *bars_of_drum = line.split()
        bars = len(bars_of_drum)
        for index, letter in enumerate("".join(bars_of_drum)):
            if letter in _VELOCITIES:
                played.append((index, drum, _VELOCITIES[letter]))
    played += [(bars * _STEPS, f"{stem}/{name}", velocity) for stem, name, velocity in _LAST]
    strokes = []
    for index, drum, velocity in played:
        late = rng.normal(0, 0.004) + (0.006 if index % 2 else 0)  # seconds; a little swing
        at = round(max(0.0, index * step + 0.05 + late) * SAMPLE_RATE)
        strokes.append((at, drum, float(np.clip(velocity * rng.normal(1, 0.07), 0.1, 1))))
    return sorted(strokes)


def _strike(sound: Wave, velocity: float) -> Wave:
    """A sound at a lower velocity: quieter and duller."""
    edge = 2500 * 8**velocity  # Hz
    dulled = signal.sosfilt(signal.butter(1, edge, fs=SAMPLE_RATE, output="sos"), sound)
    return np.asarray(dulled * velocity**1.6, np.float32)


def _choke(wave: Wave, samples: int) -> Wave:
    fade = SAMPLE_RATE // 50
    wave = wave[: samples + fade].copy()
    if len(wave) == samples + fade:
        wave[samples:] *= np.linspace(1, 0, fade, dtype=np.float32)
    return wave


def _room(rng: np.random.Generator) -> NDArray[np.float64]:
    """A small room's response ``(2, samples)``, without the direct sound."""
    t = np.arange(int(0.35 * SAMPLE_RATE)) / SAMPLE_RATE
    noise = rng.standard_normal((2, len(t))) * np.exp(-t / 0.06) * (t > 0.006)
    sos = signal.butter(1, [150, 6000], "bandpass", fs=SAMPLE_RATE, output="sos")
    tail = signal.sosfilt(sos, noise, axis=-1)
    return np.asarray(0.22 * tail / np.sqrt((tail**2).sum(axis=-1, keepdims=True)))


_COLOURS = ("#ff6b5e", "#ffb454", "#f2e05c", "#6fd08c", "#4fb8e8", "#9d8cff", "#ff8ad1", "#c9ced6")
_INK, _GROUND, _SHADE = "#e8eaed", "#14161a", "#3a3f48"
_COLUMNS = 1600  # of the envelope: about one per pixel


def draw_stems(
    path: Path, mixture: Wave, stems: Stems, notes: dict[str, str] | None = None
) -> None:
    """Write a picture (PNG): each stem's waveform in its own lane, with the mixture behind it.

    Args:
        path: of the picture.
        mixture: ``(channels, samples)``, as long as the stems.
        stems: one lane each.
        notes: a word at the right of a stem's lane.

    Raises:
        AudioFileError: it cannot be written.
    """
    from matplotlib.figure import Figure  # takes half a second, which only this function needs

    notes = notes or {}
    figure = Figure(figsize=(12, 0.6 + 1.0 * (len(stems) + 1)), facecolor=_GROUND)
    lanes = figure.subplots(
        len(stems) + 1,
        1,
        sharex=True,
        sharey=True,
        gridspec_kw={"hspace": 0.12, "left": 0.085, "right": 0.9, "top": 0.985, "bottom": 0.075},
    )
    seconds = mixture.shape[1] / stems.sample_rate
    time = np.linspace(0, seconds, _COLUMNS)
    low, high = _envelope(mixture)
    limit = max(1e-6, float(high.max()), float(-low.min())) * 1.05
    rows = [("mixture", mixture, _INK), *_coloured(stems)]
    for lane, (name, wave, colour) in zip(lanes, rows, strict=True):
        lane.set_facecolor(_GROUND)
        if name != "mixture":
            lane.fill_between(time, low, high, color=_SHADE, linewidth=0)
        lane.fill_between(time, *_envelope(wave), color=colour, linewidth=0)
        lane.axhline(0, color=colour, linewidth=0.5, alpha=0.6)
        lane.text(-0.012, 0.5, name, color=colour, fontsize=12, fontweight="bold",
            ha="right", va="center", transform=lane.transAxes)  # fmt: skip
        lane.text(1.012, 0.5, notes.get(name, ""), color=_INK, fontsize=11,
            ha="left", va="center", transform=lane.transAxes)  # fmt: skip
        lane.set(xlim=(0, seconds), ylim=(-limit, limit), yticks=[])
        lane.tick_params(axis="x", colors=_INK, length=0, labelsize=10)
        for spine in lane.spines.values():
            spine.set_visible(False)
    lanes[-1].tick_params(axis="x", length=3)
    lanes[-1].xaxis.set_major_formatter("{x:g} s")
    with AtomicFiles() as files:
        figure.savefig(files.create(path), format="png", dpi=150, facecolor=_GROUND)


def _coloured(stems: Stems) -> list[tuple[str, Wave, str]]:
    return [
        (name, wave, _COLOURS[index % len(_COLOURS)])
        for index, (name, wave) in enumerate(stems.items())
    ]


def _envelope(wave: Wave) -> tuple[Wave, Wave]:
    """Lowest and highest sample of all channels in each of :data:`_COLUMNS` columns."""
    edges = np.linspace(0, wave.shape[1], _COLUMNS + 1).astype(int)[:-1]
    return (
        np.minimum.reduceat(wave.min(axis=0), edges),
        np.maximum.reduceat(wave.max(axis=0), edges),
    )
