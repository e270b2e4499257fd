# SPDX-License-Identifier: GPL-3.0-or-later
"""A drum track through an engine in another process, block by block, as a DAW does it.

    python examples/stream_a_track.py [drums.wav] [model]

Without a file it makes a short one. Without a model it uses a test model with equal parts of the
mixture, so that it runs anywhere at once. The script starts and stops its own engine. Yours may
run all day with ``lars serve``; ``Client()`` then finds it.
"""

from __future__ import annotations

import sys

import numpy as np

from lars_plugin.audio import read_audio
from lars_plugin.bridge import Client, EngineProcess, EngineThread
from lars_plugin.model import Chunking
from lars_plugin.testing import IdentityModel

BLOCK = 512


def stream(client: Client, model: str, audio: np.ndarray, rate: float) -> None:
    """Play the track through the engine and show the result."""
    opened = client.open(model, rate, audio.shape[0], mode="live", max_block=BLOCK)
    print(f"latency {opened.latency} samples = {1000 * opened.latency / rate:.1f} ms:")
    for term in ("model", "resampling", "buffering", "board"):
        print(f"  {term:<11}{getattr(opened, term + '_latency'):>7} samples")

    parts = []
    for start in range(0, audio.shape[1], BLOCK):
        # A sound card would wait only for the block's own length: patience=None.
        parts.append(client.process(audio[:, start : start + BLOCK], patience=10.0))
    parts.append(client.flush())

    stems = {
        name: np.concatenate([part[name] for part in parts], axis=1)[:, opened.latency :]
        for name in opened.stems
    }
    for name, wave in stems.items():
        print(f"{name:<6} {wave.shape[1]} samples, peak {np.abs(wave).max():.3f}")
    print(f"the stems add up to the track within {np.abs(sum(stems.values()) - audio).max():.2g}")
    stats = client.stats()
    print(f"real-time ratio {stats.real_time_ratio:.3f}, {stats.missing} samples missed")


def click_track(rate: int) -> np.ndarray:
    """Two seconds of clicks, ``(2, samples)``."""
    audio = np.zeros((2, 2 * rate), np.float32)
    decay = np.exp(-np.arange(2000) / 200).astype(np.float32)
    for start in range(0, 2 * rate - 2000, rate // 4):
        audio[:, start : start + 2000] += 0.5 * decay
    return audio


def main() -> None:
    audio, rate = read_audio(sys.argv[1]) if len(sys.argv) > 1 else (click_track(44100), 44100)
    if len(sys.argv) > 2:
        with EngineProcess() as engine, engine.client() as client:
            stream(client, sys.argv[2], audio, rate)
    else:
        live = Chunking(1024, overlap=4, convention="live", lookahead=128, fade=64)
        models = {"share": lambda: IdentityModel(chunking=live)}
        with EngineThread(models) as own, own.client() as client:
            stream(client, "share", audio, rate)


if __name__ == "__main__":
    main()
