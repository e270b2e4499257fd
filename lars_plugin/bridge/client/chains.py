# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking an engine for the effects that it has, and for those behind each stem of a stream."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

from lars_plugin.bridge.client.engine_client import EngineClient
from lars_plugin.bridge.protocol import messages
from lars_plugin.bridge.protocol.messages import Message
from lars_plugin.errors import BridgeError, InputError

__all__ = ["ChainClient"]


class ChainClient(EngineClient):
    """What an engine's client can do about effects."""

    def effects(self) -> dict[str, Any]:
        """The effects that a chain can have: ``effects`` of pedalboard's own, with their
        parameters, and ``plugins`` on the engine's disk. See EFFECTS in PROTOCOL.md."""
        self._needs(messages.Effects)
        return _table(self._ask(messages.Effects(), messages.EffectsReport).report)

    def set_chain(
        self,
        chains: Mapping[str, Sequence[Mapping[str, Any]]],
        *,
        states: bool = True,
    ) -> dict[str, list[dict[str, Any]]]:
        """Have these effects behind the stems of the stream from now on, instead of all others.

        Where that changes the latency, the stream begins anew where it is; see
        ``latency_samples``.

        Args:
            chains: by stem, a list of entries as CHAIN in PROTOCOL.md has them; ``state`` may be
                bytes.
            states: whether to tell the states of plugins on disk.

        Returns:
            The chains as they are, ``state`` as bytes. An entry with ``error`` passes all audio.

        Raises:
            InputError: the entries are not understood.
        """
        self._needs(messages.Chain)
        wanted = json.dumps({"stems": {k: list(v) for k, v in chains.items()}}, default=_base64)
        answer = self._ask(
            messages.Chain(states=int(states), chains=wanted.encode()),
            messages.ChainState,
        )
        self._chain_is(answer)
        found: dict[str, list[dict[str, Any]]] = _table(answer.chains)["stems"]
        for entry in (entry for chain in found.values() for entry in chain):
            if "state" in entry:
                entry["state"] = base64.b64decode(entry["state"])
        return found

    def _chain_is(self, state: messages.ChainState) -> None:
        """The stream has these latencies now; it is another where ``anew`` says so."""
        raise NotImplementedError

    def _needs(self, kind: type[Message]) -> None:
        if self._live_link().version < kind.SINCE:
            raise BridgeError(
                f"{self.engine.engine} is too old for effects; stop it, and start a newer lars"
                " serve"
            )


def _base64(value: object) -> str:
    if not isinstance(value, bytes):
        raise InputError(f"{type(value).__name__} cannot be in a chain; use numbers and texts")
    return base64.b64encode(value).decode()


def _table(report: bytes) -> dict[str, Any]:
    found = json.loads(report)
    if not isinstance(found, dict):
        raise BridgeError("the engine's answer is not a table")
    return found
