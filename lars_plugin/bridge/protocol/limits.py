# SPDX-License-Identifier: GPL-3.0-or-later
"""Every limit and constant of the protocol, by name. ``bridge/PROTOCOL.md`` lists the same."""

from __future__ import annotations

__all__ = [
    "ENGINE_CHOICE",
    "HEADER_BYTES",
    "MAGIC",
    "MAX_BATCH",
    "MAX_BLOCK",
    "MAX_BUFFERING",
    "MAX_CHAIN",
    "MAX_CHANNELS",
    "MAX_CONNECTIONS",
    "MAX_IN_BYTES",
    "MAX_JOBS",
    "MAX_JSON",
    "MAX_MODELS",
    "MAX_NAME",
    "MAX_NAMES",
    "MAX_OUT_BYTES",
    "MAX_OVERLAP",
    "MAX_PATH",
    "MAX_PING",
    "MAX_POSITION",
    "MAX_SAMPLES",
    "MAX_SESSIONS",
    "MAX_STEP",
    "MAX_STRANGERS",
    "MAX_STREAMS",
    "MAX_STREAM_BYTES",
    "MAX_STREAM_END",
    "MAX_TEXT",
    "MAX_TOTAL_BYTES",
    "MAX_UNREAD_BYTES",
    "TOKEN_BYTES",
    "VERSION_MAX",
    "VERSION_MIN",
]

# The wire. A receiver checks each of these before it allocates anything.
MAGIC = b"LARS"
HEADER_BYTES = 32
VERSION_MIN = 1
VERSION_MAX = 3  # versions add messages, each with its SINCE
MAX_BLOCK = 65536  # samples per channel in one audio frame
MAX_CHANNELS = 8
MAX_STREAMS = 16  # stems in one frame
MAX_SAMPLES = 1 << 20  # streams x channels x samples in one frame: 4 MiB of float32
MAX_POSITION = 1 << 62  # 3 million years at 44.1 kHz; leaves room for sums
MAX_NAME = 128  # bytes of UTF-8
MAX_TEXT = 1024
MAX_PATH = 4096
MAX_JSON = 1 << 16
MAX_CHAIN = 1 << 20  # bytes of JSON that tell of effects
MAX_NAMES = 64  # entries of a list of names
MAX_PING = 64
ENGINE_CHOICE = 0xFFFFFFFF  # in an integer field of OPEN: the engine decides

# What an OPEN or a JOB may ask for; the engine checks it before it allocates anything.
MAX_STREAM_END = 1 << 53  # a stream's audio ends here: 6,000 years at 44.1 kHz
MAX_STEP = 1 << 16  # samples at the model's rate from one live run of a network to the next
MAX_OVERLAP = 64  # chunks per sample, so the most that a network may hear each sample
MAX_BUFFERING = 1 << 20  # samples of the stream
MAX_BATCH = 8  # chunks per run of the network
MAX_STREAM_BYTES = 1 << 30  # buffers of one stream
MAX_TOTAL_BYTES = 4 << 30  # of all streams

# The engine.
TOKEN_BYTES = 32  # of randomness; 64 hexadecimal digits on the wire
MAX_SESSIONS = 64
MAX_CONNECTIONS = 128  # of peers that are known: by their uid, or by the token they gave
MAX_STRANGERS = 32  # over TCP, that have not shown the token yet
MAX_JOBS = 4
MAX_MODELS = 8  # loaded at the same time
MAX_IN_BYTES = 8 << 20  # audio of one session waiting for inference; then reading pauses
MAX_UNREAD_BYTES = 8 << 20  # replies waiting for a peer that does not read; likewise
MAX_OUT_BYTES = 32 << 20  # the same, when the connection is given up
