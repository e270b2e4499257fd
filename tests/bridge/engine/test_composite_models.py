# SPDX-License-Identifier: GPL-3.0-or-later
"""Composites behind the bridge give what they give in a script."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from lars_plugin.audio import read_audio, write_audio
from lars_plugin.bridge.local_engine import EngineThread
from lars_plugin.composites.composite import Cascade, Ensemble
from lars_plugin.model import Model
from lars_plugin.separation.separator import Separator
from lars_plugin.testing import GainModel

Wave = NDArray[np.float32]

MUSIC = ("vocals", "bass", "drums", "other")
KIT = ("kick", "snare", "ride")


def cascade(chunk: int = 300) -> Cascade:
    music = GainModel([0.25, 0.5, 0.75, 1], MUSIC, 1024)
    return Cascade(music, GainModel([0.5, 2, 1], KIT, chunk))


def ensemble() -> Ensemble:
    one, two = (GainModel([gain, 2, 1], KIT, chunk) for gain, chunk in ((1, 512), (3, 700)))
    return Ensemble([one, Model(dataclasses.replace(two.config, name="two"), two.backend)])


MODELS: dict[str, Callable[[], Model]] = {
    "cascade": cascade,
    "fused": lambda: cascade(1024),
    "ensemble": ensemble,
}


@pytest.fixture(scope="module")
def engine() -> Iterator[EngineThread]:
    with EngineThread(MODELS) as engine:
        yield engine


@pytest.fixture(scope="module")
def audio() -> Wave:
    return np.random.default_rng(5).uniform(-0.5, 0.5, (2, 20_000)).astype(np.float32)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("mode", ["offline", "live"])
def test_a_stream_gives_what_the_separator_gives(
    engine: EngineThread, audio: Wave, name: str, mode: Literal["live", "offline"]
) -> None:
    wanted = Separator(MODELS[name]()).separate(audio, 44100)
    with engine.client() as client:
        opened = client.open(name, 44100, 2, mode=mode, max_block=512)
        parts = [
            client.process(audio[:, start : start + 512], patience=10.0)
            for start in range(0, audio.shape[1], 512)
        ]
        parts.append(client.flush())
        for stem in opened.stems:
            made = np.concatenate([part[stem] for part in parts], axis=1)
            # These models only scale, so live chunks change nothing but the latency.
            made = made[:, made.shape[1] - audio.shape[1] :]
            np.testing.assert_allclose(made, wanted[stem], atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_a_job_gives_what_the_separator_gives(
    engine: EngineThread, audio: Wave, name: str, tmp_path: Path
) -> None:
    write_audio(tmp_path / "song.wav", audio, 44100, bits="32f")
    wanted = Separator(MODELS[name]()).separate(audio, 44100)
    with engine.client() as client:
        files = client.separate_file(tmp_path / "song.wav", tmp_path / "out", name, bits="32f")
    assert {path.stem for path in files} == set(wanted)
    for path in files:
        np.testing.assert_array_equal(read_audio(path)[0], wanted[path.stem])
