# SPDX-License-Identifier: GPL-3.0-or-later
"""MIDI outputs by name, and notes of hits on them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import mido

from lars_plugin.errors import InputError
from lars_plugin.midi.file import CHANNEL, note_end
from lars_plugin.midi.hits import DrumHit
from lars_plugin.midi.notemaps import NoteMap, read_note_map

__all__ = ["LivePort", "open_port"]

# If mido's default finds no sound system, JACK may run: Linux without ALSA's sequencer.
_JACK = "mido.backends.rtmidi/UNIX_JACK"


def open_port(name: str, *, virtual: bool | None = None) -> Any:
    """A MIDI output of mido: the port with that name, or else a new virtual one.

    mido's default backend is used (the variable ``MIDO_BACKEND`` names another), or JACK if the
    default finds no sound system.

    Args:
        name: of a port (its beginning is enough), or of the virtual one.
        virtual: True or False to require or forbid a virtual one; None for either.

    Raises:
        InputError: no such port, or virtual ports are not supported here.
    """
    backend, names = _backend()
    if virtual is not True:
        match = next((one for one in names if one == name), None)
        match = match or next((one for one in names if one.startswith(name)), None)
        if match is not None:
            return backend.open_output(match)
        if virtual is False:
            there = ", ".join(names) or "none"
            raise InputError(f"no MIDI output {name!r}; there are: {there}")
    try:
        return backend.open_output(name, virtual=True)
    except Exception as error:
        raise InputError(
            f"cannot make the virtual MIDI port {name!r}: {error}; on Windows make one with a"
            " loopback driver and give its name"
        ) from error


def _backend() -> tuple[Any, list[str]]:
    """The first working backend of mido, and the names of its outputs."""
    chosen = os.environ.get("MIDO_BACKEND")
    first = None
    for candidate in [chosen] if chosen else [None, _JACK]:
        backend = mido.Backend(candidate)
        try:
            return backend, backend.get_output_names()
        except Exception as error:  # the backends' import and system errors have no common base
            first = first or error
    raise InputError(
        "MIDI ports need python-rtmidi and a sound system (ALSA, JACK, Core MIDI or Windows'):"
        f" pip install 'lars-plugin[midi]' ({first})"
    ) from first


class LivePort:
    """Sends notes of hits to a port and ends them on time.

    Args:
        port: what :func:`open_port` returned, or any mido output.
        note_map: which notes.
    """

    def __init__(self, port: Any, note_map: str | NoteMap = "gm") -> None:
        self._port = port
        self._notes = read_note_map(note_map)
        self._sounding: dict[int, tuple[float, DrumHit]] = {}

    def send(self, hits: Iterable[DrumHit], now: float) -> None:
        """Start the notes of these hits, after ending notes that are over.

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
