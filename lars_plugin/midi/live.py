# SPDX-License-Identifier: GPL-3.0-or-later
"""Hits while the stems still come, and their notes to a MIDI port.

A hit is given a fixed time after its attack, :attr:`LiveTranscriber.latency_samples`: what comes
out is late but steady. It needs the same look ahead as the picker: 30 ms of rise and ring, half
a window, and 15 ms by which a slow attack may begin before it is noticed. Whoever feeds it adds
the latency of the separator and of the blocks.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from typing import Any

import mido
import numpy as np
from numpy.typing import NDArray

from lars_plugin.errors import InputError
from lars_plugin.midi.analysis import Analysis, score, suits
from lars_plugin.midi.bands import BANDS, BandStream
from lars_plugin.midi.file import CHANNEL, note_end
from lars_plugin.midi.hits import DEFAULT_ARTICULATION, DRUMS, DrumHit
from lars_plugin.midi.notemaps import NoteMap, read_note_map
from lars_plugin.midi.onsets import AHEAD, find_candidates, levels_db, locate_attack, novelty
from lars_plugin.midi.settings import Settings
from lars_plugin.midi.transcribe import hit_level
from lars_plugin.midi.velocity import DEFAULT_RANGE_DB, VelocityScale, check_scale, velocity_of

__all__ = ["LivePort", "LiveTranscriber", "live_hits", "open_port"]

# Frames kept: as far back as features look, and a margin.
_KEPT = 80
# Seconds by which an attack may lie before the frame that it was found in.
_EARLY = 0.015
# What 0 dB is before anything was heard, and how much it falls per second afterwards.
_FIRST_REFERENCE = 1e-3
_FALL_DB = 0.1
_SAME = 0.02

Wave = NDArray[np.float32]


class LiveTranscriber:
    """Takes stems block by block and returns hits, each once.

    Times count from the first sample. How blocks are cut changes nothing. Articulations that
    take time to be heard are not waited for: hats are closed, toms mid.

    Args:
        stems: names along the first axis of the blocks; those that are no drums are left out.
        sample_rate: Hz.
        channels: of each stem.
        settings: of the model.
        reference: level in dB against full scale that gets velocity 127.
        velocity, velocity_range: see :mod:`lars_plugin.midi.velocity`.

    Raises:
        InputError: no stem is a drum, or options that do not exist.
    """

    def __init__(
        self,
        stems: tuple[str, ...],
        sample_rate: float,
        channels: int = 2,
        settings: Settings | None = None,
        *,
        reference: float = -12.0,
        velocity: VelocityScale = "log",
        velocity_range: float = DEFAULT_RANGE_DB,
    ) -> None:
        check_scale(velocity, velocity_range)
        drums = [name for name in stems if name in DRUMS]
        if not drums:
            raise InputError(f"none of the stems {', '.join(stems)} is one of {', '.join(DRUMS)}")
        if settings is not None and set(settings.stems) == set(drums):
            drums = list(settings.stems)
        self.stems = tuple(drums)
        self._pick = [stems.index(name) for name in drums]
        self._shape = (len(stems), channels)
        self._settings = settings if suits(settings, self.stems) else None
        self._rate = sample_rate
        self._velocity = (velocity, velocity_range, reference)
        self._bands = BandStream(len(drums) + 1, channels, sample_rate)
        self.reset()

    @property
    def sample_rate(self) -> float:
        """Hz."""
        return self._rate

    @property
    def latency_samples(self) -> int:
        """A hit is returned with the block that holds the sample this far after its attack."""
        early = round(_EARLY * self._rate)
        return (AHEAD + 1) * self._bands.hop + self._bands.latency_samples + early

    def reset(self) -> None:
        """Forget everything, as if new."""
        self._bands.reset()
        count = len(self.stems)
        self._energies = np.zeros((count + 1, 0, BANDS), np.float32)
        self._loud = _FIRST_REFERENCE
        self._first = 0  # number of the first frame that is kept
        self._count = 0  # frames so far
        self._wave = np.zeros((count, self._shape[1], 0), np.float32)
        self._begin = 0  # position of the first sample that is kept
        self._pushed = 0
        self._last = [-(10**9)] * count  # attack of each stem's last hit
        self._waiting: list[tuple[int, DrumHit]] = []

    def push(self, block: Wave) -> list[DrumHit]:
        """Take a block ``(stems, channels, n)`` and return the hits that are due.

        Raises:
            InputError: a block of another shape.
        """
        if block.ndim != 3 or block.shape[:2] != self._shape:
            raise InputError(f"blocks must be {(*self._shape, 'n')}, got {block.shape}")
        # Frame by frame, so that nothing depends on how the blocks are cut.
        start, hop = 0, self._bands.hop
        while start < block.shape[2]:
            take = min(hop - self._pushed % hop, block.shape[2] - start)
            self._step(np.asarray(block[self._pick, :, start : start + take], np.float32))
            start += take
        return self._due(self._pushed)

    def flush(self) -> list[DrumHit]:
        """The hits that are not out yet; the stream ends here."""
        rest = np.zeros((len(self._pick), self._shape[1], self._bands.hop), np.float32)
        end = self._pushed
        while self._pushed < end + self.latency_samples + self._bands.hop:
            self._step(rest)
        return [hit for hit in self._due(self._pushed + 10**9) if hit.time * self._rate < end]

    def _due(self, now: int) -> list[DrumHit]:
        found = []
        while self._waiting and self._waiting[0][0] + self.latency_samples <= now:
            found.append(heapq.heappop(self._waiting)[1])
        return found

    def _step(self, part: Wave) -> None:
        self._pushed += part.shape[2]
        self._wave = np.concatenate([self._wave, part], axis=2)
        made = self._bands.push(np.concatenate([part, part.sum(axis=0, keepdims=True)]))
        for index in range(made.shape[1]):
            self._add(made[:, index : index + 1])
        keep = self._first * self._bands.hop - round(0.06 * self._rate)
        if keep > self._begin:
            self._wave = self._wave[:, :, keep - self._begin :]
            self._begin = keep

    def _add(self, energies: Wave) -> None:
        # What 0 dB is follows the loudest at once and is forgotten slowly.
        fall = 10 ** (-_FALL_DB * self._bands.hop / self._rate / 10)
        self._loud = max(self._loud * fall, float(energies[-1].sum()))
        self._energies = np.concatenate([self._energies, energies], axis=1)[:, -_KEPT:]
        self._count += 1
        self._first = self._count - self._energies.shape[1]
        number = self._count - 1 - AHEAD
        if number < 0:
            return
        levels = levels_db(self._energies, self._loud)
        curves = np.stack([novelty(one) for one in levels[:-1]])
        made = Analysis(self.stems, levels, curves, self._bands.hop, self._rate)
        for stem in range(len(self.stems)):
            self._look(made, stem, number)

    def _look(self, made: Analysis, stem: int, number: int) -> None:
        here = find_candidates(made.curves[stem])
        here = here[here == number - self._first]
        found = score(made, stem, self._settings, here)
        if not len(here) or found.confidences[0] < found.threshold:
            return
        at = number * made.hop
        attack = locate_attack(self._wave[stem], self._rate, at - self._begin) + self._begin
        attack = max(attack + round(found.offset * self._rate), at - round(_EARLY * self._rate), 0)
        if attack - self._last[stem] < _SAME * self._rate:
            return
        self._last[stem] = attack
        scale, range_db, reference = self._velocity
        level = hit_level(self._wave[stem], self._rate, max(0, attack - self._begin))
        name = self.stems[stem]
        hit = DrumHit(
            attack / self._rate,
            name,
            DEFAULT_ARTICULATION[name],
            velocity_of(level, reference, scale=scale, range_db=range_db),
            level,
            float(found.confidences[0]),
        )
        heapq.heappush(self._waiting, (attack, hit))


def open_port(name: str, *, virtual: bool | None = None) -> Any:
    """A MIDI output of mido: the port of that name, or else a virtual one for others to find.

    Args:
        name: of a port (its beginning is enough), or of the virtual one.
        virtual: True or False to insist.

    Raises:
        InputError: there is no such port, or this machine cannot make virtual ones.
    """
    try:
        names = mido.get_output_names()
    except Exception as error:  # the backend's own import and system errors have no common base
        raise InputError(
            "MIDI ports need python-rtmidi and a sound system:"
            f" pip install 'lars-plugin[midi]' ({error})"
        ) from error
    if virtual is not True:
        match = next((one for one in names if one == name), None)
        match = match or next((one for one in names if one.startswith(name)), None)
        if match is not None:
            return mido.open_output(match)
        if virtual is False:
            there = ", ".join(names) or "none"
            raise InputError(f"no MIDI output {name!r}; there are: {there}")
    try:
        return mido.open_output(name, virtual=True)
    except Exception as error:
        raise InputError(
            f"cannot make the virtual MIDI port {name!r}: {error}; on Windows make one with a"
            " loopback driver and give its name"
        ) from error


class LivePort:
    """Sends notes of hits to a port and ends them in time.

    Args:
        port: what :func:`open_port` returned, or any mido output.
        note_map: which notes.
    """

    def __init__(self, port: Any, note_map: str | NoteMap = "gm") -> None:
        self._port = port
        self._notes = read_note_map(note_map)
        self._sounding: dict[int, tuple[float, DrumHit]] = {}

    def send(self, hits: Iterable[DrumHit], now: float) -> None:
        """Begin the notes of these hits, after ending those whose time has come.

        Args:
            hits: new ones.
            now: seconds of the stream, on the hits' clock.
        """
        for hit in hits:
            self._end(hit.time)
            if hit.stem == "hihat":
                for note, (end, ringing) in list(self._sounding.items()):
                    if ringing.stem == "hihat":
                        self._sounding[note] = (min(end, hit.time), ringing)
                self._end(hit.time)
            note = self._notes.note(hit)
            if note in self._sounding:
                self._off(note)
            self._port.send(
                mido.Message("note_on", channel=CHANNEL, note=note, velocity=hit.velocity)
            )
            self._sounding[note] = (note_end(hit, []), hit)
        self._end(now)

    def close(self) -> None:
        """End all notes; the port stays open."""
        for note in list(self._sounding):
            self._off(note)

    def _end(self, now: float) -> None:
        for note, (end, _) in list(self._sounding.items()):
            if end <= now:
                self._off(note)

    def _off(self, note: int) -> None:
        del self._sounding[note]
        self._port.send(mido.Message("note_off", channel=CHANNEL, note=note, velocity=64))


def live_hits(
    transcriber: LiveTranscriber, blocks: Iterable[Wave]
) -> Iterator[tuple[list[DrumHit], float]]:
    """Hits of finished blocks of stems, with the stream's time in seconds after each."""
    seconds = 0.0
    for block in blocks:
        seconds += block.shape[2] / transcriber.sample_rate
        yield transcriber.push(block), seconds
    yield transcriber.flush(), seconds
