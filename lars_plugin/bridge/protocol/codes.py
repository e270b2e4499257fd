# SPDX-License-Identifier: GPL-3.0-or-later
"""Error codes on the wire, one to one with the exception tree."""

from __future__ import annotations

from lars_plugin import errors
from lars_plugin.bridge.protocol import limits
from lars_plugin.bridge.protocol.messages import Error
from lars_plugin.errors import BridgeError, LarsError

__all__ = ["CODES", "code_of", "error_message", "exception_of"]

# Numbers are for ever; a new exception gets a new one.
CODES: dict[type[LarsError], int] = {
    errors.LarsError: 1,
    errors.InputError: 2,
    errors.AudioFileError: 3,
    errors.ModelError: 4,
    errors.ModelNotFoundError: 5,
    errors.ModelIntegrityError: 6,
    errors.ModelFormatError: 7,
    errors.EngineError: 8,
    errors.NonFiniteError: 9,
    errors.CancelledError: 10,
    errors.DatasetError: 11,
    errors.BridgeError: 12,
    errors.ProtocolError: 13,
    errors.AuthError: 14,
    errors.LimitError: 15,
    errors.ConnectionLostError: 16,
}
_CLASSES = {code: kind for kind, code in CODES.items()}


def code_of(error: BaseException) -> int:
    """The code of an exception, that of its nearest known ancestor, or LarsError's."""
    for kind in type(error).__mro__:
        if kind in CODES:
            return CODES[kind]
    return CODES[LarsError]


def exception_of(message: Error) -> LarsError:
    """The exception that an ERROR stands for."""
    return _CLASSES.get(message.code, BridgeError)(message.message)


def error_message(
    error: BaseException,
    *,
    fatal: bool = False,
    request: int = 0,
    position: int = 0,
    epoch: int = 0,
) -> Error:
    """The ERROR for an exception; one line, cut to what the protocol allows."""
    text = " ".join(str(error).replace("\0", " ").split())
    if not isinstance(error, LarsError):
        text = f"{type(error).__name__}: {text}"
    data = text.encode("utf-8", "replace")[: limits.MAX_TEXT]
    return Error(
        code=code_of(error),
        fatal=int(fatal),
        message=data.decode("utf-8", "ignore"),
        request=request,
        position=position,
        epoch=epoch,
    )
