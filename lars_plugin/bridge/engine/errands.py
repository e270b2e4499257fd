# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine does for a client beside separating: fetch weights, convert audio files."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from lars_plugin.audio import AudioReader, AudioWriter
from lars_plugin.bridge.engine.background import BackgroundJob
from lars_plugin.bridge.engine.jobs import FileJob, check_path, check_source
from lars_plugin.bridge.engine.model_thread import ModelThread
from lars_plugin.bridge.engine.transcribing import TranscribeJob
from lars_plugin.bridge.protocol import limits, messages
from lars_plugin.bridge.protocol.messages import Message
from lars_plugin.errors import InputError
from lars_plugin.model import Wave

__all__ = ["ConvertJob", "FetchJob", "FetchWeights", "background_job"]

# Downloads a model's weights, if they are not here; (bytes done, bytes in all) -> go on?
FetchWeights = Callable[[str, Callable[[int, int], "bool | None"]], Path]

_LEAST_RATE, _MOST_RATE = 1000.0, 768000.0


def background_job(
    requested: messages.Job | messages.Fetch | messages.Convert | messages.Transcribe,
    model_thread: ModelThread | None,
    fetch: FetchWeights,
    *,
    send: Callable[[Message], None],
    finished: Callable[[BackgroundJob], None],
    roots: Sequence[Path] | None,
) -> BackgroundJob:
    """Begin what a client has asked for.

    Args:
        requested: the request.
        model_thread: of a JOB's model; None for the others.
        fetch: for FETCH.
        send, finished, roots: see ``FileJob``.
    """
    if isinstance(requested, messages.Fetch):
        return FetchJob(requested, fetch, send, finished)
    if isinstance(requested, messages.Convert):
        return ConvertJob(requested, send, finished, roots)
    if isinstance(requested, messages.Transcribe):
        return TranscribeJob(requested, send, finished, roots)
    assert model_thread is not None
    return FileJob(requested, model_thread, send, finished, roots)


class FetchJob(BackgroundJob):
    """The weights of one model.

    Args:
        requested: the FETCH.
        fetch: downloads them.
        send, finished: see ``BackgroundJob``.
    """

    def __init__(
        self,
        requested: messages.Fetch,
        fetch: FetchWeights,
        send: Callable[[Message], None],
        finished: Callable[[BackgroundJob], None],
    ) -> None:
        self._fetch = fetch
        self._name = requested.model
        super().__init__(requested, send, finished)

    @property
    def model(self) -> str:
        """Its name."""
        return self._name

    def _work(self) -> Message:
        path = self._fetch(self._name, self._progress)
        return messages.Fetched(request=self.requested.request, file=str(path))


class ConvertJob(BackgroundJob):
    """One audio file as WAV, for programs that read nothing else.

    Args:
        requested: the CONVERT.
        send, finished: see ``BackgroundJob``.
        roots: folders that paths must lie in; None for anywhere.
    """

    def __init__(
        self,
        requested: messages.Convert,
        send: Callable[[Message], None],
        finished: Callable[[BackgroundJob], None],
        roots: Sequence[Path] | None,
    ) -> None:
        self._job = requested
        self._roots = roots
        super().__init__(requested, send, finished)

    def _work(self) -> Message:
        requested = self._job
        source = check_source(requested.source, self._roots)
        target = check_path(requested.target, self._roots)
        if target.suffix.lower() != ".wav":
            raise InputError(f"CONVERT writes WAV files; {target.name} does not end in .wav")
        with AudioReader(source) as reader:
            if reader.channels > limits.MAX_CHANNELS:
                raise InputError(
                    f"{source.name} has {reader.channels} channels; CONVERT takes at most"
                    f" {limits.MAX_CHANNELS}"
                )
            rate = _target_rate(requested.sample_rate, reader.rate)
            with AudioWriter(target, rate, reader.channels, bits=requested.bits or "32f") as writer:
                frames = self._copy(reader, writer, rate)
            return messages.Converted(
                request=requested.request,
                sample_rate=rate,
                channels=reader.channels,
                frames=frames,
            )

    def _copy(self, reader: AudioReader, writer: AudioWriter, rate: int) -> int:
        """Everything, at another rate where it is another; the frames written."""
        stream = None
        if rate != reader.rate:
            import soxr

            stream = soxr.ResampleStream(
                reader.rate, rate, reader.channels, dtype="float32", quality="VHQ"
            )
        read = written = 0
        for block in reader.blocks():
            read += block.shape[1]
            if stream is not None:
                block = np.ascontiguousarray(stream.resample_chunk(_frames(block)).T)
            writer.write(block)
            written += block.shape[1]
            self._progress(read, max(read, reader.frames))
            self._check()
        if stream is not None:
            # A sample more or less than the length asked for: cut, or followed by silence.
            rest = stream.resample_chunk(np.empty((0, reader.channels), np.float32), last=True).T
            missing = math.ceil(read * rate / reader.rate) - written
            block = np.zeros((reader.channels, max(0, missing)), np.float32)
            part = rest[:, :missing] if missing > 0 else rest[:, :0]
            block[:, : part.shape[1]] = part
            writer.write(block)
            written += block.shape[1]
        return written


def _frames(block: Wave) -> Wave:
    return np.ascontiguousarray(block.T)


def _target_rate(requested: float, own: int) -> int:
    if not requested:
        return own
    if not _LEAST_RATE <= requested <= _MOST_RATE or requested != int(requested):
        raise InputError(
            f"sample_rate is {requested:g}; give a whole number of Hz from {_LEAST_RATE:g} to"
            f" {_MOST_RATE:g}, or 0 for the file's own"
        )
    return int(requested)
