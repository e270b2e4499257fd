# SPDX-License-Identifier: GPL-3.0-or-later
"""A CLAP host: ``clap_host.py LARS.clap IN.npy OUT.npy``, as a process of its own.

It gives a stereo input to the plugin offline, in blocks of 512, and writes all outputs one above
the other, (channels, samples). It prints what the plugin says of itself as JSON. The structures are
those of CLAP 1.2 (https://github.com/free-audio/clap, include/clap).
"""

from __future__ import annotations

import ctypes as c
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK = 512
OFFLINE = 1
FAILED = 0  # what process() returns where it is in error


def _structure(name: str, *fields: tuple[str, Any]) -> Any:
    return type(name, (c.Structure,), {"_fields_": list(fields), "types": dict(fields)})


Call = c.CFUNCTYPE
VERSION = c.c_uint32 * 3
ENTRY = _structure(
    "Entry", ("version", VERSION), ("init", Call(c.c_bool, c.c_char_p)), ("deinit", Call(None)),
    ("factory", Call(c.c_void_p, c.c_char_p)),
)  # fmt: skip
DESCRIPTOR = _structure(
    "Descriptor", ("version", VERSION),
    *((name, c.c_char_p) for name in ("id", "name", "vendor", "url", "manual", "support",
                                      "release", "description")),
    ("features", c.POINTER(c.c_char_p)),
)  # fmt: skip
HOST = _structure(
    "Host", ("version", VERSION), ("data", c.c_void_p),
    *((name, c.c_char_p) for name in ("name", "vendor", "url", "release")),
    ("extension", Call(c.c_void_p, c.c_void_p, c.c_char_p)),
    *((name, Call(None, c.c_void_p)) for name in ("restart", "process", "callback")),
)  # fmt: skip
FACTORY = _structure(
    "Factory", ("count", Call(c.c_uint32, c.c_void_p)),
    ("descriptor", Call(c.POINTER(DESCRIPTOR), c.c_void_p, c.c_uint32)),
    ("create", Call(c.c_void_p, c.c_void_p, c.POINTER(HOST), c.c_char_p)),
)  # fmt: skip
PLUGIN = _structure(
    "Plugin", ("descriptor", c.c_void_p), ("data", c.c_void_p),
    ("init", Call(c.c_bool, c.c_void_p)), ("destroy", Call(None, c.c_void_p)),
    ("activate", Call(c.c_bool, c.c_void_p, c.c_double, c.c_uint32, c.c_uint32)),
    ("deactivate", Call(None, c.c_void_p)), ("start", Call(c.c_bool, c.c_void_p)),
    ("stop", Call(None, c.c_void_p)), ("reset", Call(None, c.c_void_p)),
    ("process", Call(c.c_int32, c.c_void_p, c.c_void_p)),
    ("extension", Call(c.c_void_p, c.c_void_p, c.c_char_p)),
    ("on_main_thread", Call(None, c.c_void_p)),
)  # fmt: skip
BUFFER = _structure(
    "Buffer", ("data32", c.POINTER(c.POINTER(c.c_float))), ("data64", c.c_void_p),
    ("channels", c.c_uint32), ("latency", c.c_uint32), ("constant", c.c_uint64),
)  # fmt: skip
IN_EVENTS = _structure(
    "InEvents", ("data", c.c_void_p), ("size", Call(c.c_uint32, c.c_void_p)),
    ("get", Call(c.c_void_p, c.c_void_p, c.c_uint32)),
)  # fmt: skip
OUT_EVENTS = _structure(
    "OutEvents", ("data", c.c_void_p), ("push", Call(c.c_bool, c.c_void_p, c.c_void_p))
)
PROCESS = _structure(
    "Process", ("time", c.c_int64), ("frames", c.c_uint32), ("transport", c.c_void_p),
    ("inputs", c.POINTER(BUFFER)), ("outputs", c.POINTER(BUFFER)), ("ins", c.c_uint32),
    ("outs", c.c_uint32), ("events", c.POINTER(IN_EVENTS)), ("made", c.POINTER(OUT_EVENTS)),
)  # fmt: skip
PORTS = _structure(
    "Ports", ("count", Call(c.c_uint32, c.c_void_p, c.c_bool)),
    ("get", Call(c.c_bool, c.c_void_p, c.c_uint32, c.c_bool, c.c_void_p)),
)  # fmt: skip
PORT = _structure(
    "Port", ("id", c.c_uint32), ("name", c.c_char * 256), ("flags", c.c_uint32),
    ("channels", c.c_uint32), ("kind", c.c_char_p), ("pair", c.c_uint32),
)  # fmt: skip
LATENCY = _structure("Latency", ("get", Call(c.c_uint32, c.c_void_p)))
RENDER = _structure(
    "Render", ("realtime", Call(c.c_bool, c.c_void_p)), ("set", Call(c.c_bool, c.c_void_p, c.c_int))
)


