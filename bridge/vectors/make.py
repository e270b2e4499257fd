# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the golden frames: ``python bridge/vectors/make.py``.

They are committed and never change for a protocol version: run this only to add messages. The
header of each has the version in which its message appeared.
"""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import numpy as np

from lars_plugin.bridge.protocol import messages as m
from lars_plugin.bridge.protocol.wire import encode

WAVE = np.array([[0.0, 0.5, -1.0], [1.0, -0.25, 2.0**-149]], np.float32)

FRAMES: dict[str, m.Message] = {
    "hello": m.Hello(request=1, client="golden client", token="0123456789abcdef" * 4),
    "hello_unix": m.Hello(request=1, min_version=1, max_version=7, client="Übung"),
    "welcome": m.Welcome(
        request=1, version=1, engine="lars 0.1.0", pid=4242, max_block=65536, max_sessions=64,
        models=("lars-live", "lars-mini"),
    ),
    "error": m.Error(request=7, position=96, epoch=3, code=9, message="the block holds NaN"),
    "error_fatal": m.Error(code=13, fatal=1, message="these bytes are not the LARS protocol"),
    "ping": m.Ping(request=2, payload=b"alive"),
    "pong": m.Pong(request=2, payload=b"alive"),
    "open_live": m.Open(
        request=3, epoch=1, sample_rate=48000.0, max_block=512, model="lars-live",
        stems=("kick", "snare", "toms", "hihat", "ride", "crash"),
    ),
    "open_offline": m.Open(
        request=4, epoch=2, position=441000, mode=m.Open.OFFLINE, fallback=m.Open.SILENCE,
        channels=1, max_block=65536, buffering=0, step=1024, lookahead=256, batch=4,
        sample_rate=44100.0, overlap=2.5, model="lars-mini", preset="best",
        board="/home/me/board.toml",
    ),
    "opened": m.Opened(
        request=3, epoch=1, session=11, model_rate=44100, latency=2815, model_latency=223,
        resampling_latency=2080, buffering_latency=512, board_latency=0, channels=2,
        stems=("kick", "snare"),
    ),
    "close": m.Close(request=5),
    "closed": m.Closed(request=5),
    "reset": m.Reset(request=6, position=0, epoch=2),
    "reset_done": m.ResetDone(request=6, position=0, epoch=2),
    "audio": m.Audio(position=1234567890123, epoch=2, **m.Audio.planar(WAVE)),
    "audio_empty": m.Audio(epoch=2, **m.Audio.planar(WAVE[:, :0])),
    "stems": m.Stems(position=64, epoch=2, **m.Stems.planar(np.stack([WAVE, -WAVE]))),
    "stems_replaced": m.Stems(
        position=128, epoch=2, flags=m.Stems.REPLACED, **m.Stems.planar(WAVE[None, :1])
    ),
    "flush": m.Flush(request=8, position=4096, epoch=2),
    "flushed": m.Flushed(request=8, position=4096, epoch=2),
    "parameter": m.Parameter(request=9, name="board/snare/0/threshold_db", value=-20.0),
    "parameter_set": m.ParameterSet(request=9, name="board/snare/0/threshold_db", value=-20.0),
    "stats": m.Stats(request=10),
    "statistics": m.Statistics(
        request=10, taken=480000, given=477000, replaced=512, dropped=1024, errors=2, queued=256,
        real_time_ratio=0.125,
    ),
    "job": m.Job(
        request=11, overwrite=1, overlap=4.0, model="lars-mini", preset="balanced", bits="24",
        source="/home/me/drums.wav", folder="/home/me/stems", stems=("kick",),
    ),
    "job_progress": m.JobProgress(request=11, done=65536, total=441000),
    "job_cancel": m.JobCancel(request=11),
    "job_done": m.JobDone(request=11, folder="/home/me/stems", files=("kick.wav",)),
    "hear": m.Hear(request=15, on=1),
    "hearing": m.Hearing(request=15, epoch=2, latency=2117),
    "hit": m.Hit(
        position=44100, epoch=2, velocity=96, confidence=0.75, stem="hihat", articulation="closed"
    ),
    "heard": m.Heard(position=46000, epoch=2),
    "fetch": m.Fetch(request=13, model="mdx23c-large"),
    "fetched": m.Fetched(request=13, file="/home/me/.cache/lars-plugin/mdx23c-large/model.ckpt"),
    "convert": m.Convert(
        request=14, sample_rate=48000.0, bits="32f", source="/home/me/drums.mp3",
        target="/tmp/lars/drums.wav",
    ),
    "converted": m.Converted(request=14, sample_rate=48000, channels=2, frames=9876543210),
    "transcribe": m.Transcribe(
        request=16, tempo=97.5, source="/home/me/stems", folder="/tmp/lars/midi",
        stems=("kick", "snare"),
    ),
    "transcribed": m.Transcribed(
        request=16, hits=321, folder="/tmp/lars/midi", files=("drums.mid", "kick.mid"),
    ),
    "chain": m.Chain(
        request=17, epoch=2, total=1, states=1,
        chains=b'{"stems": {"snare": [{"id": "1", "effect": "Gain", "bypass": true}]}}',
    ),
    "chain_state": m.ChainState(
        request=17, epoch=2, latency=1646, board_latency=127, anew=1, total=1,
        chains=b'{"stems": {"snare": [{"id": "1", "effect": "Gain", "bypass": false}]}}',
    ),
    "effects": m.Effects(request=18),
    "effects_report": m.EffectsReport(request=18, report=b'{"effects": [], "plugins": []}'),
    "status": m.Status(request=12),
    "status_report": m.StatusReport(request=12, report=b'{"engine": "lars 0.1.0"}'),
}  # fmt: skip

# Bytes that a receiver must refuse, and why.
REFUSED: dict[str, tuple[bytes, str]] = {
    "bad_magic": (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "wrong magic"),
    "bad_version": (b"LARS\x63" + encode(m.Stats())[5:], "version 99"),
    "bad_since": (
        encode(m.Fetch(model="x")).replace(b"LARS\x02", b"LARS\x01"),
        "a message of version 2 in version 1",
    ),
    "bad_type": (b"LARS\x01\xff" + encode(m.Stats())[6:], "unknown type 255"),
    "bad_length": (
        encode(m.Stats())[:8] + b"\xff\xff\xff\xff" + encode(m.Stats())[12:],
        "claims 2^32-1 bytes; must be refused before the payload is waited for",
    ),
    "bad_flags": (encode(m.Stats())[:6] + b"\x01\x00" + encode(m.Stats())[8:], "undefined flag"),
    "bad_reserved": (encode(m.Stats())[:28] + b"\x01\x00\x00\x00", "reserved bits"),
    "bad_audio_size": (
        encode(FRAMES["audio"])[:36] + b"\x09\x00\x00\x00" + encode(FRAMES["audio"])[40:],
        "says 9 samples, holds 3",
    ),
    "bad_text": (
        encode(m.Hello(client="ab")).replace(b"\x02\x00ab", b"\x02\x00\xff\xff"),
        "not UTF-8",
    ),
    "bad_trailing": (
        encode(m.Stats())[:8] + b"\x01\x00\x00\x00" + encode(m.Stats())[12:] + b"x",
        "a byte too many",
    ),
    "bad_rate": (
        encode(m.Parameter(name="x", value=1.0)).replace(
            np.float64(1).tobytes(), np.float64(np.nan).tobytes()
        ),
        "a number that is NaN",
    ),
}


def describe(message: m.Message) -> dict[str, object]:
    """The message's fields as JSON types; bytes as hexadecimal digits."""
    values: dict[str, object] = {}
    for field in fields(message):
        value = getattr(message, field.name)
        values[field.name] = value.hex() if isinstance(value, bytes) else value
    return values


def main() -> None:
    """Write all frames beside this file."""
    folder = Path(__file__).parent
    index: dict[str, list[dict[str, object]]] = {"frames": [], "refused": []}
    for name, message in FRAMES.items():
        (folder / f"{name}.bin").write_bytes(encode(message))
        entry = {"file": f"{name}.bin", "message": type(message).__name__, "type": message.TYPE}
        index["frames"].append({**entry, "fields": describe(message)})
    for name, (data, why) in REFUSED.items():
        (folder / f"{name}.bin").write_bytes(data)
        index["refused"].append({"file": f"{name}.bin", "why": why})
    text = json.dumps(index, indent=1, ensure_ascii=False) + "\n"
    (folder / "vectors.json").write_text(text, "utf-8")


if __name__ == "__main__":
    main()
