# SPDX-License-Identifier: GPL-3.0-or-later
"""LiveChain: a stem's effects as a stream that can be changed while it plays, without a click.

Every effect has a wet and a dry path that are equally late. A bypass fades from one to the other, a
new effect fades in, one that goes fades out first; so the order of the others is changed while they
are all dry. Only effects with a latency that come, go or change places need a new beginning.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lars_plugin.chain.serial import Delayed
from lars_plugin.chain.units import BLOCK, Unit, in_one_line
from lars_plugin.dsp.fifo import Fifo
from lars_plugin.errors import InputError, LarsError
from lars_plugin.model import Wave

__all__ = ["LiveChain", "Slot"]

_FADE_SECONDS = 0.01


class Slot:
    """One place in a chain.

    Args:
        key: by which a client knows it; unique in its chain.
        effect, name: see ``make_unit``.
        unit: the effect; None for one that could not be made, which passes all audio.
        error: why it could not.
        channels: of the audio.
        sample_rate: Hz.

    Attributes:
        bypass: as the client wants it.
        names: of the plugins in its file, where the client has to choose.
    """

    def __init__(
        self,
        key: str,
        effect: str,
        name: str,
        unit: Unit | None,
        error: str,
        channels: int,
        sample_rate: float,
        names: Sequence[str] = (),
    ) -> None:
        self.key, self.effect, self.name = key, effect, name
        self.unit, self.error = unit, error
        self.names = list(names)
        self.bypass = False
        self.latency_samples = unit.latency_samples if unit is not None else 0
        self._channels = channels
        self._step = BLOCK / (_FADE_SECONDS * sample_rate)  # of the gain, per block
        self._gain = self._goal = 0.0  # of the wet path
        self._hold = 0  # samples until the wet path has anything to say
        self._dry = Fifo((channels,))
        self.reset()

    def reset(self) -> None:
        """Forget all audio, and be at once what is wanted."""
        if self.unit is not None:
            self.unit.reset()
        self._hold = 0
        self._gain = self._goal
        self._dry.clear()
        self._dry.append(np.zeros((self._channels, self.latency_samples), np.float32))

    def fade(self, on: bool) -> None:
        """Go to the wet path, or to the dry one."""
        goal = 1.0 if on and self.unit is not None else 0.0
        if goal and self.is_dry and self.unit is not None:
            self.unit.reset()  # what it rang with when it was left is of long ago
            self._hold = self.latency_samples
        self._goal = goal

    @property
    def is_dry(self) -> bool:
        """Whether nothing of the effect is heard."""
        return not self._gain and not self._goal

    def run(self, block: Wave) -> Wave:
        """``(channels, BLOCK)`` to the same, late by ``latency_samples``.

        An effect that fails passes all audio from that block on; see ``error``.
        """
        dry = block
        if self.latency_samples:
            self._dry.append(block)
            dry = self._dry.take(BLOCK)
        if self.unit is None or self.is_dry:
            return dry
        try:
            self.unit.step()
            wet = self.unit.run(block)
        except Exception as error:  # a plugin may raise anything
            self.unit, self.error = None, in_one_line(error)
            self._gain = self._goal = 0.0
            return dry
        if self._hold > 0:
            self._hold -= BLOCK
            return dry
        if self._gain == self._goal:
            return wet
        before = self._gain
        change = np.clip(self._goal - before, -self._step, self._step)
        self._gain = self._goal if abs(self._goal - before) <= self._step else before + change
        ramp = np.linspace(before, self._gain, BLOCK + 1, dtype=np.float32)[1:]
        mixed: Wave = dry + ramp * (wet - dry)
        return mixed

    def described(self, *, with_state: bool) -> dict[str, object]:
        """What CHAIN_STATE tells of it; JSON types, the state as bytes."""
        description: dict[str, object] = {
            "id": self.key,
            "effect": self.effect,
            "bypass": self.bypass,
            "latency": self.latency_samples,
            "parameters": [] if self.unit is None else self.unit.parameters(),
        }
        if self.name:
            description["name"] = self.name
        if self.names:
            description["names"] = self.names
        if self.error:
            description["error"] = self.error
        if with_state and self.unit is not None and (state := self.unit.state()):
            description["state"] = state
        return description


class LiveChain:
    """Slots in a row, as a stream of one wave.

    Args:
        channels: of input and output.
    """

    stems = ()

    def __init__(self, channels: int) -> None:
        self.slots: list[Slot] = []
        self.errors: list[LarsError] = []  # of effects that failed, until somebody takes them
        self._next: list[Slot] | None = None  # what comes when the fades are over
        self._channels = channels
        self._waiting = Fifo((channels,))
        self._ready = Fifo((channels,))
        self._delayed = Delayed(BLOCK - 1)
        self._late = 0  # samples by which the slots are late
        self._skip = 0  # samples to come from the slots that are of before the beginning
        self._fresh = True  # nothing went in since the beginning

    @property
    def latency_samples(self) -> int:
        """Of all slots, bypassed or not, and of gathering blocks, also where there is no slot."""
        return self._delayed.latency_samples

    @property
    def wanted(self) -> list[Slot]:
        """The slots as they will be when the fades are over."""
        return self.slots if self._next is None else self._next

    def fits(self, slots: Sequence[Slot]) -> bool:
        """Whether ``change`` can go from the present slots to these without a new beginning."""
        return _late(slots) == _late(self.wanted)

    def change(self, slots: Sequence[Slot]) -> None:
        """Have these slots from now on, each as its ``bypass`` says.

        Where they do not fit, or nothing is playing, they are there at once, and all audio is
        forgotten.
        """
        if self._fresh or not self.fits(slots):
            self._install(slots)
            self.reset()
            return
        self._next = list(slots)
        leaving = self._leaving(slots)
        for slot in self.slots:
            slot.fade(slot not in leaving and not slot.bypass)
        self._go_on()

    def push(self, block: Wave) -> Wave:
        """``(channels, n)`` to what is through."""
        self._fresh = False
        self._waiting.append(block.copy())  # the caller may fill its block again
        while self.slots and self._waiting.samples >= BLOCK:
            self._run(self._waiting.take(BLOCK))
        if not self.slots:
            self._ready.append(self._waiting.take(self._waiting.samples))
        return self._ready.take(self._delayed.due(block.shape[1], self._ready.samples))

    def flush(self) -> Wave:
        """The rest; in all exactly as long as the input."""
        owed = self._delayed.rest()
        while self._ready.samples < owed:
            rest = self._waiting.take(min(self._waiting.samples, BLOCK))
            self._run(np.pad(rest, ((0, 0), (0, BLOCK - rest.shape[1]))))
        return self._ready.take(owed)

    def reset(self) -> None:
        """Forget all audio; changes that were under way are made."""
        if self._next is not None:
            self._install(self._next)
        for slot in self.slots:
            slot.fade(not slot.bypass)
            slot.reset()
        self._waiting.clear()
        self._ready.clear()
        self._delayed.restart()
        self._skip = self._late
        self._fresh = True

    @property
    def fresh(self) -> bool:
        """Whether nothing went in since the beginning: settings need not glide."""
        return self._fresh

    def _install(self, slots: Sequence[Slot]) -> None:
        self._late = sum(slot.latency_samples for slot in slots)
        latency = BLOCK - 1 + self._late
        if latency != self._delayed.latency_samples:
            self._delayed = Delayed(latency)
        self.slots, self._next = list(slots), None

    def _go_on(self) -> None:
        """Make the change that waits, once those that go or move are dry."""
        if self._next is None:
            return
        if all(slot.is_dry for slot in self._leaving(self._next)):
            for slot in self._next:
                slot.fade(not slot.bypass)
            self._install(self._next)

    def _leaving(self, slots: Sequence[Slot]) -> list[Slot]:
        """Those that are dry before these slots can be there: all, where the order changes."""
        kept = [slot for slot in self.slots if slot in slots]
        moved = kept != [slot for slot in slots if slot in kept]
        return self.slots if moved else [slot for slot in self.slots if slot not in slots]

    def _run(self, block: Wave) -> None:
        for slot in self.slots:
            had = slot.error
            block = slot.run(block)
            if slot.error != had:
                self.errors.append(
                    InputError(f"{slot.effect} failed and is bypassed: {slot.error}")
                )
        self._go_on()
        skipped = min(self._skip, BLOCK)
        self._skip -= skipped
        self._ready.append(block[:, skipped:])


def _late(slots: Sequence[Slot]) -> list[Slot]:
    return [slot for slot in slots if slot.latency_samples]
