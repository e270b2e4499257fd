# SPDX-License-Identifier: GPL-3.0-or-later
"""The zoo's Demucs models: what was published, and what is run of it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from lars_plugin.composites.composite import Ensemble
from lars_plugin.model import Model
from lars_plugin.separation.separator import Separator
from lars_plugin.separation.streams.open import open_stream
from lars_plugin.zoo import get_config
from lars_plugin.zoo.checkpoints import build_network
from lars_plugin.zoo.composite_specs import load_composite, part_names
from lars_plugin.zoo.registry import model_folders

Wave = NDArray[np.float32]

SONG = ("drums", "bass", "other", "vocals")
# name: stems, chunk, convention, beginning of the SHA-256, size, parameters
PUBLISHED = {
    "htdemucs": (SONG, 343980, "demucs", "8726e21a", 84_141_911, 41_984_456),
    "htdemucs_6s": (
        (*SONG, "guitar", "piano"),
        *(343980, "demucs", "34c22ccb", 54_996_327, 27_414_996),
    ),
    "htdemucs_ft_drums": (SONG, 343980, "demucs", "ba3fe64a", 84_141_271, 41_984_456),
    "htdemucs_ft_bass": (SONG, 343980, "demucs", "e57c48e6", 84_141_271, 41_984_456),
    "htdemucs_ft_other": (SONG, 343980, "demucs", "ef3bcb9c", 84_141_271, 41_984_456),
    "htdemucs_ft_vocals": (SONG, 343980, "demucs", "f3cf25b2", 84_141_271, 41_984_456),
    "hdemucs_mmi": (SONG, 1940400, "demucs-short", "", 167_407_275, 83_637_832),
    "drumsep": (
        ("kick", "snare", "cymbals", "toms"),
        *(1764000, "demucs-short", "aefaa854", 167_400_043, 83_637_832),
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_entries_say_what_was_published(name: str) -> None:
    stems, chunk, convention, sha256, size, parameters = PUBLISHED[name]
    config = get_config(name)
    assert config.stems == stems
    assert config.weights is not None
    assert (config.chunking.chunk_size, config.chunking.convention) == (chunk, convention)
    # As `demucs` steps with its overlap of 0.25.
    assert config.chunking.step == int(0.75 * chunk)
    assert config.weights.sha256.startswith(sha256)
    assert len(config.weights.sha256) == (64 if sha256 else 0)
    assert config.weights.size == size
    assert all(url.startswith("https://") for url in config.weights.urls)
    # The field's names of files hold the beginning of their SHA-256.
    assert config.weights.file.partition("-")[2] in ("", f"{sha256 or '1941ce65'}.th")
    with torch.device("meta"):
        network = build_network(config)
    assert sum(p.numel() for p in network.parameters()) == parameters
    # Half precision, and some headers.
    assert 0 < size - 2 * parameters < 250_000


@pytest.mark.parametrize("name", [*PUBLISHED, "htdemucs_ft"])
def test_every_entry_has_a_card(name: str) -> None:
    card = (model_folders()[name] / "README.md").read_text(encoding="utf-8")
    config = get_config(name)
    assert card.startswith(f"# {name}\n")
    assert f"| Stems | {', '.join(config.stems)} |" in card
    if config.weights is not None:
        assert f"`{config.weights.file}`" in card
        assert config.weights.sha256 in card


class Numbered:
    """Stems that are the input times a number, and a count of the chunks."""

    def __init__(self, number: float) -> None:
        self.name, self.number, self.chunks = f"numbered {number}", number, 0

    def __call__(self, batch: Wave) -> Wave:
        self.chunks += len(batch)
        scales = self.number + np.arange(4, dtype=np.float32)
        out: Wave = batch[:, None] * scales[None, :, None, None]
        return out


def bag() -> tuple[Ensemble, dict[str, Numbered]]:
    backends: dict[str, Numbered] = {}

    def load(name: str) -> Model:
        backends[name] = Numbered(10.0 * len(backends))
        config = get_config(name)
        short = dataclasses.replace(config.chunking, chunk_size=100)
        return Model(dataclasses.replace(config, chunking=short, architecture=""), backends[name])

    made = load_composite("htdemucs_ft", load)
    assert isinstance(made, Ensemble)
    return made, backends


def test_a_bag_takes_each_stem_from_its_own_network() -> None:
    made, _ = bag()
    assert part_names("htdemucs_ft") == tuple(f"htdemucs_ft_{stem}" for stem in SONG)
    assert made.config.stems == SONG
    wave = np.random.default_rng(0).standard_normal((2, 333)).astype(np.float32)
    stems = Separator(made).separate(wave, 44100)
    for index, stem in enumerate(SONG):
        np.testing.assert_allclose(stems[stem], wave * (11 * index), rtol=1e-4, atol=1e-4)


def test_of_a_bag_only_the_networks_of_the_wanted_stems_are_run() -> None:
    made, backends = bag()
    assert made.fused
    wave = np.random.default_rng(0).standard_normal((2, 333)).astype(np.float32)
    stream = open_stream(made, stems=["bass"])
    found = np.concatenate([stream.push(wave), stream.flush()], axis=2)
    np.testing.assert_allclose(found[0], wave * 11, rtol=1e-4, atol=1e-4)
    ran = {name for name, backend in backends.items() if backend.chunks}
    assert ran == {"htdemucs_ft_bass"}
