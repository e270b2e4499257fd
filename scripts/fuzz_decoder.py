# SPDX-License-Identifier: GPL-3.0-or-later
"""Coverage-guided fuzzing of the bridge's decoder.

    pip install atheris
    python scripts/fuzz_decoder.py -runs=1000000

Golden frames are the first corpus. Any exception but ProtocolError is a finding, and so is a
message that was taken in and cannot be sent on, or that depends on how the bytes came. Arguments
are libFuzzer's.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["lars_plugin.bridge"]):
    from lars_plugin.bridge.protocol.messages import Message
    from lars_plugin.bridge.protocol.wire import Decoder, encode

from lars_plugin.errors import ProtocolError

VECTORS = Path(__file__).parents[1] / "bridge" / "vectors"


def decoded(pieces: list[bytes], *, in_place: bool) -> list[Message]:
    """The messages up to the first that is wrong, each of which can be sent on."""
    decoder, found = Decoder(), []
    try:
        for piece in pieces:
            if in_place:
                while piece:
                    space = decoder.space()
                    count = min(len(space), len(piece))
                    space[:count] = piece[:count]
                    decoder.wrote(count)
                    piece = piece[count:]
                    found += take(decoder)
            else:
                decoder.feed(piece)
                found += take(decoder)
    except ProtocolError:
        pass  # what the engine answers with an ERROR and a close
    return found


def take(decoder: Decoder) -> list[Message]:
    """What is complete, sent on."""
    found = []
    for message in decoder.messages():
        encode(message)
        found.append(message)
    return found


def one_input(data: bytes) -> None:
    """In two pieces, the cut chosen by the first byte, written in place; then as one."""
    if not data:
        return
    cut = 1 + data[0] % len(data)
    apart = decoded([data[1:cut], data[cut:]], in_place=True)
    whole = decoded([data[1:]], in_place=False)
    # What comes before a wrong byte may be lost with it, so one list can be shorter.
    short = min(len(apart), len(whole))
    if apart[:short] != whole[:short]:
        raise AssertionError("the messages depend on how the bytes came")


def main() -> None:
    """Run libFuzzer."""
    with tempfile.TemporaryDirectory() as folder:
        for path in VECTORS.glob("*.bin"):
            (Path(folder) / path.name).write_bytes(b"\0" + path.read_bytes())
        atheris.Setup([*sys.argv, folder], one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
