# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading ahead and writing behind: files are decoded and encoded while the network runs.

Both hold a bounded number of items, so memory does not grow with the length of a file, and both
have their thread ended and joined when their ``with`` block is left, however it is left.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Generic, TypeVar

__all__ = ["Ahead", "Behind"]

Item = TypeVar("Item")

# Seconds after which a thread that waits looks whether it shall end.
_LOOK = 0.1


class _End:
    """Stands behind the last item, with the error that ended the items before their time."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


class _Thread:
    """A thread and the queue between it and its owner."""

    def __init__(self, name: str, size: int) -> None:
        self._items: queue.Queue[object] = queue.Queue(size)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    def _work(self) -> None:
        raise NotImplementedError

    def _put(self, item: object, ended: Callable[[], bool]) -> bool:
        """Hand an item over as soon as there is room; False when there is no use in it."""
        while not ended():
            try:
                self._items.put(item, timeout=_LOOK)
                return True
            except queue.Full:
                continue
        return False

    def _stop(self) -> None:
        self._stopped.set()
        self._thread.join()


class Ahead(_Thread, Generic[Item]):
    """Iterates in a thread of its own, ``size`` items ahead of whoever iterates over this.

    An exception comes out where the item would have come that it prevented.

    Args:
        items: used in that thread only.
        size: of the queue.
        idle: called ten times a second while the next item is waited for; may raise.
        stop: ends the wait for an item in that thread.
    """

    def __init__(
        self,
        items: Iterable[Item],
        size: int,
        idle: Callable[[], object] = lambda: None,
        stop: Callable[[], object] = lambda: None,
    ) -> None:
        super().__init__("lars-ahead", size)
        self._source, self._idle, self._end = items, idle, stop
        self._thread.start()

    def _work(self) -> None:
        try:
            for item in self._source:
                if not self._put(item, self._stopped.is_set):
                    return
        except BaseException as error:
            self._put(_End(error), self._stopped.is_set)
        else:
            self._put(_End(), self._stopped.is_set)

    def __iter__(self) -> Iterator[Item]:
        while True:
            try:
                item = self._items.get(timeout=_LOOK)
            except queue.Empty:
                self._idle()
                continue
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item  # type: ignore[misc]  # the queue holds items and one end

    def __enter__(self) -> Ahead[Item]:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        self._stop()


class Behind(_Thread, Generic[Item]):
    """Calls ``work(item)`` in a thread of its own, for one item after the other.

    An exception of ``work`` is raised by the next :meth:`put`, or when the ``with`` block is left,
    which waits for all items; when the block is left by an exception, the rest is dropped.

    Args:
        work: used in that thread only.
        size: of the queue.
    """

    def __init__(self, work: Callable[[Item], object], size: int) -> None:
        super().__init__("lars-behind", size)
        self._call = work
        self._error: BaseException | None = None
        self._thread.start()

    def _work(self) -> None:
        while not self._stopped.is_set():
            try:
                item = self._items.get(timeout=_LOOK)
            except queue.Empty:
                continue
            if isinstance(item, _End):
                return
            try:
                self._call(item)  # type: ignore[arg-type]  # the queue holds items and one end
            except BaseException as error:
                self._error = error
                return

    def put(self, item: Item) -> None:
        """Have an item worked on; waits while the queue is full."""
        self._put(item, self._failed)
        self._raise()

    def _failed(self) -> bool:
        return self._error is not None

    def _raise(self) -> None:
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def __enter__(self) -> Behind[Item]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._stop()
            return
        try:
            self._put(_End(), lambda: not self._thread.is_alive())
            self._thread.join()
        finally:
            self._stop()
        self._raise()
