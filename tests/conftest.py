# SPDX-License-Identifier: GPL-3.0-or-later
"""Set-up of all tests."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from lars_plugin.model import Chunking
from tests import engines
from tests.models import config, model_folder

# A job in the background of a script, as a CI runner may start us, ignores Ctrl-C and hands that
# down to its children; the tests that send it to a child need it to arrive.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# Whoever stops a run that takes too long sends this; the fixtures' engines must end then, too.
signal.signal(signal.SIGTERM, signal.default_int_handler)

# No test finds the user's engine, or tells the user's plugin where this installation is. For good
# and not for a fixture's time: what a plugin that was loaded into this process looks up later, when
# its test is over, is not the user's either.
_own = tempfile.mkdtemp(prefix="lars-tests-")
atexit.register(shutil.rmtree, _own, ignore_errors=True)
os.environ["LARS_RUNTIME_DIR"] = os.path.join(_own, "run")
os.environ["XDG_DATA_HOME"] = os.path.join(_own, "data")
os.environ[engines.MARK] = uuid.uuid4().hex


@pytest.fixture(scope="session", autouse=True)
def no_engine_stays() -> Iterator[None]:
    """The first fixture of a run, so the last to end: by then all engines have ended."""
    yield
    left = engines.left_behind(seconds=10.0)
    engines.end(left)
    assert not left, f"these engines were left behind, and are ended now: {left}"


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with a small network of random weights."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    chunking = Chunking(16384, 2.0, batch_size=2)
    return model_folder(folder, config(chunking=chunking, presets={"fast": 1.25}))
