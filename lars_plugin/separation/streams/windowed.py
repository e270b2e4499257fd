# SPDX-License-Identifier: GPL-3.0-or-later
"""RefinedStream: a model's stems, refined window by window.

Windows are longer than a network's chunks, because what a kit says again and again is learnt the
better the more often it was heard. They lie on a fixed grid, with a linear cross-fade from each to
the next, and none is shorter than it must be: the last one takes the rest. Like a network's chunk
each is shown to the fit as its view (:mod:`lars_plugin.separation.streams.views`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lars_plugin.dsp.fifo import Fifo
from lars_plugin.model import AnyModel, Chunking, Refinement, Wave
from lars_plugin.refine.refiner import Refiner
from lars_plugin.separation.streams.base import ModelStream, Steps, pause
from lars_plugin.separation.streams.views import view_of
from lars_plugin.separation.strokes import StrokeListener

__all__ = ["RefinedStream", "is_refined"]


def is_refined(model: AnyModel, chunking: Chunking | None = None) -> bool:
    """Whether stems of this model are refined: offline only. Live there is no time for it, nor
    enough of the recording."""
    settings = model.config.refinement
    offline = (chunking or model.config.chunking).convention not in ("live", "causal")
    return settings is not None and settings.fits > 0 and offline


class RefinedStream(ModelStream):
    """Stems of another stream, refined.

    Args:
        rough: gives all stems of a model, at its rate.
        settings: of the refinement.
        stems: names of those that are returned, in this order; all for None. All are computed.
        viewed: whether windows are shown to the fit as their views.
        backend: name of what runs the model, which runs what hears strokes, too.
    """

    def __init__(
        self,
        rough: ModelStream,
        settings: Refinement,
        *,
        stems: Sequence[str] | None = None,
        viewed: bool = False,
        backend: str = "",
    ) -> None:
        kept = rough.stems if stems is None else tuple(stems)
        super().__init__(kept, rough.channels, rough.sample_rate)
        self._rough = rough
        self._keep = [rough.stems.index(stem) for stem in kept]
        self._refine = Refiner(settings, rough.stems, rough.sample_rate)
        self._listen = None
        if settings.templates:
            # What runs the model runs the transcriber: whoever asked for PyTorch has a reason.
            kind = "openvino" if backend.startswith("openvino") else "torch"
            self._listen = StrokeListener(rough.stems, rough.sample_rate, kind)
        self._viewed = viewed
        self._fade = max(1, settings.window // 12)
        self._step = settings.window - self._fade
        rising = (np.arange(self._fade, dtype=np.float32) + np.float32(0.5)) / self._fade
        self._rising: Wave = rising
        self.reset()

    @property
    def latency_samples(self) -> int:
        """The most samples by which the output trails the input; constant."""
        return self._rough.latency_samples + 2 * self._step + self._fade

    def reset(self) -> None:
        """Go back to the initial state."""
        super().reset()
        self._rough.reset()
        rows = (len(self._rough.stems) + 1) * self.channels
        self._mixture = Fifo((self.channels,))  # what the network's stems still wait for
        self._waiting = Fifo((rows,))  # the mixture's channels, then the stems'
        self._overlap = np.empty((rows, 0), np.float32)  # what the window before ended with
        self._tail: Wave | None = None  # the same, refined and fading out
        self._early = self._drop = 0  # input and output samples that are not wanted

    def begin_at(self, sample: int) -> int | None:
        self.reset()
        # The window before fades into the one that the sample is in.
        window = max(0, sample // self._step - 1) * self._step
        begin = self._rough.begin_at(window)
        if begin is not None:
            self._early, self._drop = window - begin, sample - window
        return begin

    def push_checked(self, wave: Wave) -> Steps:
        result = yield from self._rough.push_checked(wave)
        # What the network heard before the first window is not for the windows.
        early = min(self._early, wave.shape[1])
        self._early -= early
        # Copied: the caller may fill its block again.
        self._mixture.append(wave[:, early:].copy())
        return self._wanted((yield from self._run_whole(result)))

    def flush_steps(self) -> Steps:
        result = yield from self._run_whole((yield from self._rough.flush_steps()))
        if not self._ready:
            return self._wanted(result)
        last = yield from self._run(self._waiting.samples, last=True)
        return self._wanted(np.concatenate([result, last], axis=2))

    def _wanted(self, stems: Wave) -> Wave:
        """Without what lies before the sample that the stream began at."""
        drop = min(self._drop, stems.shape[2])
        self._drop -= drop
        return stems[..., drop:]

    @property
    def _ready(self) -> int:
        """Samples from the next window's start on."""
        return self._overlap.shape[1] + self._waiting.samples

    def _run_whole(self, stems: Wave) -> Steps:
        """Take the network's stems and run the windows that are not the last."""
        self._add(stems)
        done = [stems[self._keep][..., :0]]
        window = self._step + self._fade
        # The last window is at least as long as the others, so one more must be sure to come.
        while self._ready >= self._step + window:
            done.append((yield from self._run(window - self._overlap.shape[1], last=False)))
        return np.concatenate(done, axis=2)

    def _add(self, stems: Wave) -> None:
        mixture = self._mixture.take(stems.shape[2])
        rows = stems.reshape(stems.shape[0] * self.channels, stems.shape[2])
        self._waiting.append(np.concatenate([mixture, rows]))

    def _run(self, new: int, *, last: bool) -> Steps:
        """What a window finishes that so many samples complete: all but the fade into the next."""
        rows = np.concatenate([self._overlap, self._waiting.take(new)], axis=1)
        mixture, stems = rows[: self.channels], rows[self.channels :]
        stems = stems.reshape(len(self._rough.stems), self.channels, rows.shape[1])
        result = (yield from self._updates(mixture, stems))[self._keep]
        if self._tail is not None:
            result[..., : self._fade] *= self._rising
            result[..., : self._fade] += self._tail
        self._tail, self._overlap = None, rows[:, :0]
        if last:
            return result
        self._tail = result[..., self._step :] * self._rising[::-1]
        self._overlap = rows[:, self._step :].copy()
        return result[..., : self._step]

    def _updates(self, mixture: Wave, stems: Wave) -> Steps:
        """The fit, with a pause after each update: it takes seconds, a network's run does not."""
        view, shown = view_of(mixture) if self._viewed else None, mixture
        if view is not None:
            shown, stems = view.show(mixture), view.show_stems(stems)
        strokes = None if self._listen is None else self._listen(shown)
        updates = self._refine.updates(shown, stems, strokes)
        while True:
            try:
                next(updates)
            except StopIteration as stop:
                result: Wave = stop.value
                if view is not None:
                    result = view.give_back(mixture, shown, result, len(result))
                return result
            yield pause()
