# SPDX-License-Identifier: GPL-3.0-or-later
"""Which backend and precision a network runs with, and why."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from lars_plugin.errors import InputError
from lars_plugin.networks.registry import Architecture, compiled_names, find

__all__ = ["BACKENDS", "PRECISION_CHOICES", "Choice", "choose_backend"]

BACKENDS = ("auto", "torch", "torchscript", "openvino")
PRECISION_CHOICES = ("auto", "float32", "bfloat16", "float16", "int8")


@dataclass(frozen=True)
class Choice:
    """A backend and a precision.

    Attributes:
        backend: ``torch``, ``torchscript`` or ``openvino``.
        precision: ``float32``, ``bfloat16``, ``float16`` or ``int8``.
        reason: why, when something was left to choose; else empty.
    """

    backend: str
    precision: str
    reason: str = ""


def choose_backend(
    backend: str | None,
    precision: str,
    *,
    architecture: str,
    device: str = "auto",
    torchscript: bool = False,
    accelerated: Callable[[], bool],
    openvino: Callable[[], bool],
    bfloat16: Callable[[], bool],
) -> Choice:
    """Settle what was asked for with what there is.

    Args:
        backend: one of :data:`BACKENDS`; None: what the environment variable LARS_BACKEND says,
            or ``auto``.
        precision: one of :data:`PRECISION_CHOICES`.
        architecture: of the model.
        device: as the user gave it.
        torchscript: whether the weights are a TorchScript file.
        accelerated: whether ``auto`` as a device is a graphics card.
        openvino: whether OpenVINO is installed.
        bfloat16: whether the processor has arithmetic for it, as OpenVINO says.

    Raises:
        InputError: unknown names, or things that do not go together.
    """
    requested = backend or os.environ.get("LARS_BACKEND") or "auto"
    if requested not in BACKENDS:
        raise InputError(f"unknown backend {requested!r}; use {', '.join(BACKENDS)}")
    if precision not in PRECISION_CHOICES:
        raise InputError(f"unknown precision {precision!r}; use {', '.join(PRECISION_CHOICES)}")
    if torchscript != (requested == "torchscript") and requested != "auto":
        # LARS_BACKEND is for all models, so it yields where it cannot be meant.
        if backend is None:
            requested = "auto"
        else:
            what = "a TorchScript file" if torchscript else "no TorchScript file"
            raise InputError(f"the model is {what}: backend {requested} cannot run it")
    if torchscript:
        if precision not in ("auto", "float32"):
            raise InputError("the model is a TorchScript file, which runs in float32 only")
        return Choice("torchscript", "float32")
    on_processor = device == "cpu" or (device == "auto" and not accelerated())
    row = find(architecture)
    compiled = row if row is not None and row.prepost else None
    if requested == "openvino" and (compiled is None or device not in ("auto", "cpu")):
        if backend is not None:
            raise InputError(
                f"openvino runs {' and '.join(compiled_names())} networks on the processor, not"
                f" {architecture or 'this one'} on {device}: use --backend torch"
            )
        requested = "auto"
    if precision == "float16":
        if requested == "openvino" and backend is not None:
            raise InputError("openvino has no float16 on processors: use bfloat16 or int8")
        requested = "torch"
    if requested == "openvino" and compiled is not None:
        return _with_openvino(compiled, precision, bfloat16, "")
    if requested == "torch" or compiled is None or not on_processor:
        if precision == "int8":
            raise InputError("int8 needs --backend openvino, on the processor")
        return Choice("torch", "float32" if precision == "auto" else precision)
    if not openvino():
        if precision == "int8":
            raise InputError("int8 needs OpenVINO: run `pip install lars-plugin[openvino,int8]`")
        kept = "float32" if precision == "auto" else precision
        return Choice("torch", kept, "OpenVINO is not installed")
    # In float32 too it is the faster of the two, and starts in half the time (`lars bench`).
    return _with_openvino(compiled, precision, bfloat16, "OpenVINO is installed")


def _with_openvino(
    row: Architecture, precision: str, bfloat16: Callable[[], bool], reason: str
) -> Choice:
    if precision != "auto":
        if precision not in row.precisions:
            raise InputError(
                f"openvino has no {precision} for {row.name} networks; it has"
                f" {', '.join(row.precisions)}"
            )
        return Choice("openvino", precision, reason)
    if row.automatic == "bfloat16" and bfloat16():
        return Choice("openvino", "bfloat16", "this processor has bfloat16 arithmetic")
    return Choice("openvino", "float32", reason)
