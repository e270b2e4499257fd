# SPDX-License-Identifier: GPL-3.0-or-later
"""Coverage-guided fuzzing of the bridge's decoder.

    pip install atheris
    python scripts/fuzz_decoder.py -runs=1000000

Golden frames are the first corpus. Any exception but ProtocolError is a finding, and so is a
message that was taken in and cannot be sent on. Arguments are libFuzzer's.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["lars_plugin.bridge"]):
    from lars_plugin.bridge.wire import Decoder, encode

from lars_plugin.errors import ProtocolError

VECTORS = Path(__file__).parents[1] / "bridge" / "vectors"


def one_input(data: bytes) -> None:
    """Feed it in two pieces, the cut chosen by the first byte."""
    if not data:
        return
    cut = 1 + data[0] % len(data)
    decoder = Decoder()
    try:
        for piece in (data[1:cut], data[cut:]):
            decoder.feed(piece)
            for message in decoder.messages():
                encode(message)
    except ProtocolError:
        return


def main() -> None:
    """Run libFuzzer."""
    with tempfile.TemporaryDirectory() as folder:
        for path in VECTORS.glob("*.bin"):
            (Path(folder) / path.name).write_bytes(b"\0" + path.read_bytes())
        atheris.Setup([*sys.argv, folder], one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
