# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading ahead and writing behind keep order, bounds and errors, and leave no thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from lars_plugin.separation.prefetch import Ahead, Behind


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    yield
    assert not [
        one.name for one in threading.enumerate() if one.name.startswith(("lars-a", "lars-b"))
    ]


def test_items_come_in_order_and_no_more_than_the_queue_holds_are_made_ahead() -> None:
    made: list[int] = []
    three = threading.Semaphore(0)

    def source() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            three.release()
            yield number

    with Ahead(source(), 2) as ahead:
        for _ in range(3):  # two in the queue, one in the thread's hand
            assert three.acquire(timeout=10)
        assert not three.acquire(timeout=0.3)
        assert len(made) == 3
        assert list(ahead) == list(range(100))


def test_an_error_of_the_source_comes_after_the_items_before_it() -> None:
    def source() -> Iterator[int]:
        yield 1
        yield 2
        raise OSError("damaged")

    with Ahead(source(), 8) as ahead:
        items = iter(ahead)
        assert [next(items), next(items)] == [1, 2]
        with pytest.raises(OSError, match="damaged"):
            next(items)


def test_leaving_early_ends_a_thread_that_waits_for_room() -> None:
    def leave() -> None:
        with Ahead(iter(range(10**9)), 2) as ahead:
            assert next(iter(ahead)) == 0
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        leave()


def test_all_items_are_worked_on_in_order_before_the_block_is_left() -> None:
    done: list[int] = []
    with Behind(done.append, 2) as behind:
        for number in range(1000):
            behind.put(number)
    assert done == list(range(1000))


def test_an_error_of_the_work_is_raised_by_a_later_put_or_at_the_end() -> None:
    def work(number: int) -> None:
        if number == 3:
            raise OSError("the disk is full")

    def run(count: int, size: int) -> None:
        with Behind(work, size) as behind:
            for number in range(count):
                behind.put(number)

    for count, size in ((1000, 1), (4, 8)):
        with pytest.raises(OSError, match="full"):
            run(count, size)


def test_after_an_exception_in_the_block_the_rest_is_dropped() -> None:
    done: list[int] = []
    go = threading.Event()

    def work(number: int) -> None:
        go.wait(10)
        done.append(number)

    def leave() -> None:
        with Behind(work, 4) as behind:
            for number in range(4):
                behind.put(number)
            threading.Timer(0.2, go.set).start()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        leave()
    assert done in ([], [0])
