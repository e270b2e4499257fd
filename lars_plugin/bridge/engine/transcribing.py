# SPDX-License-Identifier: GPL-3.0-or-later
"""MIDI files of stems for a client: what ``lars midi`` writes of the recording they came from."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path

from lars_plugin.audio import AtomicFiles, read_audio
from lars_plugin.bridge.engine.background import BackgroundJob
from lars_plugin.bridge.engine.jobs import check_path, check_source, folder_made
from lars_plugin.bridge.protocol import messages
from lars_plugin.bridge.protocol.messages import Message
from lars_plugin.errors import InputError
from lars_plugin.midi import DRUMS, DrumHit, to_midi, transcribe
from lars_plugin.midi.transcriber import DEFAULT, load_transcriber
from lars_plugin.model import Wave
from lars_plugin.stems import Stems

__all__ = ["ALL_DRUMS", "TranscribeJob"]

ALL_DRUMS = "drums.mid"  # the file with the hits of every stem


class TranscribeJob(BackgroundJob):
    """The hits in the stems of a JOB, as MIDI files.

    Args:
        requested: the TRANSCRIBE.
        send, finished: see ``BackgroundJob``.
        roots: folders that paths must lie in; None for anywhere.
    """

    def __init__(
        self,
        requested: messages.Transcribe,
        send: Callable[[Message], None],
        finished: Callable[[BackgroundJob], None],
        roots: Sequence[Path] | None,
    ) -> None:
        self._job = requested
        self._roots = roots
        super().__init__(requested, send, finished)

    def _work(self) -> Message:
        requested = self._job
        tempo = requested.tempo or 120.0
        to_midi([], tempo=tempo)  # a wrong tempo is an error before any work
        folder = check_path(requested.folder, self._roots)
        stems = self._stems()
        hits = transcribe(stems, transcriber=load_transcriber(DEFAULT))
        self._check()
        by_file = {ALL_DRUMS: hits}
        for name in stems:
            if of_stem := [hit for hit in hits if hit.stem == name]:
                by_file[f"{name}.mid"] = of_stem
        with folder_made(folder), AtomicFiles() as files:
            for file, those in by_file.items():
                files.create(folder / file).write(_bytes(those, tempo))
        self._progress(stems.samples, stems.samples)
        return messages.Transcribed(
            request=requested.request, hits=len(hits), folder=str(folder), files=tuple(by_file)
        )

    def _stems(self) -> Stems:
        """The files, in the order that was named: their sum is heard, to the bit."""
        names = self._job.stems
        if not any(name in DRUMS for name in names):
            raise InputError(f"none of the stems {', '.join(names) or '(none)'} is a drum")
        if any(Path(name).name != name for name in names):
            raise InputError("stems are named as the files in their folder, without .wav")
        waves: dict[str, Wave] = {}
        rates: set[int] = set()
        for name in names:
            source = check_source(str(Path(self._job.source) / f"{name}.wav"), self._roots)
            waves[name], rate = read_audio(source)
            rates.add(rate)
            self._check()
            self._progress(0, waves[name].shape[1])
        if len(rates) != 1:
            raise InputError(f"the stems differ in rate: {sorted(rates)} Hz")
        return Stems(waves, rates.pop())


def _bytes(hits: list[DrumHit], tempo: float) -> bytes:
    buffer = io.BytesIO()
    to_midi(hits, tempo=tempo).save(file=buffer)
    return buffer.getvalue()
