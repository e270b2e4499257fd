# SPDX-License-Identifier: GPL-3.0-or-later
"""LARS for Python: drum recordings in, kick, snare, toms, hi-hat, ride and crash out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import lars_plugin.forks  # noqa: F401 # notices forks from now on
from lars_plugin.errors import (
    AudioFileError,
    BridgeError,
    CancelledError,
    DatasetError,
    EngineError,
    InputError,
    LarsError,
    ModelError,
    ModelFormatError,
    ModelIntegrityError,
    ModelNotFoundError,
    NonFiniteError,
)
from lars_plugin.stems import Stems

if TYPE_CHECKING:
    from lars_plugin.audio import read_audio
    from lars_plugin.chain.board import StemBoard
    from lars_plugin.chain.node import StemSeparator
    from lars_plugin.midi.file import to_midi
    from lars_plugin.midi.hits import DrumHit
    from lars_plugin.midi.transcribe import transcribe, transcribe_mixture
    from lars_plugin.refine.postprocess import PostProcessing
    from lars_plugin.separation.separator import Separator
    from lars_plugin.separation.streams.chunked import StreamingSeparator
    from lars_plugin.zoo import list_models, load_model
    from lars_plugin.zoo.composites import AutoEnsemble, Cascade, Ensemble

__version__ = "0.1.0"

__all__ = [
    "AudioFileError",
    "AutoEnsemble",
    "BridgeError",
    "CancelledError",
    "Cascade",
    "DatasetError",
    "DrumHit",
    "EngineError",
    "Ensemble",
    "InputError",
    "LarsError",
    "ModelError",
    "ModelFormatError",
    "ModelIntegrityError",
    "ModelNotFoundError",
    "NonFiniteError",
    "PostProcessing",
    "Separator",
    "StemBoard",
    "StemSeparator",
    "Stems",
    "StreamingSeparator",
    "list_models",
    "load_model",
    "read_audio",
    "to_midi",
    "transcribe",
    "transcribe_mixture",
]

# Resolved on first use, so that `import lars_plugin` costs no heavy import.
_LAZY = {
    "AutoEnsemble": "lars_plugin.zoo.composites",
    "Cascade": "lars_plugin.zoo.composites",
    "Ensemble": "lars_plugin.zoo.composites",
    "PostProcessing": "lars_plugin.refine.postprocess",
    "DrumHit": "lars_plugin.midi.hits",
    "Separator": "lars_plugin.separation.separator",
    "StreamingSeparator": "lars_plugin.separation.streams.chunked",
    "StemBoard": "lars_plugin.chain.board",
    "StemSeparator": "lars_plugin.chain.node",
    "list_models": "lars_plugin.zoo",
    "load_model": "lars_plugin.zoo",
    "read_audio": "lars_plugin.audio",
    "to_midi": "lars_plugin.midi.file",
    "transcribe": "lars_plugin.midi.transcribe",
    "transcribe_mixture": "lars_plugin.midi.transcribe",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        import importlib

        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
