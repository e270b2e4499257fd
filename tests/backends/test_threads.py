# SPDX-License-Identifier: GPL-3.0-or-later
"""The limit on NumPy's own threads."""

from __future__ import annotations

from typing import Any

import pytest
import threadpoolctl

from lars_plugin.backends.threads import one_thread_each


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
