# SPDX-License-Identifier: GPL-3.0-or-later
"""What PROTOCOL.md says in numbers is so."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lars_plugin.bridge.client.streams import Client
from lars_plugin.bridge.local_engine import EngineThread
from lars_plugin.bridge.protocol import limits, messages
from lars_plugin.bridge.protocol.messages import Message
from lars_plugin.model import Chunking, Model
from lars_plugin.testing import IdentityModel, SlowModel

TEXT = (Path(__file__).parents[3] / "bridge" / "PROTOCOL.md").read_text("utf-8")
STEP = 128
SLOW = Chunking(512, overlap=512 / STEP, convention="live", lookahead=64, fade=32)
MODELS: dict[str, Callable[[], Model]] = {
    "slow": lambda: SlowModel(0.02, IdentityModel(chunking=SLOW))
}


def test_every_limit_in_the_text_is_the_engines() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \| ([0-9A-Fx^]+) \|", TEXT, re.MULTILINE)
    assert len(rows) > 20
    for name, value in rows:
        base, _, exponent = value.partition("^")
        wanted = int(base, 0) ** int(exponent or 1)
        assert getattr(limits, name) == wanted, name


class Collects(Client):
    """Keeps the STEMS as they come."""

    def __init__(self, *args: object, **options: object) -> None:
        self.seen: list[messages.Stems] = []
        super().__init__(*args, **options)  # type: ignore[arg-type]

    def _receive(self, message: Message) -> None:
        if isinstance(message, messages.Stems):
            self.seen.append(message)
        super()._receive(message)


@pytest.mark.parametrize("ahead", ["as much as the text allows", "much more"])
def test_what_is_overdue_is_a_matter_of_the_audio_that_came(ahead: str) -> None:
    block, rate = 256, 44100
    wave = np.full((2, block), 0.25, np.float32)
    with EngineThread(MODELS) as engine, Collects(engine.socket) as client:
        latency = client.open("slow", rate, max_block=block).latency
        sent, allowed = 0, latency + int(0.1 * rate)
        end = 60 * block

        def got() -> int:
            return client.seen[-1].position + client.seen[-1].frames if client.seen else 0

        def caught_up() -> bool:
            return sent + block - got() <= allowed

        while sent < end:
            client._send_audio(sent, wave)
            sent += block
            if ahead != "much more":
                client._live_link().wait(caught_up)
        client._live_link().wait(lambda: got() >= end - latency)
        replaced = [bool(one.flags & one.REPLACED) for one in client.seen]
        if ahead != "much more":
            assert not any(replaced)
        else:
            # The first were not yet overdue when they were begun, and the last never will be.
            assert any(replaced)
            last = [one for one in client.seen if one.position > end - allowed + STEP + 512]
            assert not any(one.flags for one in last)
