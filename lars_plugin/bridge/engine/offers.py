# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine tells of the models of the zoo, and how it gets their weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lars_plugin.bridge.engine.latency import live_latency
from lars_plugin.errors import LarsError
from lars_plugin.model import ModelConfig
from lars_plugin.zoo.composite_specs import part_names
from lars_plugin.zoo.fetch import download
from lars_plugin.zoo.registry import get_config

__all__ = ["describe", "fetch_weights"]

_RATE, _BLOCK = 44100, 512  # of the live stream whose latency is told


def describe(config: ModelConfig) -> dict[str, object]:
    """What PROTOCOL.md says of an entry of ``offers``, beside name and weights."""
    causal = config.chunking.convention == "causal"
    result: dict[str, object] = {
        "purpose": config.description,
        "stems": list(config.stems),
        "made_for": "live" if causal else "files",
        "license": config.license,
        "bytes": _size(config),
    }
    try:
        result["live_ms"] = round(1000 * live_latency(config, _RATE, _BLOCK).total / _RATE, 1)
    except LarsError:
        pass  # it has no live stream
    return result


def _size(config: ModelConfig) -> int:
    """Bytes of the weights; 0 where they are not published."""
    try:
        parts = [get_config(name) for name in part_names(config)] or [config]
    except LarsError:
        return 0
    return sum(part.weights.size for part in parts if part.weights is not None)


def fetch_weights(name: str, progress: Callable[[int, int], bool | None]) -> Path:
    """Download the weights of a model, or of all its parts, unless they are here.

    Args:
        name: of the model.
        progress: called with (bytes here, bytes in all or 0); returning False cancels.

    Returns:
        The last of the files.

    Raises:
        LarsError: see ``lars_plugin.zoo.fetch.download``.
    """
    config = get_config(name)
    parts = part_names(config) or (name,)
    whole = _size(config)
    before = 0
    path = Path()
    for part in parts:

        def tell(done: int, total: int, before: int = before) -> bool | None:
            return progress(before + done, max(whole, before + total) if whole else total)

        path = download(part, tell)
        before += path.stat().st_size
        progress(before, max(whole, before))
    return path
