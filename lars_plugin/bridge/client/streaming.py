# SPDX-License-Identifier: GPL-3.0-or-later
"""A file through the bridge, block by block, as a DAW's track would go."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lars_plugin.audio import AtomicFiles, AudioReader, AudioWriter, read_metadata
from lars_plugin.bridge.client.link import Address
from lars_plugin.bridge.client.streams import Client, StreamStats
from lars_plugin.errors import BridgeError, InputError
from lars_plugin.stems import Stems

__all__ = ["StreamResult", "stream_file"]


@dataclass(frozen=True)
class StreamResult:
    """What became of a streamed file.

    Attributes:
        files: the stems' files.
        seconds: length of the audio.
        latency: samples that the stream was late by; already taken out of the files.
        stats: the stream's figures at its end.
    """

    files: tuple[Path, ...]
    seconds: float
    latency: int
    stats: StreamStats


def stream_file(
    source: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    address: Address | None = None,
    token: str | None = None,
    model: str | None = None,
    mode: Literal["live", "offline"] = "offline",
    paced: bool = False,
    block: int = 512,
    step: int | None = None,
    lookahead: int | None = None,
    fallback: Literal["dry", "silence"] = "dry",
    board: str | os.PathLike[str] | None = None,
    bits: str = "24",
    overwrite: bool = False,
) -> StreamResult:
    """Stream a file through an engine into ``<folder>/<stem>.wav``, aligned with the file.

    Args:
        source: audio file, mono or stereo.
        folder: for the stems; made if need be.
        address, token: of the engine; None for the one that is running.
        model: None for the engine's first.
        mode: ``live`` replaces what is late, ``offline`` waits for it.
        paced: a block no sooner than a sound card would deliver it.
        block: samples per block.
        step, lookahead, fallback, board: see ``Client.open``.
        bits: ``16``, ``24`` or ``32f``.
        overwrite: replace files that exist.

    Raises:
        LarsError: the file, the engine or the model could not be used.
    """
    folder = Path(folder)
    with Client(address, token=token, name="lars stream") as client, AudioReader(source) as reader:
        models = client.engine.models
        if not models:
            raise BridgeError("the engine offers no models")
        opened = client.open(
            model or models[0],
            reader.rate,
            reader.channels,
            mode=mode,
            max_block=block,
            step=step,
            lookahead=lookahead,
            fallback=fallback,
            board=board,
        )
        files = tuple(folder / f"{name}.wav" for name in opened.stems)
        taken = [str(path) for path in files if os.path.lexists(path)]
        if taken and not overwrite:
            raise InputError(f"{taken[0]} exists; choose another folder, or overwrite")
        folder.mkdir(parents=True, exist_ok=True)
        skip, written, start = opened.latency, 0, time.monotonic()
        with AtomicFiles() as unfinished:
            writers = [
                AudioWriter(
                    path,
                    reader.rate,
                    reader.channels,
                    bits=bits,
                    files=unfinished,
                    metadata=read_metadata(source),
                )
                for path in files
            ]

            def write(stems: Stems) -> None:
                nonlocal skip
                drop = min(skip, stems.samples)
                skip -= drop
                for writer, wave in zip(writers, stems.values(), strict=True):
                    writer.write(wave[:, drop:])

            for wave in reader.blocks(block):
                if paced:
                    written += wave.shape[1]
                    pause = start + written / reader.rate - time.monotonic()
                    time.sleep(max(0.0, pause))
                patience = None if paced else 60.0
                write(client.process(wave, patience=patience))
            write(client.flush())
            stats = client.stats()
            for writer in writers:
                writer.finish()
        return StreamResult(files, reader.position / reader.rate, opened.latency, stats)
