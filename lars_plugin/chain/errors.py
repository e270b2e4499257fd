# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors of the chain: ours, and at the same time of the kind that pedalboard raises."""

from __future__ import annotations

from lars_plugin.errors import InputError

__all__ = ["ArgumentTypeError", "LayoutError", "SharedPluginError", "UnknownStemError"]


class ArgumentTypeError(InputError, TypeError):
    """An argument, a dtype or an item of a list has the wrong type."""


class LayoutError(InputError, RuntimeError):
    """The array's shape does not tell which axis holds the channels."""


class SharedPluginError(InputError, RuntimeError):
    """One plugin stands in two places of a chain; its state would serve two signals."""


class UnknownStemError(InputError, KeyError):
    """The model has no stem of that name."""

    __str__ = Exception.__str__  # KeyError's would put the whole message into quotes
