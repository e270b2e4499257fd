# SPDX-License-Identifier: GPL-3.0-or-later
"""Models with other chunks: one model's, or those of all parts of a composite."""

from __future__ import annotations

import dataclasses
import math

from lars_plugin.composites.composite import Composite
from lars_plugin.model import AnyModel, Chunking, Model

__all__ = ["cut", "overlap_of", "rechunk"]


def rechunk(model: AnyModel, requested: Chunking) -> AnyModel:
    """A part of a composite with the chunking that was requested of the whole.

    Its chunks keep their length; their steps and number become those requested.

    Args:
        model: of any kind; parts are cut one by one.
        requested: of the whole. ``live``: its step, lookahead and fade count, in samples, as far
            as they fit; otherwise its overlap.
    """
    if isinstance(model, Composite):
        return model.with_parts([rechunk(part, requested) for part in model.parts])
    own = model.config.chunking
    if own.convention == "causal":
        chunking = dataclasses.replace(own, batch_size=requested.batch_size)
    elif requested.convention == "live":
        size = own.chunk_size
        step = min(requested.step, size)
        fade = min(requested.fade, step, size - step)
        overlap = requested.overlap if requested.chunk_size == size else overlap_of(size, step)
        chunking = dataclasses.replace(
            own,
            overlap=overlap,
            convention="live",
            batch_size=requested.batch_size,
            fade=fade,
            lookahead=min(requested.lookahead, size - step - fade),
            shifts=1,
        )
    elif requested.convention == "causal":
        chunking = own
    else:
        chunking = dataclasses.replace(
            own, overlap=requested.overlap, batch_size=requested.batch_size
        )
    return cut(model, chunking)


def cut(model: AnyModel, chunking: Chunking) -> Model:
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
