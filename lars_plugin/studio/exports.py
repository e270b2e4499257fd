# SPDX-License-Identifier: GPL-3.0-or-later
"""Stems as files of any format, all of them as a zip, and remixes."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from lars_plugin.audio import AtomicFiles, AudioWriter, Metadata, read_metadata
from lars_plugin.audio.writer import check_format
from lars_plugin.errors import AudioFileError, InputError
from lars_plugin.separation.files import fitting_gain
from lars_plugin.studio.folders import Folders
from lars_plugin.studio.ledger import MIXTURE, Job
from lars_plugin.studio.requests import parse_object
from lars_plugin.studio.settings import finite

__all__ = ["write_remix", "write_stem", "write_zip"]

_BLOCK = 1 << 16

Wave = NDArray[np.float32]


def _blocks(path: Path) -> Iterator[Wave]:
    with soundfile.SoundFile(path) as file:
        while len(block := file.read(_BLOCK, dtype="float32", always_2d=True)):
            yield np.ascontiguousarray(block.T)


def _metadata(job: Job) -> Metadata | None:
    """What the recording carries, as ``lars separate`` copies it; none if it is gone."""
    try:
        return read_metadata(job.source)
    except (AudioFileError, OSError):
        return None


def _gain(job: Job, bits: str, rescale: bool) -> float:
    """What ``--rescale`` would lower all stems by: found from their peaks."""
    if not rescale or bits == "32f":
        return 1.0
    if any(name not in job.peaks for name in job.stems):
        raise InputError(f"the peaks of {job.name} are not found yet; wait a moment")
    return fitting_gain(max(job.peaks[name] for name in job.stems), int(bits))


def write_stem(
    job: Job, folders: Folders, lane: str, path: Path, bits: str, *, rescale: bool = False
) -> None:
    """Write a lane in another format: the same bytes that ``lars separate`` would write.

    Args:
        job: that is done.
        folders: of the studio.
        lane: a stem or the mixture.
        path: of the new file, ending in ``.wav`` or ``.flac``.
        bits: ``16``, ``24`` or ``32f``.
        rescale: lower all stems alike where one would clip.
    """
    check_format(path.suffix[1:], bits)
    source = folders.lane(job, lane)
    gain = 1.0 if lane == MIXTURE else _gain(job, bits, rescale)
    carried = _metadata(job)
    with AudioWriter(path, job.rate, job.channels, bits=bits, metadata=carried) as writer:
        for block in _blocks(source):
            writer.write(block if gain == 1.0 else block * np.float32(gain))


def write_zip(
    job: Job, folders: Folders, path: Path, extension: str, bits: str, *, rescale: bool = False
) -> None:
    """Write all stems into one archive, below a folder of the job's name."""
    check_format(extension, bits)
    with AtomicFiles() as files:
        handle = files.create(path)
        with zipfile.ZipFile(handle, "w", zipfile.ZIP_STORED) as archive:
            for name in job.stems:
                part = path.with_name(f"{path.stem}-{name}.{extension}")
                try:
                    write_stem(job, folders, name, part, bits, rescale=rescale)
                    archive.write(part, f"{job.folder}/{name}.{extension}")
                finally:
                    part.unlink(missing_ok=True)


def read_mix(text: str, job: Job) -> dict[str, tuple[float, float]]:
    """Gain (a factor) and pan (-1 to 1) of each stem that is to be heard.

    Args:
        text: JSON: ``{"kick": {"gain": dB, "pan": -1 … 1}, …}``.
        job: whose stems they are.

    Raises:
        InputError: not that, or an unknown stem.
    """
    data = parse_object(text, "the mix")
    if not all(isinstance(values, Mapping) for values in data.values()):
        raise InputError("the mix must be an object of stems")
    mix = {}
    for name, values in data.items():
        if name not in job.stems:
            raise InputError(f"{job.name} has no stem {str(name)[:40]!r}")
        decibels = finite(values.get("gain", 0.0), -120, 24, f"the gain of {name}")
        pan = finite(values.get("pan", 0.0), -1, 1, f"the pan of {name}")
        mix[name] = 10 ** (decibels / 20), pan
    return mix


def panned(wave: Wave, pan: float) -> NDArray[np.float64]:
    """A stereo wave moved as Web Audio's StereoPannerNode does, in 64 bits."""
    left, right = wave.astype(np.float64)
    if pan <= 0:
        near, far = math.cos((pan + 1) * math.pi / 2), math.sin((pan + 1) * math.pi / 2)
        return np.stack([left + right * near, right * far])
    near, far = math.cos(pan * math.pi / 2), math.sin(pan * math.pi / 2)
    return np.stack([left * near, right + left * far])


def write_remix(
    job: Job, folders: Folders, mix: Mapping[str, tuple[float, float]], path: Path, bits: str
) -> None:
    """Write the sum of stems, summed in 64 bits. Mono stays mono while nothing is panned."""
    check_format(path.suffix[1:], bits)
    sources = {name: folders.lane(job, name) for name in mix}
    moved = any(pan for _, pan in mix.values())
    channels = 2 if moved else job.channels
    with AudioWriter(path, job.rate, channels, bits=bits, metadata=_metadata(job)) as writer:
        if not sources:
            for start in range(0, job.frames, _BLOCK):
                writer.write(np.zeros((channels, min(_BLOCK, job.frames - start)), np.float32))
            return
        for blocks in zip(*map(_blocks, sources.values()), strict=True):
            total = np.zeros((channels, blocks[0].shape[1]))
            for (gain, pan), block in zip(mix.values(), blocks, strict=True):
                wave = np.repeat(block, channels // len(block), axis=0)
                total += gain * (panned(wave, pan) if pan else wave.astype(np.float64))
            writer.write(total.astype(np.float32))
