# SPDX-License-Identifier: GPL-3.0-or-later
"""Where this installation is, written down for the plugin, which a desktop starts without a PATH.

The plugin reads ``installed.json`` in the user's data folder and runs the command in it, followed
by ``serve``.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import sysconfig
from pathlib import Path

import platformdirs

from lars_plugin import __version__
from lars_plugin.errors import BridgeError
from lars_plugin.files import replacing

__all__ = ["installed_file", "own_command", "record_installation", "remember_installation"]

log = logging.getLogger(__name__)

_NAME = "installed.json"


def installed_file() -> Path:
    """The file that the plugin reads: ``lars/installed.json`` in the user's data folder."""
    return platformdirs.user_data_path("lars", appauthor=False) / _NAME


def own_command() -> list[str]:
    """The words that run this installation's ``lars``, the first an absolute path.

    A script where there is one: ``python -m`` would look for modules in the folder it is run in.
    """
    name = "lars.exe" if os.name == "nt" else "lars"
    called = Path(sys.argv[0]) if sys.argv else Path()
    folders = [sysconfig.get_path("scripts"), str(Path(sys.executable).parent)]
    places = [called.absolute()] if called.name == name else []
    for place in (*places, *(Path(folder) / name for folder in folders if folder)):
        if place.is_file() and os.access(place, os.X_OK):
            return [str(place)]
    return [sys.executable, "-m", "lars_plugin"]


def record_installation() -> Path:
    """Write down where this installation is; returns the file.

    Raises:
        BridgeError: the file cannot be written.
    """
    path = installed_file()
    text = json.dumps({"command": own_command(), "version": __version__}, indent=1) + "\n"
    with replacing(path, error=BridgeError, mode=0o600) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def remember_installation(*, newest: bool = False) -> None:
    """Record this installation unless one that still exists is recorded; never fails.

    Args:
        newest: record this one even then.
    """
    try:
        if newest or not _recorded_exists():
            record_installation()
    except (BridgeError, OSError, RuntimeError) as error:
        log.debug("not recorded for the plugin: %s", error)


def _recorded_exists() -> bool:
    try:
        words = json.loads(installed_file().read_text("utf-8"))["command"]
        return os.access(words[0], os.X_OK)
    except (OSError, ValueError, LookupError, TypeError):
        return False
