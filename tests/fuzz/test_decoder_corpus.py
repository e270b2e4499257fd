# SPDX-License-Identifier: GPL-3.0-or-later
"""Golden frames, mutated: a short run of what ``scripts/fuzz_decoder.py`` does for hours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lars_plugin.bridge.protocol.wire import Decoder, encode
from lars_plugin.errors import ProtocolError

VECTORS = Path(__file__).parents[2] / "bridge" / "vectors"
CORPUS = [path.read_bytes() for path in sorted(VECTORS.glob("*.bin"))]


def mutate(data: bytes, rng: np.random.Generator) -> bytes:
    """Change, cut, repeat or join a few bytes."""
    out = bytearray(data)
    for _ in range(int(rng.integers(1, 6))):
        at = int(rng.integers(0, len(out) + 1))
        choice = rng.integers(0, 5)
        if choice == 0 and at < len(out):
            out[at] ^= 1 << int(rng.integers(0, 8))
        elif choice == 1 and at < len(out):
            out[at] = int(rng.choice([0, 1, 0x7F, 0x80, 0xFF]))
        elif choice == 2:
            del out[at : at + int(rng.integers(1, 9))]
        elif choice == 3:
            out[at:at] = bytes(out[at : at + 8])
        else:
            out += CORPUS[int(rng.integers(0, len(CORPUS)))]
    return bytes(out)


@pytest.mark.parametrize("seed", range(4))
def test_mutated_frames_raise_nothing_but_protocol_errors(seed: int) -> None:
    rng = np.random.default_rng(seed)
    refused = taken = 0
    for _ in range(5000):
        data = mutate(CORPUS[int(rng.integers(0, len(CORPUS)))], rng)
        decoder = Decoder()
        try:
            at = int(rng.integers(0, len(data) + 1))
            for piece in (data[:at], data[at:]):
                decoder.feed(piece)
                for message in decoder.messages():
                    taken += 1
                    encode(message)  # what is taken in can be sent on
        except ProtocolError:
            refused += 1
    assert refused > 100
    assert taken > 100
