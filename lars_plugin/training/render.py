# SPDX-License-Identifier: GPL-3.0-or-later
"""Random drum mixtures with their stems, rendered on the fly.

One :class:`Renderer` turns kits and grooves into excerpts ``(stems, 2, samples)`` float32 at
44.1 kHz; the mixture is their sum. Everything that happens to a mixture is either done to a
stem before the sum (gain, pan, EQ, saturation, room) or is the same linear operation on all
stems (bus compression as one time-varying gain, low-pass, mono, level), so the sum stays true.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, signal

from lars_plugin.synthesis import SAMPLE_RATE
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
                self._shape(stems[index])
        if rng.random() < config.room:
            self._room(stems)
        stems = stems[:, :, pre:]
        if rng.random() < config.bus:
            stems *= self._bus_gain(stems.sum(0))
        if rng.random() < config.lowpass:
            stems = self._lowpass(stems)
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
            Note((n.onset - start) / tempo, n.stem, n.articulation, n.velocity, n.number)
            for n in notes
            if start <= n.onset < start + seconds * tempo
        ]

    def _notes(self, seconds: float) -> list[Note]:
        rng, config = self.rng, self.config
        notes = self._excerpt(seconds)
        if rng.random() < config.swap_ride:
            open_hat = rng.random() < 0.3
            notes = [
                Note(n.onset, "ride", "bow", n.velocity, n.number)
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
        return sorted(
            (
                Note(n.onset, n.stem, n.articulation, round(127 * (n.velocity / 127) ** curve), 0)
                if n.number == 0
                else Note(
                    n.onset,
                    n.stem,
                    n.articulation,
                    max(1, round(127 * (n.velocity / 127) ** curve)),
                    n.number,
                )
                for n in notes
            ),
            key=lambda n: n.onset,
        )

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

    # What happens to a stem.

    def _shape(self, stem: Wave) -> None:
        rng, config = self.rng, self.config
        if rng.random() < config.eq:
            for _ in range(rng.integers(1, 4)):
                sos = _peak_or_shelf(rng)
                stem[:] = signal.sosfilt(sos, stem, axis=-1)
        if rng.random() < config.saturation:
            peak = float(np.abs(stem).max())
            if peak > 0:
                drive = rng.uniform(1, 5)
                stem[:] = np.tanh(stem * (drive / peak)) * (peak / drive)

    def _room(self, stems: Wave) -> None:
        """One room for all, each drum with its own distance: early taps and a decaying tail."""
        rng = self.rng
        seconds = rng.uniform(0.08, 0.9)
        length = int(seconds * SAMPLE_RATE)
        t = np.arange(length) / SAMPLE_RATE
        tail = rng.standard_normal((2, length)) * np.exp(-6.9 * t / seconds)
        damp = signal.butter(
            1, [rng.uniform(80, 400), rng.uniform(3000, 12000)], "bandpass",
            fs=SAMPLE_RATE, output="sos",
        )  # fmt: skip
        tail = signal.sosfilt(damp, tail, axis=-1)
        for _ in range(rng.integers(0, 8)):
            at = int(rng.uniform(0.001, 0.04) * SAMPLE_RATE)
            if at < length:
                tail[:, at] += rng.normal(0, 2.0, 2)
        tail /= np.sqrt((tail**2).sum(1).mean()) + 1e-9
        wet = 10 ** (rng.uniform(-30, -8) / 20) * 10 ** (rng.normal(0, 4, len(stems)) / 20)
        size = fft.next_fast_len(stems.shape[2] + length, real=True)
        room = fft.rfft(tail.astype(np.float32), size)
        for index, stem in enumerate(stems):
            if stem.any():
                echo = fft.irfft(fft.rfft(stem, size) * room, size)[:, : stem.shape[1]]
                stem += np.float32(wet[index]) * echo

    # What happens to all stems alike.

    def _bus_gain(self, mixture: Wave) -> Wave:
        """Gain curve ``(samples,)`` of a feed-forward bus compressor."""
        rng = self.rng
        hop = 64
        level = np.abs(mixture).max(0)
        level = level[: len(level) // hop * hop].reshape(-1, hop).max(1)
        attack = 1 - np.exp(-hop / SAMPLE_RATE / rng.uniform(0.001, 0.03))
        release = 1 - np.exp(-hop / SAMPLE_RATE / rng.uniform(0.05, 0.4))
        envelope, state = np.empty_like(level), 0.0
        for index, value in enumerate(level):
            state += (attack if value > state else release) * (float(value) - state)
            envelope[index] = state
        threshold = float(level.max()) * 10 ** (rng.uniform(-24, -6) / 20) + 1e-9
        ratio = rng.uniform(1.5, 8)
        over = np.maximum(envelope / threshold, 1.0)
        gain = over ** (1 / ratio - 1)
        at = np.arange(mixture.shape[1]) / hop
        return np.asarray(np.interp(at, np.arange(len(gain)), gain), np.float32)

    def _lowpass(self, stems: Wave) -> Wave:
        """The dull top of a coarse MP3: nothing above 10 to 17 kHz."""
        spectrum = fft.rfft(stems, axis=-1)
        frequencies = np.linspace(0, SAMPLE_RATE / 2, spectrum.shape[-1])
        edge = self.rng.uniform(10000, 17000)
        spectrum *= 1 / (1 + np.exp((frequencies - edge) / 150.0).clip(max=1e6))
        return np.asarray(fft.irfft(spectrum, stems.shape[-1], axis=-1), np.float32)


def _peak_or_shelf(rng: np.random.Generator) -> NDArray[np.float64]:
    """A random equaliser section (R. Bristow-Johnson's cookbook), up to 8 dB."""
    frequency = float(np.exp(rng.uniform(np.log(60), np.log(12000))))
    gain = 10 ** (rng.uniform(-8, 8) / 40)
    w = 2 * np.pi * frequency / SAMPLE_RATE
    alpha = np.sin(w) / 2 / rng.uniform(0.5, 2.0)
    cos = np.cos(w)
    kind = rng.integers(3)
    if kind == 0:
        b = [1 + alpha * gain, -2 * cos, 1 - alpha * gain]
        a = [1 + alpha / gain, -2 * cos, 1 - alpha / gain]
    else:
        sign = 1 if kind == 1 else -1  # low shelf, high shelf
        root = 2 * np.sqrt(gain) * alpha
        b = [
            gain * ((gain + 1) - sign * (gain - 1) * cos + root),
            sign * 2 * gain * ((gain - 1) - sign * (gain + 1) * cos),
            gain * ((gain + 1) - sign * (gain - 1) * cos - root),
        ]
        a = [
            (gain + 1) + sign * (gain - 1) * cos + root,
            sign * -2 * ((gain - 1) + sign * (gain + 1) * cos),
            (gain + 1) + sign * (gain - 1) * cos - root,
        ]
    section = np.array([*b, *a]) / a[0]
    return np.asarray(section[None])
