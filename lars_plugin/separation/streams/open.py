# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts streams together; nothing else knows which stream takes which.

From the outside, where blocks go in and stems come out, to the networks::

                                                 ┌▶ refined ─▶ chunked
    post ─▶ rate or live rate ─▶ mono ───────────┼▶ chunked
    (a)     (b)                  (c)             ├▶ causal
                                                 ├▶ cascade ─┬▶ music: a chain from (b) on
                                                 │           └▶ drums: a chain from (a) on
                                                 └▶ ensemble ─▶ each model: a chain from (b) on

- (a) what is done to finished stems, where it is asked for; in a cascade to those of the drum stage
- (b) at another rate than the model's
- (c) one channel, where the model has two

The chain is only as long as it must be: stereo at the model's rate is the last column alone. A
fused composite, whose parts run on one chunk, is chunked as a single model is. An ensemble that
chooses stands where ensembles do. Where chunks are shifted, several streams stand for "chunked".
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from lars_plugin.composites.auto import AutoEnsemble
from lars_plugin.composites.composite import Cascade, Composite, Ensemble
from lars_plugin.composites.drum_sum import DRUMS
from lars_plugin.composites.narrow import narrowed
from lars_plugin.composites.rechunk import cut, rechunk
from lars_plugin.errors import InputError
from lars_plugin.model import AnyModel, Chunking
from lars_plugin.refine.postprocess import PostProcessing
from lars_plugin.separation.streams.auto import AutoStream
from lars_plugin.separation.streams.base import ModelStream, choose_stems
from lars_plugin.separation.streams.cascade import CascadeStream
from lars_plugin.separation.streams.causal import CausalStream
from lars_plugin.separation.streams.chunked import StreamingSeparator
from lars_plugin.separation.streams.ensemble import EnsembleStream
from lars_plugin.separation.streams.live_rate import LiveRateStream, can_convert
from lars_plugin.separation.streams.mono import MonoStream
from lars_plugin.separation.streams.post import PostStream
from lars_plugin.separation.streams.rate import RateStream
from lars_plugin.separation.streams.shifted import ShiftedStream
from lars_plugin.separation.streams.views import has_views
from lars_plugin.separation.streams.windowed import RefinedStream, is_refined

__all__ = ["open_stream"]


def open_stream(
    model: AnyModel,
    sample_rate: float | None = None,
    channels: int | None = None,
    *,
    chunking: Chunking | None = None,
    stems: Sequence[str] | None = None,
    post: PostProcessing | None = None,
    live: bool = False,
) -> ModelStream:
    """A stream of a model's stems at any rate.

    Args:
        model: of any kind.
        sample_rate: Hz, of input and output; the model's for None.
        channels: of input and output: 1, or the model's, as for None.
        chunking: instead of the model's own; a composite's parts follow it as
            :func:`~lars_plugin.composites.rechunk.rechunk` says.
        stems: canonical names of those wanted, in this order; all for None. At the model's rate
            a stage or model of a composite that none of them needs is not run, and a network that
            can leaves out the work for the other stems. At any other rate
            their shares of what the conversion loses depend on all stems, so all are computed (in
            a cascade, all of a stage).
        post: what the stems go through at last; in a cascade those of the drum stage, whose
            mixture is the drum stem, before they are resampled.
        live: convert rates with little delay, where their ratio allows that.

    Raises:
        InputError: a rate outside 1 kHz to 768 kHz, channels or a chunking that do not fit the
            model, or a stem that the model does not have.
    """
    config = model.config
    rate = config.sample_rate if sample_rate is None else sample_rate
    count = config.channels if channels is None else channels
    if not (math.isfinite(rate) and 1000 <= rate <= 768000):
        raise InputError(f"sample rate must be from 1000 to 768000 Hz, got {rate}")
    if count not in (1, config.channels):
        raise InputError(
            f"model {config.name!r} separates mono or {config.channels} channels, got {count};"
            " mix or pick channels first"
        )
    wanted = tuple(config.stems[index] for index in choose_stems(model, stems))
    if post is not None and not post.active:
        post = None
    inside, outside = (post, None) if isinstance(model, Cascade) else (None, post)
    # All stems have a part in what is done to them, whichever are wanted.
    needed = wanted if outside is None else config.stems
    if rate == config.sample_rate:
        stream = _at_its_rate(model, count, chunking, needed, inside)
    else:
        heard, first = _heard_stems(model, needed, apart=inside is not None)
        stream = _at_its_rate(model, count, chunking, heard, inside)
        kind = LiveRateStream if live and can_convert(rate, config.sample_rate) else RateStream
        stream = kind(stream, rate, stems=needed, first=first)
    return stream if outside is None else PostStream(stream, outside, wanted)


