# SPDX-License-Identifier: GPL-3.0-or-later
"""The errors of this package.

    LarsError
    ├── InputError (ValueError)      an argument or a configuration is wrong
    ├── AudioFileError               an audio file cannot be read or written
    ├── ModelError                   a model cannot be used
    │   ├── ModelNotFoundError       no model of that name, or its weights are not here
    │   ├── ModelIntegrityError      the file is not the one that was published
    │   └── ModelFormatError         weights, config and network do not match
    ├── EngineError (RuntimeError)   running the network failed
    │   └── NonFiniteError           the network returned NaN or Inf
    ├── CancelledError               the caller's callback asked to stop
    ├── DatasetError                 training or evaluation data cannot be used
    └── BridgeError                  the connection between DAW and engine failed
        ├── ProtocolError            bytes that are not a message, or a message out of turn
        ├── AuthError                the peer did not prove that it may connect
        ├── LimitError               a limit of the engine is reached
        └── ConnectionLostError      the peer went away, or did not answer in time

Messages are one line, name the cause and say what to do.
"""

from __future__ import annotations

__all__ = [
    "AudioFileError",
    "AuthError",
    "BridgeError",
    "CancelledError",
    "ConnectionLostError",
    "DatasetError",
    "EngineError",
    "InputError",
    "LarsError",
    "LimitError",
    "ModelError",
    "ModelFormatError",
    "ModelIntegrityError",
    "ModelNotFoundError",
    "NonFiniteError",
    "ProtocolError",
]


class LarsError(Exception):
    """Base of all errors of this package."""


class InputError(LarsError, ValueError):
    """An argument or a configuration is wrong."""


class AudioFileError(LarsError):
    """An audio file cannot be read or written."""


class ModelError(LarsError):
    """A model cannot be used."""


class ModelNotFoundError(ModelError):
    """No model of that name exists, or its weights are not on this machine."""


class ModelIntegrityError(ModelError):
    """A weights file is not the one that was published (size or SHA-256 differ)."""


class ModelFormatError(ModelError):
    """Weights, configuration and network do not match, or the file is unsafe."""


class EngineError(LarsError, RuntimeError):
    """Running the network failed (out of memory, a missing device, a broken graph)."""


class NonFiniteError(EngineError):
    """The network, or its input, holds NaN or Inf."""


class CancelledError(LarsError):
    """The progress callback asked to stop."""


class DatasetError(LarsError):
    """Training or evaluation data are missing or cannot be used."""


class BridgeError(LarsError):
    """The connection between a client and the engine failed."""


class ProtocolError(BridgeError):
    """Bytes that are not a message of the protocol, or a message that is not allowed now."""


class AuthError(BridgeError):
    """The peer did not prove that it may connect."""


class LimitError(BridgeError):
    """A limit of the engine is reached: sessions, models, queues."""


class ConnectionLostError(BridgeError):
    """The peer went away, or did not answer in time."""
