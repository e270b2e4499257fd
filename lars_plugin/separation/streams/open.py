# SPDX-License-Identifier: GPL-3.0-or-later
"""The core of a stream: a model that runs on chunks, or streams of models put together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lars_plugin.composites.composite import Cascade, Composite, Ensemble
from lars_plugin.composites.rechunk import recut
from lars_plugin.model import Chunking, Model
from lars_plugin.refine.postprocess import PostProcessing
from lars_plugin.separation.streams.chunked import Steps, StreamingSeparator

__all__ = ["Core", "open_core"]

Wave = NDArray[np.float32]


class Core(Protocol):
    """What a :class:`~lars_plugin.separation.streams.chunked.StreamingSeparator` is to its users.

    A composite's ``push_steps`` never yields: its parts run their own networks, in the thread
    of the caller.
    """

    @property
    def backend(self) -> Callable[[Wave], Wave]:
        """Runs what ``push_steps`` yields."""
        ...

    @property
    def stems(self) -> tuple[str, ...]:
        """Names along the first axis of the output."""
        ...

    @property
    def channels(self) -> int:
        """Channels of input and output."""
        ...

    @property
    def sample_rate(self) -> float:
        """Hz."""
        ...

    @property
    def latency_samples(self) -> int:
        """The most samples by which the output trails the input; constant."""
        ...

    def reset(self) -> None:
        """Forget everything, as if new."""
        ...

    def push_steps(self, block: NDArray[np.generic]) -> Steps:
        """Take ``(channels, n)``, return what is finished, ``(stems, channels, m)``."""
        ...

    def flush_steps(self) -> Steps:
        """End the input and return the rest; in all exactly as long as the input."""
        ...


def open_core(
    model: Model,
    *,
    chunking: Chunking | None = None,
    stems: Sequence[str] | None = None,
    post: PostProcessing | None = None,
) -> Core:
    """A stream of a model's own rate and channels.

    Args:
        model: of any kind.
        chunking: instead of the model's own; a composite's parts follow it as
            :func:`~lars_plugin.composites.rechunk.recut` says.
        stems: canonical names of those wanted, in this order; all for None.
        post: for cascades only: what the drum stage's stems go through.

    Raises:
        InputError: a stem that the model does not have.
    """
    from lars_plugin.separation.streams.cascade import CascadeStream
    from lars_plugin.separation.streams.causal import CausalStream
    from lars_plugin.separation.streams.ensemble import EnsembleStream
    from lars_plugin.separation.streams.windowed import RefinedStream, is_refined

    if not isinstance(model, Composite) or (model.fused and post is None):
        if (chunking or model.config.chunking).convention == "causal":
            return CausalStream(model, chunking=chunking, stems=stems)
        if is_refined(model, chunking):
            return RefinedStream(model, chunking=chunking, stems=stems)
        return StreamingSeparator(model, chunking=chunking, stems=stems)
    if chunking is not None and chunking != model.config.chunking:
        again = recut(model, chunking)
        assert isinstance(again, Composite)
        model = again
    if isinstance(model, Cascade):
        return CascadeStream(model, stems, post)
    assert isinstance(model, Ensemble)
    return EnsembleStream(model, stems)
