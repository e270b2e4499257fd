# SPDX-License-Identifier: GPL-3.0-or-later
"""Ray, where it is installed: connecting to a cluster, and its absence in one line."""

from __future__ import annotations

import logging
from typing import Any

from lars_plugin.errors import BridgeError, InputError

__all__ = ["connect", "import_ray"]


def import_ray() -> Any:
    """The module ``ray``.

    Raises:
        InputError: it is not installed.
    """
    try:
        import ray
    except ImportError as error:
        raise InputError(
            "Ray is not installed: pip install 'lars-plugin[cluster]', here and on all nodes"
        ) from error
    return ray


def connect(address: str) -> Any:
    """Connect this process to a cluster, unless it is connected; returns the module ``ray``.

    Args:
        address: ``auto``, ``HOST:PORT``, ``ray://HOST:PORT``, or ``local`` for a new cluster of
            this machine alone.

    Raises:
        InputError: Ray is not installed.
        BridgeError: there is no cluster, or it does not answer.
    """
    ray = import_ray()
    if ray.is_initialized():
        return ray
    try:
        ray.init(
            address=address,
            log_to_driver=False,
            logging_level=logging.ERROR,
            include_dashboard=False if address == "local" else None,
            configure_logging=False,
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise BridgeError(
            f"cannot connect to Ray at {address}: {reason[:300]}; start a cluster with `ray start"
            " --head`, or give --address"
        ) from error
    return ray
