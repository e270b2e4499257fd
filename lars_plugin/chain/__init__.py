# SPDX-License-Identifier: GPL-3.0-or-later
"""Separation inside chains of effects, in the language of Spotify's pedalboard."""

from lars_plugin.chain.board import StemBoard
from lars_plugin.chain.errors import (
    ArgumentTypeError,
    LayoutError,
    SharedPluginError,
    UnknownStemError,
)
from lars_plugin.chain.node import StemSeparator
from lars_plugin.chain.plugins import PluginList
from lars_plugin.chain.processor import Processor
from lars_plugin.chain.stem_stream import StemStream
from lars_plugin.chain.strips import Strip, Strips

__all__ = [
    "ArgumentTypeError",
    "LayoutError",
    "PluginList",
    "Processor",
    "SharedPluginError",
    "StemBoard",
    "StemSeparator",
    "StemStream",
    "Strip",
    "Strips",
    "UnknownStemError",
]
