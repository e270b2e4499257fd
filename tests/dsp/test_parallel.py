# SPDX-License-Identifier: GPL-3.0-or-later
"""The limit on NumPy's own threads."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import threadpoolctl

from lars_plugin.dsp.parallel import one_thread_each, run_parts, stoppable
from lars_plugin.errors import CancelledError


def blas_threads() -> list[int]:
    found = threadpoolctl.threadpool_info()
    return [one["num_threads"] for one in found if one["user_api"] == "blas"]


def test_the_thread_limit_is_lifted_by_the_last_who_leaves_in_any_order() -> None:
    def threads() -> list[int]:
        return [one["num_threads"] for one in threadpoolctl.threadpool_info() if is_blas(one)]

    def is_blas(library: dict[str, Any]) -> bool:
        return bool(library["user_api"] == "blas")

    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        before = threads()
        if not before:
            pytest.skip("NumPy has a BLAS here that threadpoolctl does not know")
        first, second = one_thread_each(), one_thread_each()
        first.__enter__()
        second.__enter__()
        assert set(threads()) == {1}
        first.__exit__(None, None, None)  # before the one that came later
        assert set(threads()) == {1}
        second.__exit__(None, None, None)
        assert threads() == before


def test_the_thread_limit_holds_whichever_thread_asked_for_it_first() -> None:
    """threadpoolctl 3.6 and later obey one thread alone for as long as it lives."""
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        if not blas_threads():
            pytest.skip("NumPy has a BLAS here that threadpoolctl does not know")
    done, asked = threading.Event(), threading.Event()
    inside: list[list[int]] = []

    def first() -> None:
        with one_thread_each():
            pass
        asked.set()
        done.wait(60)

    def second() -> None:
        with one_thread_each():
            inside.append(blas_threads())

    one = threading.Thread(target=first)
    one.start()
    asked.wait(60)
    try:
        before = blas_threads()
        for _ in range(2):
            other = threading.Thread(target=second)
            other.start()
            other.join()
        second()
    finally:
        done.set()
        one.join()
    if max(before) == 1:
        pytest.skip("one core: there is no limit to set")
    assert [set(counts) for counts in inside] == [{1}] * 3
    assert blas_threads() == before


@pytest.mark.parametrize("threads", [1, 3])
def test_work_in_parts_stops_at_the_next_part(threads: int) -> None:
    begun: list[int] = []

    def check() -> None:
        if len(begun) >= 5:
            raise CancelledError("stopped")

    with stoppable(check), pytest.raises(CancelledError, match="stopped"):
        run_parts(begun.append, range(1000), threads)
    assert len(begun) < 10
    assert len(run_parts(begun.append, range(20), threads)) == 20  # outside nothing stops it