def _at_its_rate(
    model: AnyModel,
    channels: int,
    chunking: Chunking | None,
    stems: Sequence[str],
    post: PostProcessing | None,
) -> ModelStream:
    stream = _of_kind(model, chunking, stems, post)
    return stream if channels == stream.channels else MonoStream(stream)


def _of_kind(
    model: AnyModel,
    chunking: Chunking | None,
    stems: Sequence[str],
    post: PostProcessing | None,
) -> ModelStream:
    """A stream of a model's own rate and channels; ``post`` for cascades only."""
    if isinstance(model, Composite) and model.fused and post is None:
        model = model.needed(stems)
    if not isinstance(model, Composite):
        if (chunking or model.config.chunking).convention == "causal":
            return CausalStream(model, chunking=chunking, stems=stems)
        settings = model.config.refinement
        if settings is not None and is_refined(model, chunking):
            rough = _chunked(model, chunking)
            return RefinedStream(
                rough,
                settings,
                stems=stems,
                viewed=has_views(model.config),
                backend=model.backend_name,
            )
        if settings is None:
            model = narrowed(model, stems)
        return _chunked(model, chunking, stems)
    if chunking is not None and chunking != model.config.chunking:
        # Parts that are computed as one take the chunks of the whole, whichever are run.
        part_of = cut if model.fused else rechunk
        model = model.with_parts([part_of(part, chunking) for part in model.parts])
    if isinstance(model, Cascade):
        return _cascade(model, stems, post)
    assert isinstance(model, Ensemble)
    return _auto(model, stems) if isinstance(model, AutoEnsemble) else _ensemble(model, stems)


def _chunked(
    model: AnyModel, chunking: Chunking | None, stems: Sequence[str] | None = None
) -> ModelStream:
    """What cuts audio for one network: one stream, or as many as there are shifts."""
    count = (chunking or model.config.chunking).shifts
    streams = [StreamingSeparator(model, chunking=chunking, stems=stems) for _ in range(count)]
    return streams[0] if count == 1 else ShiftedStream(streams)


def _cascade(model: Cascade, stems: Sequence[str], post: PostProcessing | None) -> CascadeStream:
    """``stems`` are the cascade's, and ``drums``, which goes from one stage to the other."""
    rate, channels = model.config.sample_rate, model.config.channels
    inner = tuple(stem for stem in stems if stem in model.drums.config.stems)
    above = tuple(stem for stem in stems if stem not in inner)
    if not inner:
        return CascadeStream(open_stream(model.music, rate, channels, stems=above), None, stems)
    if DRUMS not in above:
        above = (*above, DRUMS)
    return CascadeStream(
        open_stream(model.music, rate, channels, stems=above),
        open_stream(model.drums, rate, channels, stems=inner, post=post),
        stems,
    )


def _ensemble(model: Ensemble, stems: Sequence[str]) -> EnsembleStream:
    rows = list(choose_stems(model, stems))
    parts, factors = [], []
    for part, mixing in zip(model.parts, model.mixing, strict=True):
        used = [int(column) for column in np.nonzero(mixing[rows].any(axis=0))[0]]
        if used:
            names = [part.config.stems[column] for column in used]
            parts.append(
                open_stream(part, model.config.sample_rate, model.config.channels, stems=names)
            )
            factors.append(mixing[rows][:, used])
    return EnsembleStream(parts, factors, stems)


def _auto(model: AutoEnsemble, stems: Sequence[str]) -> AutoStream:
    """All stems of all models: the judgement, and what is given back, depend on them."""
    rate, channels = model.config.sample_rate, model.config.channels
    parts = [open_stream(part, rate, channels) for part in model.parts]
    return AutoStream(parts, model.sources, model.config.stems, stems)


def _heard_stems(
    model: AnyModel, wanted: Sequence[str], *, apart: bool
) -> tuple[tuple[str, ...], int]:
    """Which stems the shares of those wanted depend on, where a conversion loses something.

    That is all of them, but for a cascade of two streams: there the music stage's stems and its
    drums share first, then the drum stage's stems what the drums got. So a drum stage that
    nobody wants anything of is not needed.

    Args:
        model: of any kind.
        wanted: names of its stems.
        apart: whether a cascade runs as two streams even if it is fused.

    Returns:
        Names, ``drums`` among them, and how many of them, from the first, share first. The last of
        these shares with the rest.
    """
    names = model.config.stems
    if not isinstance(model, Cascade) or (model.fused and not apart) or DRUMS in names:
        return names, len(names)
    inner = model.drums.config.stems
    above = (*(name for name in names if name not in inner), DRUMS)
    below = inner if any(name in inner for name in wanted) else ()
    return (*above, *below), len(above)