def _buffers(channels: list[int], keep: list[Any]) -> tuple[Any, list[NDArray[np.float32]]]:
    buffers, blocks = (BUFFER * len(channels))(), []
    for buffer, count in zip(buffers, channels, strict=True):
        block = np.zeros((count, BLOCK), np.float32)
        rows = [row.ctypes.data_as(c.POINTER(c.c_float)) for row in block]
        pointers = (c.POINTER(c.c_float) * count)(*rows)
        keep.append(pointers)
        buffer.data32, buffer.channels = pointers, count
        blocks.append(block)
    return buffers, blocks


class Host:
    """One plugin of a file, as the only one."""

    def __init__(self, file: str) -> None:
        entry = ENTRY.in_dll(c.CDLL(file), "clap_entry")
        assert entry.init(file.encode())
        self.entry = entry
        at = entry.factory(b"clap.plugin-factory")
        factory = FACTORY.from_address(at)
        assert factory.count(at) == 1
        self.descriptor = factory.descriptor(at, 0).contents
        types = HOST.types
        # Kept for as long as the plugin lives, which has pointers to it.
        self.host = HOST(
            VERSION(1, 2, 0), None, b"tests", b"LARS for Python", b"", b"1",
            types["extension"](lambda *_: None),
            *(types[name](lambda *_: None) for name in ("restart", "process", "callback")),
        )  # fmt: skip
        self.at = factory.create(at, c.byref(self.host), self.descriptor.id)
        assert self.at
        self.plugin = PLUGIN.from_address(self.at)
        assert self.plugin.init(self.at)

    def extension(self, name: bytes, kind: Any) -> Any:
        return kind.from_address(self.plugin.extension(self.at, name))

    def ports(self, *, inputs: bool) -> list[tuple[str, int]]:
        """Names and channels."""
        ports, found = self.extension(b"clap.audio-ports", PORTS), []
        for i in range(ports.count(self.at, inputs)):
            port = PORT()
            assert ports.get(self.at, i, inputs, c.byref(port))
            found.append((port.name.decode(), port.channels))
        return found

    def latency(self) -> int:
        return int(self.extension(b"clap.latency", LATENCY).get(self.at))

    def run(self, audio: NDArray[np.float32], until: Callable[[], bool]) -> NDArray[np.float32]:
        """Play silence until it is ready, then this from the beginning."""
        keep: list[Any] = []
        inputs, given = _buffers([n for _, n in self.ports(inputs=True)], keep)
        outputs, made = _buffers([n for _, n in self.ports(inputs=False)], keep)
        types = IN_EVENTS.types
        events = IN_EVENTS(None, types["size"](lambda _: 0), types["get"](lambda *_: None))
        sent = OUT_EVENTS(None, OUT_EVENTS.types["push"](lambda *_: True))
        process = PROCESS(
            0, BLOCK, None, inputs, outputs, len(inputs), len(outputs), c.pointer(events),
            c.pointer(sent),
        )  # fmt: skip

        def block() -> None:
            assert self.plugin.process(self.at, c.byref(process)) != FAILED

        assert self.plugin.start(self.at)
        while not until():
            block()
            time.sleep(0.01)
        self.plugin.stop(self.at)
        self.plugin.deactivate(self.at)
        assert self.plugin.activate(self.at, 44100.0, 1, BLOCK)
        assert self.plugin.start(self.at)
        whole = []
        late = self.latency()
        total = audio.shape[1] + late
        padded = np.pad(audio, ((0, 0), (0, late + BLOCK)))
        for at in range(0, total, BLOCK):
            given[0][:] = padded[:, at : at + BLOCK]
            block()
            whole.append(np.concatenate(made))
        self.plugin.stop(self.at)
        return np.concatenate(whole, axis=1)[:, late:total]

    def close(self) -> None:
        self.plugin.deactivate(self.at)
        self.plugin.destroy(self.at)
        self.entry.deinit()


def main(file: str, source: str, target: str) -> None:
    host = Host(file)
    assert host.extension(b"clap.render", RENDER).set(host.at, OFFLINE)
    assert host.plugin.activate(host.at, 44100.0, 1, BLOCK)
    end = time.monotonic() + 120
    made = host.run(np.load(source), lambda: host.latency() > 0 or time.monotonic() > end)
    np.save(target, made)
    said = {"id": host.descriptor.id.decode(), "name": host.descriptor.name.decode()}
    ports = {"inputs": host.ports(inputs=True), "outputs": host.ports(inputs=False)}
    sys.stdout.write(json.dumps(said | ports | {"latency": host.latency()}))
    host.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
