# SPDX-License-Identifier: GPL-3.0-or-later
"""Waking: nothing that was said before a ring is missed, however the threads fall."""

from __future__ import annotations

import threading
from collections import deque

from lars_plugin.bridge.engine.waker import Waker


def test_a_ring_ends_the_sleep_to_come_and_a_sleep_without_one_ends_in_time() -> None:
    waker = Waker(0.01)
    assert not waker.wait()
    waker.wake()
    waker.wake()  # once is enough
    assert waker.wait()
    assert not waker.wait()
    waker.close()


def test_no_word_is_lost_between_many_ringers_and_one_sleeper() -> None:
    waker = Waker(20.0)
    words: deque[int] = deque()
    heard: list[int] = []

    def ringer(start: int) -> None:
        for word in range(start, start + 500):
            words.append(word)
            waker.wake()

    threads = [threading.Thread(target=ringer, args=(500 * number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    while len(heard) < 2000:
        # A lost one would leave this asleep until the time is up.
        assert waker.wait()
        while words:
            heard.append(words.popleft())
    for thread in threads:
        thread.join()
    assert sorted(heard) == list(range(2000))
    waker.close()


def test_ringing_at_a_closed_door_is_harmless() -> None:
    waker = Waker(0.01)
    waker.close()
    waker.wake()
    waker.wake()
