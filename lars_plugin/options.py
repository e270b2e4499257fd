# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that several commands have: said once, so that they are the same everywhere.

A command calls what it needs with its parser or argument group. Only defaults differ, and what
else a command allows.
"""

from __future__ import annotations

import argparse
import math
from typing import Any

from lars_plugin.backends.choice import BACKENDS, PRECISION_CHOICES

__all__ = [
    "PRESET_CHOICES",
    "add_backend_options",
    "add_cluster_options",
    "add_device_option",
    "add_model_option",
    "add_preset_options",
    "amount",
    "count",
    "name_list",
]

PRESET_CHOICES = ("fast", "balanced", "best")


def name_list(text: str) -> tuple[str, ...]:
    """The type of an option that takes names: ``A,B``, each of them once."""
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def count(text: str) -> int:
    """The type of an option that takes a number of things: 1 or more.

    Raises:
        argparse.ArgumentTypeError, ValueError: it is not.
    """
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, got {number}")
    return number


def amount(text: str) -> float:
    """The type of an option that takes so much of something: 0 or more.

    Raises:
        argparse.ArgumentTypeError, ValueError: it is not.
    """
    number = float(text)
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"must be 0 or more, got {text}")
    return number


def add_model_option(group: Any, *flags: str, more: str = "", **settings: Any) -> None:
    """Which model: a name that :func:`~lars_plugin.zoo.load.load_model` takes.

    Args:
        group: a parser or one of its groups.
        flags: other names of the option.
        more: what else may be given here.
        settings: for ``add_argument``; by default one model, ``lars-mini``.
    """
    settings = {"default": "lars-mini", "dest": "model", **settings}
    more = f"{more}; " if more else ""
    group.add_argument(
        "-m", "--model", *flags, metavar="MODEL", **settings,
        help="a name from `lars models list`, a model's folder, cascade:A,B (A's drums go to B),"
        " A+B (their mean), auto:A,B (the better one, stem by stem), or a file of weights; a model"
        f" may be NAME@PRESET; {more}default: lars-mini",
    )  # fmt: skip


def add_preset_options(group: Any) -> None:
    """How much work for how much quality: a preset, or an overlap of one's own, and shifts."""
    group.add_argument("--preset", choices=PRESET_CHOICES, help="speed against quality")
    group.add_argument("--overlap", type=float, metavar="X",
        help="how many chunks cover a sample, 1 or more; instead of a preset")  # fmt: skip
    group.add_argument("--shifts", type=int, metavar="N",
        help="separate N times with the chunks elsewhere, and take the mean (default: the model's"
        " own, usually 1)")  # fmt: skip


def add_device_option(group: Any, *, default: str = "auto") -> None:
    """Where networks run.

    Args:
        group: a parser or one of its groups.
        default: ``auto``, or a device for a command that has no ``auto``.
    """
    known = "auto, cpu, cuda, cuda:1, mps" if default == "auto" else "cpu, cuda, cuda:1, mps"
    group.add_argument("-d", "--device", default=default, help=f"{known} (default: {default})")


def add_backend_options(group: Any, *, backend: str | None = None, precision: str = "auto") -> None:
    """What runs networks, and in which precision.

    Args:
        group: a parser or one of its groups.
        backend: the default; None: LARS_BACKEND, or auto.
        precision: the default.
    """
    group.add_argument("--backend", choices=BACKENDS, default=backend,
        help="what runs the network; auto is the fastest here"
        f" (default: {backend or 'LARS_BACKEND, or auto'})")  # fmt: skip
    group.add_argument("--precision", choices=PRECISION_CHOICES, default=precision,
        help="auto is the fastest that costs this kind of model less than 0.1 dB; float16 needs"
        f" torch, int8 needs openvino (default: {precision})")  # fmt: skip


def add_cluster_options(group: Any) -> None:
    """Which Ray cluster, and what each of its workers takes."""
    add = group.add_argument
    add("--address", default="auto", metavar="ADDRESS",
        help="of the Ray cluster: auto, HOST:PORT, ray://HOST:10001, or local for one of its own"
        " (default: %(default)s)")  # fmt: skip
    add("--cpus-per-worker", type=amount, default=1.0, metavar="X",
        help="with Ray (default: %(default)s)")  # fmt: skip
    add("--gpus-per-worker", type=amount, default=0.0, metavar="X",
        help="with Ray (default: %(default)s)")  # fmt: skip
