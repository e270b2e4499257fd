# SPDX-License-Identifier: GPL-3.0-or-later
"""Round trip of a block into six stereo stems, against a bare socket with the same byte counts.

Between the two stands the least that Python can do with real messages: encode and decode them at
both ends, and nothing else; no sessions, no streams, no order, no faults. All three alternate
within one run, so that what else the machine does hits them alike.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from typing import Any

import numpy as np
from bridge_common import parser, percentiles, start_engine, write

from lars_plugin.bridge.client.streams import Client
from lars_plugin.bridge.protocol import messages
from lars_plugin.bridge.protocol.wire import Decoder, encode_samples

BLOCKS = (128, 256, 512, 1024)
HEAD = 40  # header of the frame and of its audio


def echo(sock: socket.socket) -> None:
    """The other side of the bare socket: as many bytes as are asked for."""
    want, answer = struct.unpack("<II", receive(sock, 8))
    while want:
        reply = bytes(answer)
        try:
            while True:
                receive(sock, want)
                sock.sendall(reply)
        except EOFError:
            return


def receive(sock: socket.socket, count: int) -> bytes:
    """Exactly so many bytes."""
    data = bytearray(count)
    view, at = memoryview(data), 0
    while at < count:
        got = sock.recv_into(view[at:])
        if not got:
            raise EOFError
        at += got
    return bytes(data)


def wire_echo(sock: socket.socket) -> None:
    """The other side of bare messages: an equal share of each block for each stem."""
    decoder = Decoder()
    while True:
        count = sock.recv_into(decoder.space())
        if not count:
            return
        decoder.wrote(count)
        for message in decoder.messages():
            assert isinstance(message, messages.Audio)
            stems = np.repeat(message.wave() * np.float32(1 / 6), 6, axis=0)
            sock.sendall(encode_samples(messages.Stems, stems, position=message.position, epoch=1))


def wire_trip(sock: socket.socket, decoder: Decoder, wave: np.ndarray, position: int) -> None:
    """A block to ``wire_echo`` and its stems back."""
    sock.sendall(encode_samples(messages.Audio, wave, position=position, epoch=1))
    while True:
        decoder.wrote(sock.recv_into(decoder.space()))
        for message in decoder.messages():
            assert isinstance(message, messages.Stems)
            message.wave()
            return


def wire() -> socket.socket:
    """A process that answers blocks with stems."""
    here, there = socket.socketpair()
    if os.fork() == 0:
        here.close()
        wire_echo(there)
        os._exit(0)
    there.close()
    return here


def bare(block: int) -> tuple[socket.socket, bytes, int]:
    """A process that answers; what to send it and how much comes back."""
    here, there = socket.socketpair()
    if os.fork() == 0:
        here.close()
        echo(there)
        os._exit(0)
    there.close()
    request, answer = HEAD + 8 * block, HEAD + 6 * 8 * block
    here.sendall(struct.pack("<II", request, answer))
    return here, bytes(request), answer


def measure(client: Measured, model: str, block: int, count: int) -> dict[str, Any]:
    """Seconds per round trip, both ways."""
    client.open(f"{model}-{block}", max_block=block, buffering=0)
    # The model's hop is the block, so its stems are due with the very next sample.
    wave = np.random.default_rng(0).uniform(-0.5, 0.5, (2, block)).astype(np.float32)
    sock, request, answer = bare(block)
    plain, decoder = wire(), Decoder()
    through, alone, least = [], [], []
    for turn in range(count + 100):
        start = time.perf_counter()
        sock.sendall(request)
        receive(sock, answer)
        between = time.perf_counter()
        wire_trip(plain, decoder, wave, turn * block)
        middle = time.perf_counter()
        seen = client.received
        client.send(wave)
        client.wait_for(seen + 1)
        end = time.perf_counter()
        if turn >= 100:
            alone.append(between - start)
            least.append(middle - between)
            through.append(end - middle)
    # Both first: each of the two processes holds what the one before was given.
    sock.close()
    plain.close()
    os.wait()
    os.wait()
    return {
        "model": model,
        "block": block,
        "bridge": percentiles(through),
        "messages_only": percentiles(least),
        "bare_socket": percentiles(alone),
        "ratio_p50": round(float(np.median(through) / np.median(alone)), 2),
        "messages_only_ratio_p50": round(float(np.median(least) / np.median(alone)), 2),
        "round_trips": count,
    }


def summary(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each block the median, over the repetitions, of the ratios of the p50."""
    found = []
    for block in dict.fromkeys(run["block"] for run in runs):
        mine = [run for run in runs if run["block"] == block]
        ratios = {
            f"median_{key}": round(float(np.median([run[key] for run in mine])), 2)
            for key in ("ratio_p50", "messages_only_ratio_p50")
        }
        found.append({"block": block, **ratios, "all": [run["ratio_p50"] for run in mine]})
    return found


class Measured(Client):
    """Counts the stems that come, so that a round trip ends with the bytes and not a deadline."""

    received = 0

    def _receive(self, message: object) -> None:
        self.received += type(message).__name__ == "Stems"
        super()._receive(message)  # type: ignore[arg-type]

    def send(self, wave: np.ndarray) -> None:
        """A block, without waiting."""
        aligner = self._stream()[2]
        position = aligner.position
        aligner.take(wave)
        self._send_audio(position, wave)

    def wait_for(self, count: int) -> None:
        """Until so many STEMS have come; then they are taken out of the ring."""
        self._live_link().wait(lambda: self.received >= count)
        aligner = self._stream()[2]
        aligner.give(self._stream()[0].max_block)


def main() -> None:
    arguments = parser(__doc__, "bridge_overhead")
    arguments.add_argument(
        "--model",
        choices=["identity", "identity-chunked"],
        default="identity",
        help="identity: hop by hop, as lars-live; identity-chunked: through the overlap-add, as"
        " lars-mini",
    )
    arguments.add_argument("--count", type=int, default=2000, help="round trips per repetition")
    arguments.add_argument("--repeats", type=int, default=5)
    args = arguments.parse_args()
    if args.quick:
        args.count, args.repeats = 100, 1
    with start_engine() as engine, Measured(engine.socket) as client:
        runs = [
            measure(client, args.model, block, args.count)
            for _ in range(args.repeats)
            for block in BLOCKS
        ]
    write(args.out, "bridge_overhead", {"summary": summary(runs), "runs": runs})


if __name__ == "__main__":
    main()
