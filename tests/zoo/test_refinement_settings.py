# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of the refinement in a model's file."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import MappingProxyType

import pytest

from lars_plugin.errors import ModelFormatError
from lars_plugin.model import Chunking, ModelConfig, Refinement
from lars_plugin.zoo.command import describe
from lars_plugin.zoo.yaml_configs import dump_config, read_config

STEMS = ("kick", "snare")
SMALL = Refinement(window=16384, n_fft=1020, components=3, iterations=20)


def test_settings_survive_a_file_and_invalid_ones_are_refused(tmp_path: Path) -> None:
    chosen = dataclasses.replace(
        SMALL,
        places=MappingProxyType({"kick": 2}),
        trust=MappingProxyType({"snare": 0.5}),
        mono_trust=MappingProxyType({"kick": 0.25}),
        templates=MappingProxyType({"kick": 0.46}),
        unstruck=MappingProxyType({"kick": 12.5}),
        louder=MappingProxyType({"snare": 26.5}),
        template_updates=6,
        presets=MappingProxyType({"fast": 0}),
    )
    config = ModelConfig("m", STEMS, Chunking(4096, 1.25), architecture="x", refinement=chosen)
    path = tmp_path / "config.yaml"
    path.write_text(dump_config(config), encoding="utf-8")
    assert read_config(path) == config
    told = "templates in time, then 20 updates over 0 s; fits: usually 1, fast 0"
    assert told in describe(config)
    for old, new in (
        ("window: 16384", "window: 1500"),
        ("n_fft: 1020", "n_fft: 1022"),
        ("components: 3", "components: 0"),
        ("iterations: 20", "iterations: 0"),
        ("fits: 1", "fits: -1"),
        ("iterations: 20", "interations: 20"),
        ("kick: 2", "kick: 0"),
        ("kick: 2", "toms: 2"),
        ("snare: 0.5", "snare: 1.5"),
        ("snare: 0.5", "snare: .nan"),
        ("snare: 0.5", "toms: 0.5"),
        ("kick: 0.25", "kick: -0.25"),
        ("kick: 0.25", "toms: 0.25"),
        ("kick: 0.46", "kick: 0"),
        ("kick: 0.46", "kick: 100"),
        ("kick: 0.46", "kick: long"),
        ("kick: 0.46", "toms: 0.46"),
        ("kick: 12.5", "kick: -1"),
        ("kick: 12.5", "kick: 61"),
        ("kick: 12.5", "snare: 12.5"),
        ("snare: 26.5", "snare: -1"),
        ("snare: 26.5", "snare: 101"),
        ("snare: 26.5", "toms: 26.5"),
        ("template_updates: 6", "template_updates: 0"),
        ("template_fft: 9216", "template_fft: 9217"),
        ("fast: 0", "fast: much"),
    ):
        text = dump_config(config)
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")
        with pytest.raises(ModelFormatError):
            read_config(path)
