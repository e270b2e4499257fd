# SPDX-License-Identifier: GPL-3.0-or-later
"""The latency table: what it says is what a session reports, for every model kind and rate."""

from __future__ import annotations

import re

import pytest

from lars_plugin.bridge.engine.latency import BLOCKS, RATES, latency_table, live_latency
from lars_plugin.bridge.local_engine import EngineThread
from lars_plugin.cli import main
from lars_plugin.model import Chunking
from lars_plugin.testing import IdentityModel
from lars_plugin.zoo import list_models


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(
    "chunking",
    [
        Chunking(1024, 4, "msst"),
        Chunking(512, 4, "live", lookahead=64, fade=32),
    ],
    ids=lambda chunking: chunking.convention,
)
def test_the_table_says_what_a_session_reports(rate: int, chunking: Chunking) -> None:
    model = IdentityModel(chunking=chunking)
    with EngineThread({"model": lambda: model}) as engine, engine.client() as client:
        for block in BLOCKS:
            opened = client.open("model", rate, max_block=block)
            terms = live_latency(model.config, rate, block)
            assert (terms.model, terms.resampling, terms.buffering) == (
                opened.model_latency,
                opened.resampling_latency,
                opened.buffering_latency,
            )
            assert terms.total == opened.latency
            row = f"| IdentityModel | {rate} | {block} | {opened.model_latency} "
            assert row in latency_table([model.config], [rate], [block])


def test_a_causal_models_terms_are_its_hop_and_its_delay() -> None:
    config = IdentityModel(chunking=Chunking(500, 1, "causal", lookahead=300)).config
    terms = live_latency(config, 44100, 64)
    assert (terms.model, terms.resampling, terms.buffering) == (799, 0, 500)
    assert live_latency(config, 44100, 2048).buffering == 2048
    assert live_latency(config, 48000, 64).resampling > 0


def test_the_command_prints_a_row_for_each_rate_and_block(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["serve", "--latency-table", "lars-mini"]) == 0
    rows = re.findall(r"^\| lars-mini \|(.*)\|$", capsys.readouterr().out, re.M)
    shown: dict[float, list[int]] = {}
    for row in rows:
        rate, blocks, *numbers = row.split("|")
        shown.setdefault(float(rate), []).extend(int(block) for block in blocks.split(","))
        *terms, total, seconds = [float(cell) for cell in numbers]
        assert sum(terms) == total
        assert seconds == pytest.approx(1000 * total / float(rate), abs=0.06)
    assert shown == {rate: list(BLOCKS) for rate in RATES}


def test_the_command_shows_the_live_models_when_none_is_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["serve", "--latency-table"]) == 0
    printed = capsys.readouterr().out
    shown = {row.split("|")[1].strip() for row in printed.splitlines()[2:]}
    assert shown
    assert shown <= {config.name for config in list_models()}
    assert main(["serve", "--latency-table", "no-such-model"]) == 2
    assert "no model no-such-model" in capsys.readouterr().err
