# SPDX-License-Identifier: GPL-3.0-or-later
"""Augmentations that are left out."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import pytest

from lars_plugin.errors import InputError
from lars_plugin.training.data.pool import PoolConfig, make_source
from lars_plugin.training.render.augmentations import (
    AUGMENTATIONS,
    BALANCES,
    RECORDS,
    check_augmentations,
    left_out,
)
from lars_plugin.training.render.fullmix import FullMixRenderer
from lars_plugin.training.render.records import Records, RecordsConfig
from lars_plugin.training.render.renderer import Renderer, RendererConfig


def test_every_augmentation_is_one_probability_of_one_source() -> None:
    check_augmentations(AUGMENTATIONS)
    for name in set(AUGMENTATIONS) - {RECORDS, BALANCES}:
        changed = []
        for config in (RendererConfig(), RecordsConfig()):
            before, after = asdict(config), asdict(left_out(config, [name]))
            changed += [key for key in before if before[key] != after[key]]
            assert all(after[key] == 0 for key in changed if key in after)
        assert changed == [name]
        assert 0 < {**asdict(RendererConfig()), **asdict(RecordsConfig())}[name] <= 1


def test_an_unknown_augmentation_is_refused_and_those_known_are_listed() -> None:
    with pytest.raises(InputError, match=r"unknown augmentation 'rooms': use .*room, .*records"):
        check_augmentations(["room", "rooms"])


def test_what_is_left_out_is_left_out_of_all_sources(data: Any) -> None:
    config = PoolConfig(
        kits=str(data.kits), grooves=str(data.grooves), segment=8192, batch=2, pool=4, workers=1,
        synthetic_kits=1, seed=0, records=0.5, accompaniment="synthetic",
        without=("mono", "room", "encoded"),
    )  # fmt: skip
    records = make_source(config, 0)
    assert isinstance(records, Records)
    assert (records.config.treated, records.config.encoded) == (0.5, 0)
    mixes = records.source
    assert isinstance(mixes, FullMixRenderer)
    assert mixes.config.mono == 0 < mixes.config.bus
    drums = mixes.drums
    assert isinstance(drums, Renderer)
    assert (drums.config.mono, drums.config.room) == (0, 0)
    assert drums.config.plate > 0
    assert isinstance(make_source(replace(config, without=(RECORDS,)), 0), FullMixRenderer)
