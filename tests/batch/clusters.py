# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Ray cluster on this machine: a head without room for workers, and nodes with room for
one each."""

from __future__ import annotations

import importlib.util
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

STORE = 80 << 20  # bytes of a node's object store


def _in_time(start: Callable[[], Any]) -> Any:
    """Start a node. Ray gives it 30 s, which a machine with much else to do may not have."""
    for last in (False, False, True):
        try:
            return start()
        except Exception as error:
            if last or "timed out" not in str(error):
                raise
    raise AssertionError


class Nodes:
    """The cluster's address, and its nodes that hold a worker."""

    def __init__(self, cluster: Any) -> None:
        self.cluster = cluster
        self.address = str(cluster.address)
        self.nodes: list[Any] = []

    def add(self) -> Any:
        """One more node."""
        node = _in_time(
            lambda: self.cluster.add_node(
                num_cpus=1, object_store_memory=STORE, include_log_monitor=False
            )
        )
        self.nodes.append(node)
        return node

    def remove(self, node: Any) -> None:
        """Take a node away, as if its machine were switched off."""
        self.nodes.remove(node)
        self.cluster.remove_node(node, allow_graceful=False)


@contextmanager
def nodes(count: int) -> Iterator[Nodes]:
    """A cluster with so many nodes for workers."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("needs the extra 'cluster'")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import ray
        from ray.cluster_utils import Cluster

        logging.getLogger("ray").setLevel(logging.ERROR)
        cluster = _in_time(
            lambda: Cluster(
                initialize_head=True,
                head_node_args={
                    "num_cpus": 0,
                    "object_store_memory": STORE,
                    "include_dashboard": False,
                    # Processes that nobody here listens to, and that take seconds to start.
                    "include_log_monitor": False,
                    "no_monitor": True,
                    # A node that is gone is noticed in seconds, not in a minute.
                    "_system_config": {
                        "health_check_initial_delay_ms": 1000,
                        "health_check_period_ms": 500,
                        "health_check_timeout_ms": 5000,
                        "health_check_failure_threshold": 4,
                        "agent_register_timeout_ms": 300_000,
                    },
                },
            )
        )
        found = Nodes(cluster)
        try:
            for _ in range(count):
                found.add()
            yield found
        finally:
            ray.shutdown()
            cluster.shutdown()  # type: ignore[no-untyped-call]
