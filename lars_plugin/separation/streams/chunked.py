# SPDX-License-Identifier: GPL-3.0-or-later
"""StreamingSeparator: the one place where audio is cut into chunks and put together again."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Sequence

import numpy as np

from lars_plugin.errors import EngineError, InputError, NonFiniteError
from lars_plugin.model import AnyModel, Chunking, Wave
from lars_plugin.separation.streams import chunking as grid
from lars_plugin.separation.streams.base import (
    ModelStream,
    Run,
    Steps,
    choose_stems,
)
from lars_plugin.separation.streams.views import has_views, view_of

__all__ = ["StreamingSeparator"]


class StreamingSeparator(ModelStream):
    """Pushes audio of any block size through a model and returns the finished stems.

    However the input is split into blocks, the output is the same to the bit: chunks lie on a
    fixed grid and are batched by their number, never by what happens to be waiting.

    What the network is shown of a chunk is its view: :mod:`lars_plugin.separation.streams.views`.

    Args:
        model: runs at its own rate and channel count; for any other see
            :func:`~lars_plugin.separation.streams.open.open_stream`.
        chunking: instead of the model's own.
        stems: canonical names of those wanted, in this order; all for None.
    """

    def __init__(
        self,
        model: AnyModel,
        *,
        chunking: Chunking | None = None,
        stems: Sequence[str] | None = None,
    ) -> None:
        self._model = model
        self._chunking = chunking or model.config.chunking
        self._chosen = choose_stems(model, stems)
        config = model.config
        super().__init__(
            [config.stems[index] for index in self._chosen], config.channels, config.sample_rate
        )
        self._all_chosen = self._chosen == tuple(range(len(config.stems)))
        self._weights: dict[tuple[bool, bool], Wave] = {}
        # A batch is ready when it is whole and known not to hold the last chunk.
        size, step, batch = self._chunking.chunk_size, self._chunking.step, self.batch_size
        self._group = (batch - 1) * step + size
        self._ahead = 0 if self._chunking.convention == "live" else 1
        self._input = np.empty(
            (self.channels, max(self._group + self._ahead, 3 * self._chunking.border + 1)),
            np.float32,
        )
        self._sum = np.empty((len(self._chosen), self.channels, self._group), np.float32)
        self._weight = np.empty(self._group, np.float32)
        self.reset()

    @property
    def batch_size(self) -> int:
        """Chunks per run of the network."""
        return self._chunking.batch_size

    @property
    def latency_samples(self) -> int:
        """The most samples by which the output trails the input; constant."""
        return grid.latency_samples(self._chunking)

    def reset(self) -> None:
        """Go back to the initial state."""
        super().reset()
        border = grid.padding(self._chunking)
        self._pushed = 0  # input samples so far
        self._emitted = 0  # output samples so far
        self._chunk = 0  # number of the next chunk
        self._origin = 0  # padded position of the first sample in the buffers
        self._decided = border == 0 or self._chunking.convention == "live"
        self._left = border if self._decided else 0
        # The padding's place is kept free in front of the input until it is known.
        self._filled = border
        self._input[:, :border] = 0
        self._sum[:] = 0
        self._weight[:] = 0
        self._past = np.zeros((self.channels, self._chunking.chunk_size // 2), np.float32)
        self._flushed = False

    def begin_at(self, sample: int) -> int | None:
        self.reset()
        begin = grid.begin_before(self._chunking, sample)
        if begin:
            # As after the batch before: chunks of earlier batches do not reach the sample.
            self._chunk = begin
            self._origin = begin * self._chunking.step
            self._left = grid.padding(self._chunking)
            self._pushed = self._origin - self._left
            self._filled = 0
            self._decided = True
        self._emitted = sample
        return self._pushed

    def push_checked(self, wave: Wave) -> Steps:
        if self._flushed:
            raise InputError("the stream was flushed; call reset() before pushing again")
        done: list[Wave] = []
        start = 0
        while start < wave.shape[1]:
            take = min(wave.shape[1] - start, self._input.shape[1] - self._filled)
            self._input[:, self._filled : self._filled + take] = wave[:, start : start + take]
            start += take
            self._filled += take
            self._pushed += take
            if not self._decided and grid.is_padded(self._chunking, self._pushed):
                self._decide()
            while self._decided and self._filled >= self._group + self._ahead:
                done.append((yield from self._run_group()))
        return self._joined(done)

    def flush_steps(self) -> Steps:
        if self._flushed:
            return self._joined([])
        self._flushed = True
        if self._pushed == 0:
            return self._joined([])
        chunking, border = self._chunking, grid.padding(self._chunking)
        if chunking.convention == "live":
            rest = self._input[:, : self._filled]
            # As many chunks as it takes for the last input sample to be final.
            need = border + self._pushed - grid.settled(chunking)
            total = max(0, -(-need // chunking.step)) + 1 - self._chunk
            missing = max(0, (total - 1) * chunking.step + chunking.chunk_size - rest.shape[1])
            rest = np.pad(rest, ((0, 0), (0, missing)))
        elif self._decided:
            rest = self._input[:, : self._filled]
            if border:
                rest = np.concatenate([rest, grid.right_padding(chunking, rest)], axis=1)
            total = -(-rest.shape[1] // chunking.step)
        else:
            rest = self._input[:, border : self._filled]
            total = -(-rest.shape[1] // chunking.step)
        return self._joined([(yield from self._run_rest(rest, total))])

    def _decide(self) -> None:
        border = self._chunking.border
        self._input[:, :border] = grid.left_padding(
            self._chunking, self._input[:, border : self._filled]
        )
        self._decided, self._left = True, border

    def _run_group(self) -> Steps:
        """Run one batch of whole chunks from the front of the input and drop what it used."""
        chunking, batch = self._chunking, self.batch_size
        step, size = chunking.step, chunking.chunk_size
        # New memory, not a view: the input moves on, and the network may keep what it sees.
        chunks = np.empty((batch, self.channels, size), np.float32)
        for k in range(batch):
            chunks[k] = self._input[:, k * step : k * step + size]
        yield from self._add(chunks, [size] * batch, last=False)
        used = batch * step
        if grid.is_triangular(chunking):
            both = np.concatenate([self._past, self._input[:, :used]], axis=1)
            self._past = both[:, used:]
        finished = (batch - 1) * step + grid.settled(chunking)
        out = self._take(finished)
        for array in (self._sum, self._weight):
            if used < self._group:
                array[..., : self._group - used] = array[..., used:].copy()
            array[..., self._group - used :] = 0
        kept = self._filled - used
        if kept:
            self._input[:, :kept] = self._input[:, used : self._filled].copy()
        self._filled = kept
        self._origin += used
        return out

    def _run_rest(self, rest: Wave, total: int) -> Steps:
        """Run the last ``total`` chunks, of which those at the end may be partial."""
        chunking = self._chunking
        step, size = chunking.step, chunking.chunk_size
        length = (total - 1) * step + size
        sums = np.zeros((*self._sum.shape[:2], max(length, self._group)), np.float32)
        weights = np.zeros(sums.shape[2], np.float32)
        sums[..., : self._group], weights[: self._group] = self._sum, self._weight
        self._sum, self._weight = sums, weights
        for start in range(0, total, self.batch_size):
            numbers = range(start, min(total, start + self.batch_size))
            parts = [self._part(rest, k) for k in numbers]
            lengths = [min(size, rest.shape[1] - k * step) for k in numbers]
            last = start + self.batch_size >= total
            # Together as far as they are of one length.
            for first, count in _runs([part.shape[1] for part in parts]):
                yield from self._add(
                    np.stack(parts[first : first + count]),
                    lengths[first : first + count],
                    last=last and first + count == len(parts),
                    offset=(start + first) * step,
                )
        out = self._take(length)
        self._sum = np.empty((*sums.shape[:2], self._group), np.float32)
        self._weight = np.empty(self._group, np.float32)
        return out

    def _part(self, rest: Wave, number: int) -> Wave:
        """What the network sees of the chunk of that number in the rest of the input."""
        half = self._past.shape[1]
        begin = number * self._chunking.step
        past = rest[:, max(0, begin - half) : begin]
        if past.shape[1] < half:
            past = np.concatenate([self._past[:, past.shape[1] :], past], axis=1)
        part = rest[:, begin : begin + self._chunking.chunk_size]
        return grid.pad_chunk(self._chunking, part, past)

    def _add(
        self, chunks: Wave, lengths: list[int], *, last: bool, offset: int = 0
    ) -> Generator[Run, Wave | None, None]:
        """Have the network see ``(n, channels, chunk_size)`` and add the weighted result."""
        step = self._chunking.step
        viewed = has_views(self._model.config)
        views = [view_of(chunk) if viewed else None for chunk in chunks]
        shown = chunks
        if any(views):
            shown = np.stack([view.show(chunk) if view else chunk
                              for view, chunk in zip(views, chunks, strict=True)])  # fmt: skip
        result = self._checked(shown, (yield Run(shown, self._model.backend)))
        if shown is not chunks:
            count = len(self._model.config.stems)
            result = np.stack([
                view.give_back(chunk, seen, stems, count) if view else stems
                for view, chunk, seen, stems in zip(views, chunks, shown, result, strict=True)
            ])  # fmt: skip
        for index, length in enumerate(lengths):
            weights = self._weights_of(self._chunk == 0, last and index == len(lengths) - 1)
            if length < len(weights):
                weights = weights[:length]
            begin = offset + index * step
            lead = grid.lead(self._chunking, length)
            self._sum[..., begin : begin + length] += (
                result[index, ..., lead : lead + length] * weights
            )
            self._weight[begin : begin + length] += weights
            self._chunk += 1

    def _weights_of(self, first: bool, last: bool) -> Wave:
        weights = self._weights.get((first, last))
        if weights is None:
            weights = grid.chunk_weights(self._chunking, first=first, last=last)
            self._weights[first, last] = weights
        return weights

    def _checked(self, chunks: Wave, result: Wave | None) -> Wave:
        """The network's result, of the stems chosen, or an error."""
        if result is None:
            raise InputError("send what the network made of the chunks")
        wanted = (chunks.shape[0], len(self._model.config.stems), *chunks.shape[1:])
        if result.shape != wanted:
            raise EngineError(
                f"model {self._model.config.name!r} returned {result.shape}, expected {wanted};"
                " its configuration does not fit its network"
            )
        if not self._all_chosen:
            result = result[:, list(self._chosen)]
        if np.count_nonzero(np.isfinite(result)) != result.size:
            raise NonFiniteError(
                f"model {self._model.config.name!r} returned NaN or Inf near second"
                f" {self._emitted / self.sample_rate:.2f}; try precision float32, or other weights"
            )
        return result

    def _take(self, finished: int) -> Wave:
        """Weighted means of what is final, up to ``finished`` past the origin, not yet given."""
        begin = self._left + self._emitted - self._origin
        end = max(begin, min(finished, begin + self._pushed - self._emitted))
        total = self._weight[begin:end]
        out = np.zeros((*self._sum.shape[:2], end - begin), np.float32)
        # No weight at all (a fade that reaches zero at overlap 1) is silence, by convention.
        np.divide(self._sum[..., begin:end], total, out=out, where=total > 0)
        self._emitted += end - begin
        return out


def _runs(lengths: Sequence[int]) -> list[tuple[int, int]]:
    """Runs of equal numbers: the first's place and how many."""
    found, first = [], 0
    for _, group in itertools.groupby(lengths):
        count = len(list(group))
        found.append((first, count))
        first += count
    return found
