# SPDX-License-Identifier: GPL-3.0-or-later
"""Engines and models for the tests of the bridge."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from lars_plugin.bridge.local_engine import EngineProcess, EngineThread
from lars_plugin.model import Model, Refinement
from lars_plugin.testing import DelayModel
from tests.models import chunked, live, python_path


def refined() -> Model:
    """Its stems are refined when it is used offline."""
    model = chunked()
    settings = Refinement(window=4096, n_fft=258, components=2, iterations=3)
    return Model(dataclasses.replace(model.config, refinement=settings), model.backend)


MODELS = {
    "live": live,
    "chunked": chunked,
    "refined": refined,
    "delayed": lambda: DelayModel(16, chunked()),
}


@pytest.fixture(scope="module")
def engine() -> Iterator[EngineThread]:
    with EngineThread(MODELS) as engine:
        yield engine


@pytest.fixture(scope="module")
def process() -> Iterator[EngineProcess]:
    """``lars serve`` with the models of ``engine_models.py``."""
    environment = {"PYTHONPATH": python_path(Path(__file__).parent)}
    with EngineProcess(
        ["--models-from", "engine_models", "--tcp", "0"], environment=environment
    ) as process:
        yield process
