# SPDX-License-Identifier: GPL-3.0-or-later
"""Set-up of all tests."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from lars_plugin.model import Chunking
from tests.models import config, model_folder

# A job in the background of a script, as a CI runner may start us, ignores Ctrl-C and hands that
# down to its children; the tests that send it to a child need it to arrive.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with a small network of random weights."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    chunking = Chunking(16384, 2.0, batch_size=2)
    return model_folder(folder, config(chunking=chunking, presets={"fast": 1.25}))
