# SPDX-License-Identifier: GPL-3.0-or-later
"""Audio files, block by block.

Units and axes, here and in the whole package: a wave is ``(channels, samples)`` float32 with
full scale at +-1; a "frame" is one sample of every channel; rates are in Hz; positions in
messages are in seconds from the start of the file.

What happens to levels: nothing. Float files are written as they are. For 16 and 24 bits a
sample is multiplied by ``2 ** (bits - 1)``, rounded to nearest and, beyond full scale, clipped
and counted (:attr:`AudioWriter.clipped`). No dither is added: stems add up to their mixture, six
dithers would not. Integer files of the same width so come back bit for bit.

What happens to files that are not what they say:

===============================  ===========================================================
empty, no audio format, 0 frames :class:`~lars_plugin.errors.AudioFileError`
ends before its header says      what is there is used, and a warning says how much it is
WAV whose header has no length   read to the end of the file (recorded into a pipe, or a crash)
WAV longer than its header says  read to the end, with a warning; only what the header covers,
                                 with a warning, where the header fits the file that it began
other, longer than its header    what the header covers is used, and a warning says so
chained Ogg                      all recordings, one behind the other
damaged in the middle (FLAC)     :class:`~lars_plugin.errors.AudioFileError` with the position
damaged in the middle (lossy)    what can be decoded is used, with a warning
AAC, ALAC, WMA, video            by PyAV or ffmpeg; where neither is installed,
                                 :class:`~lars_plugin.errors.AudioFileError` with a command that
                                 converts it
NaN or Inf                       :class:`~lars_plugin.errors.AudioFileError` with the position
other than 1 or 2 channels       :class:`~lars_plugin.errors.InputError` by :func:`check_channels`;
                                 :func:`choose_channels` makes one or two of them
===============================  ===========================================================

Files are written under a temporary name in the same folder and renamed when complete
(:class:`AtomicFiles`).
"""

from __future__ import annotations

from lars_plugin.audio.channels import choose_channels
from lars_plugin.audio.metadata import Metadata, read_metadata
from lars_plugin.audio.opening import STDIN, input_path
from lars_plugin.audio.reader import (
    EXTENSIONS,
    AudioReader,
    check_channels,
    read_audio,
)
from lars_plugin.audio.writer import BITS, FORMATS, AudioWriter, write_audio
from lars_plugin.files import AtomicFiles, discard_unfinished, printable

__all__ = [
    "BITS",
    "EXTENSIONS",
    "FORMATS",
    "STDIN",
    "AtomicFiles",
    "AudioReader",
    "AudioWriter",
    "Metadata",
    "check_channels",
    "choose_channels",
    "discard_unfinished",
    "input_path",
    "printable",
    "read_audio",
    "read_metadata",
    "write_audio",
]
