# SPDX-License-Identifier: GPL-3.0-or-later
"""Models with other chunks: one model's, or those of all parts of a composite."""

from __future__ import annotations

import dataclasses
import math

from lars_plugin.composites.composite import Composite
from lars_plugin.model import Chunking, Model

__all__ = ["cut", "overlap_of", "recut"]


def recut(model: Model, asked: Chunking) -> Model:
    """A model cut as another was asked to be: its own chunks, their number and steps as asked.

    Args:
        model: of any kind; parts are cut one by one.
        asked: the chunking that was asked of the composite. ``live``: its step, lookahead and
            fade count, in samples, as far as they fit; else its overlap.
    """
    if isinstance(model, Composite):
        return model.with_parts([recut(part, asked) for part in model.parts])
    own = model.config.chunking
    if own.convention == "causal":
        chunking = dataclasses.replace(own, batch_size=asked.batch_size)
    elif asked.convention == "live":
        size = own.chunk_size
        step = min(asked.step, size)
        fade = min(asked.fade, step, size - step)
        overlap = asked.overlap if asked.chunk_size == size else overlap_of(size, step)
        chunking = dataclasses.replace(
            own,
            overlap=overlap,
            convention="live",
            batch_size=asked.batch_size,
            fade=fade,
            lookahead=min(asked.lookahead, size - step - fade),
        )
    elif asked.convention == "causal":
        chunking = own
    else:
        chunking = dataclasses.replace(own, overlap=asked.overlap, batch_size=asked.batch_size)
    return cut(model, chunking)


def cut(model: Model, chunking: Chunking) -> Model:
    """The model with another chunking."""
    return Model(dataclasses.replace(model.config, chunking=chunking), model.backend)


def overlap_of(size: int, step: int) -> float:
    """The overlap whose step is exactly this one, rounding included."""
    overlap = size / step
    while size // overlap > step:
        overlap = math.nextafter(overlap, math.inf)
    while size // overlap < step:
        overlap = math.nextafter(overlap, 0.0)
    return overlap
