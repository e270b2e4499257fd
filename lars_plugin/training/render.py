# SPDX-License-Identifier: GPL-3.0-or-later
"""Random drum mixtures with their stems, rendered on the fly.

One :class:`Renderer` turns kits and grooves into excerpts ``(stems, 2, samples)`` float32 at
44.1 kHz; the mixture is their sum. Everything that happens to a mixture is either done to a
stem before the sum (gain, pan, EQ, saturation, room) or is the same linear operation on all
stems (bus compression as one time-varying gain, low-pass, mono, level), so the sum stays true.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lars_plugin.synthesis import SAMPLE_RATE
from lars_plugin.training.effects import add_room, bus_gain, equalise, lowpass, saturate
from lars_plugin.training.grooves import GrooveLibrary, Note
from lars_plugin.training.kits import Instrument, KitLibrary

__all__ = ["STEMS", "Renderer", "RendererConfig"]

STEMS = ("kick", "snare", "toms", "hihat", "ride", "crash")

# Ring-in: strokes this long before the excerpt are rendered too.
_PRE_ROLL = 3.0

# What to play when a kit lacks an articulation.
_FALLBACK = {
    "rim": "center",
    "sidestick": "center",
    "half": "open",
    "pedal": "closed",
    "mid": "high",
    "bell": "bow",
    "splash": "crash",
    "china": "crash",
}

Wave = NDArray[np.float32]


@dataclass(frozen=True)
class RendererConfig:
    """How wildly to vary. Probabilities in [0, 1], ranges in the unit named."""

    whole_kit: float = 0.3  # one kit for all drums, instead of one per drum
    pitch_semitones: float = 3.0
    gain_db: float = 4.0  # standard deviation per stem
    extra: float = 0.4  # strokes of rare stems from another performance
    solo: float = 0.12  # a few stems only
    swap_ride: float = 0.12  # the hi-hat's part on the ride
    eq: float = 0.6
    saturation: float = 0.15
    room: float = 0.5
    bus: float = 0.35
    lowpass: float = 0.08
    mono: float = 0.08
    level_db: float = 40.0


class Renderer:
    """Draws excerpts; one instance per process.

    Args:
        kits: one-shots.
        grooves: performances.
        seed: same seed, same sequence of excerpts.
        config: the ranges.
    """

    def __init__(
        self,
        kits: KitLibrary,
        grooves: GrooveLibrary,
        seed: int,
        config: RendererConfig | None = None,
    ) -> None:
        self.kits = kits
        self.grooves = grooves
        self.config = config or RendererConfig()
        self.rng = np.random.default_rng(seed)

    def render(self, samples: int) -> Wave:
        """A new excerpt ``(6, 2, samples)``; its mixture peaks between -40 and 0 dBFS."""
        rng, config = self.rng, self.config
        pre = int(_PRE_ROLL * SAMPLE_RATE)
        notes = self._notes((pre + samples) / SAMPLE_RATE)
        stems = np.zeros((len(STEMS), 2, pre + samples), np.float32)
        house = self._kit_for(None)
        for index, stem in enumerate(STEMS):
            mine = [note for note in notes if note.stem == stem]
            if mine:
                self._play(stems[index], stem, mine, house)
                if rng.random() < config.eq:
                    equalise(rng, stems[index])
                if rng.random() < config.saturation:
                    saturate(rng, stems[index])
        if rng.random() < config.room:
            add_room(rng, stems)
        stems = stems[:, :, pre:]
        if rng.random() < config.bus:
            stems *= bus_gain(rng, stems.sum(0))
        if rng.random() < config.lowpass:
            stems = lowpass(rng, stems)
        if rng.random() < config.mono:
            stems = np.repeat(stems.mean(1, keepdims=True), 2, axis=1)
        peak = float(np.abs(stems.sum(0)).max())
        if peak > 1e-5:
            level = 10 ** (-config.level_db * rng.beta(1, 4) / 20)
            stems = stems * np.float32(level / peak)
        return np.ascontiguousarray(stems, np.float32)

    # Which strokes.

    def _excerpt(self, seconds: float) -> list[Note]:
        notes, total = self.grooves.draw(self.rng)
        tempo = self.rng.uniform(0.8, 1.25)
        start = self.rng.uniform(-0.5, max(total - seconds * tempo * 0.7, 0.1))
        return [
            replace(n, onset=(n.onset - start) / tempo)
            for n in notes
            if start <= n.onset < start + seconds * tempo
        ]

    def _notes(self, seconds: float) -> list[Note]:
        rng, config = self.rng, self.config
        notes = self._excerpt(seconds)
        if rng.random() < config.swap_ride:
            open_hat = rng.random() < 0.3
            notes = [
                replace(n, stem="ride", articulation="bow")
                if n.stem == "hihat" and (open_hat or n.articulation != "pedal")
                else n
                for n in notes
            ]
        for stem in ("toms", "ride", "crash"):
            # A crash is rare in every performance and as hard to learn as the others.
            if rng.random() < config.extra * (1.5 if stem == "crash" else 1.0):
                for _ in range(3):
                    more = [n for n in self._excerpt(seconds) if n.stem == stem]
                    if more:
                        notes += more
                        break
                else:
                    if stem == "crash":
                        notes += [
                            Note(float(t), "crash", "crash", int(rng.integers(50, 127)), 49)
                            for t in rng.uniform(0, seconds, rng.integers(1, 4))
                        ]
        if rng.random() < config.solo:
            keep = set(rng.choice(STEMS, rng.integers(1, 4), replace=False))
            notes = [n for n in notes if n.stem in keep]
        curve = rng.uniform(0.6, 1.3)
        played = [
            replace(note, velocity=max(1, round(127 * (note.velocity / 127) ** curve)))
            for note in notes
        ]
        return sorted(played, key=lambda note: note.onset)

    # With which sounds.

    def _kit_for(self, stem: str | None) -> str:
        names = list(self.kits.kits) if stem is None else self.kits.names(stem)
        recorded = [name for name in names if not name.startswith("synth_")]
        synthetic = [name for name in names if name.startswith("synth_")]
        pool = synthetic if synthetic and self.rng.random() < 0.2 else recorded or synthetic
        return str(pool[self.rng.integers(len(pool))])

    def _play(self, out: Wave, stem: str, notes: list[Note], house: str) -> None:
        rng, config = self.rng, self.config
        same = rng.random() < config.whole_kit and stem in self.kits.kits[house]
        kit = house if same else self._kit_for(stem)
        sounds = self.kits.kits[kit][stem]
        pitch = 2 ** (rng.uniform(-config.pitch_semitones, config.pitch_semitones) / 12)
        if rng.random() < 0.3:
            pitch = 1.0
        damping = 0.0 if rng.random() < 0.6 else rng.uniform(0.5, 8.0)
        half = rng.random() < 0.3
        gain = 10 ** (rng.normal(0, config.gain_db) / 20)
        width = rng.uniform(0.0, 1.3)
        balance = float(np.clip(rng.normal(0, 0.35), -0.9, 0.9))
        if stem in ("kick", "snare"):
            balance *= 0.4
        chosen: dict[int, tuple[Instrument, float, float]] = {}
        choke = stem == "hihat"
        for index, note in enumerate(notes):
            if note.number not in chosen:
                chosen[note.number] = self._instrument(sounds, note, half, balance, pitch)
            instrument, pan, rate = chosen[note.number]
            wave = self._place(instrument.hit(note.velocity, rng), pan, width, rate, damping)
            begin = int(note.onset * SAMPLE_RATE)
            length = min(wave.shape[1], out.shape[1] - begin)
            if choke and index + 1 < len(notes):
                # The two cymbals touch: the next stroke ends what still rings.
                until = int((notes[index + 1].onset - note.onset) * SAMPLE_RATE)
                length = self._cut(wave, until, length)
            if length > 0:
                out[:, begin : begin + length] += wave[:, :length] * np.float32(gain)

    def _instrument(
        self,
        sounds: dict[str, list[Instrument]],
        note: Note,
        half: bool,
        balance: float,
        pitch: float,
    ) -> tuple[Instrument, float, float]:
        rng = self.rng
        name = note.articulation
        if name == "open" and half and "half" in sounds:
            name = "half"
        while name not in sounds and name in _FALLBACK:
            name = _FALLBACK[name]
        options = sounds.get(name) or sounds[next(iter(sounds))]
        instrument = options[rng.integers(len(options))]
        spread = 0.5 if note.stem in ("toms", "crash") else 0.1
        pan = float(np.clip(balance + rng.normal(0, spread), -0.95, 0.95))
        return instrument, pan, pitch * float(2 ** rng.normal(0, 0.02))

    @staticmethod
    def _place(wave: Wave, pan: float, width: float, rate: float, damping: float) -> Wave:
        if abs(rate - 1.0) > 1e-3:
            length = max(2, int(wave.shape[1] / rate))
            at = np.arange(length) * rate
            grid = np.arange(wave.shape[1])
            wave = np.stack([np.interp(at, grid, channel) for channel in wave]).astype(np.float32)
        if damping:
            fall = np.exp(-damping * np.arange(wave.shape[1], dtype=np.float32) / SAMPLE_RATE)
            wave = wave * fall
        angle = (pan + 1) * np.pi / 4
        left, right = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        if wave.shape[0] == 1:
            return np.stack([wave[0] * left, wave[0] * right])
        mid, side = (wave[0] + wave[1]) * 0.5, (wave[0] - wave[1]) * np.float32(0.5 * width)
        return np.stack([(mid + side) * left, (mid - side) * right])

    @staticmethod
    def _cut(wave: Wave, until: int, length: int) -> int:
        fade = 1323  # 30 ms
        end = until + fade
        if end >= length:
            return length
        wave[:, until:end] *= np.linspace(1, 0, fade, dtype=np.float32)
        return end
