# SPDX-License-Identifier: GPL-3.0-or-later
"""Random drum mixtures with their stems, rendered on the fly.

One :class:`Renderer` turns kits and grooves into excerpts ``(stems, 2, samples)`` float32 at
44.1 kHz; the mixture is their sum. Every change is either made to a
stem before the sum (gain, pan, EQ, saturation, room), or is the same linear operation on all
stems (bus compression as one time-varying gain, low-pass, mono, level), so the sum stays exact.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lars_plugin.errors import DatasetError
from lars_plugin.synthesis import SAMPLE_RATE
from lars_plugin.training.data.grooves import GrooveLibrary, Note
from lars_plugin.training.data.kits import Instrument, KitLibrary
from lars_plugin.training.render.mixdown import mix_down
from lars_plugin.training.render.playing import (
    add_double_kicks,
    add_roll,
    crash_the_ride,
    open_the_hihat,
)
from lars_plugin.training.sounds.effects import (
    add_early_reflections,
    add_overheads,
    add_room,
    equalise,
    saturate,
)
from lars_plugin.training.sounds.impulses import Impulses
from lars_plugin.training.sounds.microphones import add_microphones
from lars_plugin.training.sounds.stage import Place, draw_stage
from lars_plugin.training.sounds.variation import Timbre, draw_timbre

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

# What dry excerpts have none of.
_WET = (
    "saturation", "room", "plate", "overheads", "microphones", "equaliser", "tape", "bus",
    "lowpass", "mono",
)  # fmt: skip


@dataclass(frozen=True)
class RendererConfig:
    """How much to vary. Probabilities in [0, 1], ranges in the unit named."""

    whole_kit: float = 0.3  # one kit for all drums, instead of one per drum
    timbre: float = 0.6  # another drum out of the recorded one
    pitch_semitones: float = 5.0
    studio: float = 0.6  # placed as most mixes have it, instead of anywhere
    layer: float = 0.1  # two instruments struck at once
    synthetic: float = 0.1  # an electronic or imaginary kit
    swap_crash: float = 0.1  # the hi-hat's or ride's part on a crash
    patterns: float = 0.2  # a programmed part, where there are some, instead of a performance
    gain_db: float = 5.0  # standard deviation per stem
    extra: float = 0.4  # strokes of rare stems from another performance
    solo: float = 0.12  # a few stems only
    swap_ride: float = 0.12  # the hi-hat's part on the ride
    ride_crash: float = 0.05  # the crashes' part on the ride, as hard as can be
    washy: float = 0.12  # a hi-hat that is never closed
    roll: float = 0.08
    double_kicks: float = 0.06
    eq: float = 0.4
    saturation: float = 0.15
    room: float = 0.65
    room_seconds: float = 1.3  # the longest
    room_db: float = -4.0  # the loudest, against the drums
    plate: float = 0.2  # a room of its own for one drum or two
    overheads: float = 0.25  # heard a second time, later, perhaps with the other polarity
    microphones: float = 0.5  # a studio's, instead of a room and overheads as above
    real: float = 0.5  # of rooms: by a real impulse response, where there are some
    early: float = 0.6  # of rooms: each drum heard by a pair of microphones
    equaliser: float = 0.2  # on the mixture
    tape: float = 0.2
    bus: float = 0.35
    lowpass: float = 0.25
    mono: float = 0.3
    one_sided: float = 0.1  # of mono: the right channel silent or inverted
    level_db: float = 40.0
    dry: float = 0.4  # of excerpts: none of _WET

    def draw(self, rng: np.random.Generator) -> RendererConfig:
        """The ranges of one excerpt. Each augmentation is drawn by itself, so without dry ones
        hardly any excerpt would be as clean as many recordings are."""
        if self.dry and rng.random() < self.dry:
            return replace(self, **dict.fromkeys(_WET, 0.0))
        return self


class Renderer:
    """Draws excerpts; one instance per process.

    Args:
        kits: one-shots.
        grooves: performances.
        seed: same seed, same sequence of excerpts.
        config: the ranges.
        impulses: of real rooms.
        patterns: drum parts of programmed arrangements.

    Raises:
        DatasetError: no kit has one of the stems.
    """

    def __init__(
        self,
        kits: KitLibrary,
        grooves: GrooveLibrary,
        seed: int,
        config: RendererConfig | None = None,
        impulses: Impulses | None = None,
        patterns: GrooveLibrary | None = None,
    ) -> None:
        missing = [stem for stem in STEMS if not kits.names(stem)]
        if missing:
            raise DatasetError(
                f"no kit has {' or '.join(missing)}: add a folder of one-shots that has, by another"
                " --kits"
            )
        self.kits = kits
        self.grooves = grooves
        self.patterns = patterns
        self.config = config or RendererConfig()
        self.impulses = impulses
        self.rng = np.random.default_rng(seed)
        self._washy = False
        self._weights: dict[tuple[str, str], float] = {}

    def render(self, samples: int) -> Wave:
        """A new excerpt ``(6, 2, samples)``; its mixture peaks between -40 and 0 dBFS."""
        rng, config = self.rng, self.config.draw(self.rng)
        pre = int(_PRE_ROLL * SAMPLE_RATE)
        notes = self._notes((pre + samples) / SAMPLE_RATE)
        stems = np.zeros((len(STEMS), 2, pre + samples), np.float32)
        house = self._kit_for(None)
        stage = draw_stage(rng, rng.random() < config.studio)
        for index, stem in enumerate(STEMS):
            mine = [note for note in notes if note.stem == stem]
            if mine:
                self._play(stems[index], stem, mine, house, stage)
                if rng.random() < config.eq:
                    equalise(rng, stems[index])
                if rng.random() < config.saturation:
                    saturate(rng, stems[index])
        if config.plate and rng.random() < config.plate:
            self._add_plate(stems)
        if config.microphones and rng.random() < config.microphones:
            add_microphones(rng, stems)
            config = replace(config, overheads=0.0, room=0.0)
        if config.overheads and rng.random() < config.overheads:
            add_overheads(rng, stems)
        if rng.random() < config.room:
            if config.early and rng.random() < config.early:
                add_early_reflections(rng, stems)
            self._add_room(stems, config.room_seconds, config.room_db)
        return mix_down(
            rng,
            stems[:, :, pre:],
            equaliser=config.equaliser,
            tape=config.tape,
            bus=config.bus,
            dull=config.lowpass,
            mono=config.mono,
            one_sided=config.one_sided,
            level_db=config.level_db,
        )

    def _add_room(self, stems: Wave, longest: float, loudest_db: float) -> None:
        real = self.impulses is not None and self.rng.random() < self.config.real
        response = self.impulses.draw(self.rng) if self.impulses is not None and real else None
        add_room(self.rng, stems, longest=longest, loudest_db=loudest_db, response=response)

    def _add_plate(self, stems: Wave) -> None:
        """A room of their own for one or two drums, mostly the snare and the toms."""
        chosen = self.rng.choice(
            len(STEMS), self.rng.integers(1, 3), replace=False, p=(0.1, 0.4, 0.3, 0.06, 0.04, 0.1)
        )
        for index in chosen:
            self._add_room(stems[index : index + 1], 2.0, 0.0)

    # Which strokes.

    def _excerpt(self, seconds: float) -> list[Note]:
        programmed = self.patterns is not None and self.rng.random() < self.config.patterns
        library = self.patterns if self.patterns is not None and programmed else self.grooves
        notes, total = library.draw(self.rng)
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
        if rng.random() < config.swap_crash:
            # Crash-riding: the loud chorus.
            notes = [
                replace(n, stem="crash", articulation="crash", number=49)
                if n.stem in ("hihat", "ride") and n.articulation not in ("pedal", "bell")
                else n
                for n in notes
            ]
        for stem in ("toms", "ride", "crash"):
            # Crashes are rare in every performance, but as hard to learn as other stems.
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
        if config.roll and rng.random() < config.roll:
            notes = add_roll(rng, notes, seconds)
        if config.double_kicks and rng.random() < config.double_kicks:
            notes = add_double_kicks(rng, notes, seconds)
        if config.ride_crash and rng.random() < config.ride_crash:
            notes = crash_the_ride(notes)
        self._washy = bool(config.washy) and rng.random() < config.washy
        if self._washy:
            notes = open_the_hihat(notes)
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
        drawn = self.rng.random() < self.config.synthetic
        pool = synthetic if synthetic and drawn else recorded or synthetic
        if stem is None or pool is synthetic:
            return str(pool[self.rng.integers(len(pool))])
        weights = np.array([self._weight(name, stem) for name in pool])
        return str(pool[self.rng.choice(len(pool), p=weights / weights.sum())])

    def _weight(self, kit: str, stem: str) -> float:
        if (kit, stem) not in self._weights:
            self._weights[kit, stem] = self.kits.weight(kit, stem)
        return self._weights[kit, stem]

    def _play(
        self, out: Wave, stem: str, notes: list[Note], house: str, stage: dict[str, Place]
    ) -> None:
        rng, config = self.rng, self.config
        same = rng.random() < config.whole_kit and stem in self.kits.kits[house]
        kit = house if same else self._kit_for(stem)
        layered = rng.random() < config.layer
        second = self._kit_for(stem) if layered else kit
        half = rng.random() < 0.3
        gain = 10 ** (rng.normal(0, config.gain_db) / 20)
        place = stage[stem]
        # All articulations belong to the same drum or cymbal, so they share its timbre;
        # toms and crashes are several.
        shared = self._timbre(stem)
        chosen: dict[int, list[_Voice]] = {}
        # Half-open cymbals go on touching, but never stop each other.
        choke = stem == "hihat" and not self._washy
        for index, note in enumerate(notes):
            if note.number not in chosen:
                alike = stem in ("kick", "snare", "hihat", "ride") or rng.random() < 0.3
                timbre = shared if alike else self._timbre(stem)
                pan = float(np.clip(place.pan + rng.normal(0, place.spread), -0.95, 0.95))
                first = self._instrument(self.kits.kits[kit][stem], note, half)
                chosen[note.number] = [_Voice(first, timbre, pan, 1.0)]
                if layered:
                    # Two cymbals at once make a third one that was never recorded.
                    other = self._instrument(self.kits.kits[second][stem], note, half)
                    level = 10 ** (rng.uniform(-14, 2) / 20)
                    chosen[note.number].append(_Voice(other, self._timbre(stem), pan, level))
            begin = int(note.onset * SAMPLE_RATE)
            for voice in chosen[note.number]:
                wave, level = voice.hit(note.velocity, rng, place.width)
                length = min(wave.shape[1], out.shape[1] - begin)
                if choke and index + 1 < len(notes):
                    # The two cymbals touch: the next stroke ends what still rings.
                    until = int((notes[index + 1].onset - note.onset) * SAMPLE_RATE)
                    wave, length = self._cut(wave, until, length)
                if length > 0:
                    out[:, begin : begin + length] += wave[:, :length] * np.float32(gain * level)

    def _timbre(self, stem: str) -> Timbre:
        if self.rng.random() >= self.config.timbre:
            return Timbre()
        return draw_timbre(self.rng, stem, self.config.pitch_semitones)

    def _instrument(
        self, sounds: dict[str, list[Instrument]], note: Note, half: bool
    ) -> Instrument:
        name = note.articulation
        if name == "open" and half and "half" in sounds:
            name = "half"
        while name not in sounds and name in _FALLBACK:
            name = _FALLBACK[name]
        options = sounds.get(name) or sounds[next(iter(sounds))]
        return options[self.rng.integers(len(options))]

    @staticmethod
    def _cut(wave: Wave, until: int, length: int) -> tuple[Wave, int]:
        fade = 1323  # 30 ms
        end = until + fade
        if end >= length:
            return wave, length
        wave = wave[:, :end].copy()
        wave[:, until:] *= np.linspace(1, 0, fade, dtype=np.float32)
        return wave, end


class _Voice:
    """An instrument with its timbre and place; rendered strokes are cached."""

    def __init__(self, instrument: Instrument, timbre: Timbre, pan: float, level: float) -> None:
        self.instrument = instrument
        self.timbre = timbre
        self.level = level
        angle = (pan + 1) * np.pi / 4
        self.left, self.right = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        self.rendered: dict[tuple[int, int], Wave] = {}

    def hit(self, velocity: float, rng: np.random.Generator, width: float) -> tuple[Wave, float]:
        """One stroke ``(2, samples)``, not to be changed, and its gain."""
        layer, take, gain = self.instrument.choose(velocity, rng)
        wave = self.rendered.get((layer, take))
        if wave is None:
            raw = self.instrument.layers[layer][take].astype(np.float32) / np.float32(32768)
            wave = self._place(self.timbre.apply(raw), width)
            self.rendered[layer, take] = wave
        return wave, gain * self.level

    def _place(self, wave: Wave, width: float) -> Wave:
        if wave.shape[0] == 1:
            return np.stack([wave[0] * self.left, wave[0] * self.right])
        mid, side = (wave[0] + wave[1]) * 0.5, (wave[0] - wave[1]) * np.float32(0.5 * width)
        return np.stack([(mid + side) * self.left, (mid - side) * self.right])
