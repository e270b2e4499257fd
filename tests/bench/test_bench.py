# SPDX-License-Identifier: GPL-3.0-or-later
"""`lars bench`: what it prints and writes, on networks and clips too small for figures."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from lars_plugin.backends.openvino.runtime import has_bfloat16, has_openvino
from lars_plugin.bench import field
from lars_plugin.bench.cases import CASES, FIELD_CASES, Case, cases_for, network_config
from lars_plugin.bench.ceiling import ceiling_tables, chunk_operations, measure_ceiling
from lars_plugin.bench.field import FieldBackend
from lars_plugin.bench.price import _presets, price_of_overlap, price_tables
from lars_plugin.bench.speed import speed_tables
from lars_plugin.bench.startup import measure_command, startup_tables
from lars_plugin.bench.worker import measure
from lars_plugin.cli import main
from lars_plugin.errors import InputError
from lars_plugin.evaluation.datasets import find_clips

RATE = 44100


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """One clip of a second: noise bursts for two stems."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "clips" / "one"
    folder.mkdir(parents=True)
    for stem in ("kick", "snare"):
        wave = 0.1 * rng.standard_normal((RATE, 2)) * (rng.random((RATE, 1)) > 0.5)
        soundfile.write(folder / f"{stem}.wav", wave, RATE, subtype="FLOAT")
    return tmp_path / "clips"


def test_a_quick_run_has_a_row_for_every_case_and_says_what_it_ran_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "bench.json"
    assert main(["bench", "--quick", "--threads", "1", "--only", "tiny", "--json", str(out)]) == 0
    printed = capsys.readouterr()
    found = json.loads(out.read_text())
    assert found["format"] == "lars-bench-1"
    assert {"processor", "cores", "instructions"} <= found["machine"].keys()
    assert found["versions"]["torch"]
    assert "commit" in found
    assert [row["setting"] for row in found["rows"]] == ["paper", "balanced", "balanced"]
    for row in found["rows"]:
        if "openvino" in row["name"] and "error" in row:
            assert "pip install" in row["error"]
            continue
        (part,) = row["rows"]
        assert part["length_s"] == 3.0
        assert 1 <= part["chunks_timed"] <= part["chunks"]
        assert part["rtr_low"] <= part["rtr"] <= part["rtr_high"]
        assert row["peak_memory_mb"] is None or row["peak_memory_mb"] > 50
        assert row["name"] in printed.out
        assert f"{row['name']}: {part['rtr']:.3f} of real time" in printed.err
    (start,) = found["startup"]
    assert start["startup_s_low"] <= start["startup_s"] <= start["startup_s_high"]
    assert "Start-up" in printed.out


def test_the_fields_networks_alone_measure_no_start_up_and_say_what_did_not_fit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "bench.json"
    assert main(["bench", "--only", "lars-net", "--budget", "1e-9", "--json", str(out)]) == 0
    found = json.loads(out.read_text())
    assert found["rows"]
    assert {row["skipped"] for row in found["rows"]} == {"no time left"}
    assert found["startup"] == found["command"] == []
    printed = capsys.readouterr()
    assert "no time left" in printed.out
    assert "Start-up" not in printed.out


def test_the_number_of_chunks_follows_from_overlap_and_length() -> None:
    case = Case("tiny", "torch", "float32", "paper")
    config = network_config(case)
    found = measure(case, lengths=[3.0, 6.0], seconds=0.0, threads=1, quick=True)
    chunking = config.chunking
    for row in found["rows"]:
        padded = int(row["length_s"] * RATE) + 2 * chunking.border
        assert row["chunks"] == -(-padded // chunking.step)
        assert row["chunks_timed"] == 1


def test_where_time_is_short_all_lengths_share_what_was_timed_in_the_first() -> None:
    case = Case("tiny", "torch", "float32", "paper")
    found = measure(case, lengths=[3.0, 6.0], seconds=0.0, threads=1)
    first, second = found["rows"]
    assert (first["chunks_timed"], second["chunks_timed"]) == (3, 0)
    assert first["chunk_s"] == second["chunk_s"] > 0
    assert second["chunks"] > first["chunks"]


def test_an_old_instruction_set_leaves_out_what_it_has_no_arithmetic_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert {case.precision for case in cases_for("avx2")} == {"float32", "int8"}
    assert cases_for("native") == CASES
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert not has_bfloat16()


def test_the_whole_command_is_timed_from_file_to_files() -> None:
    found = measure_command(["--backend", "torch"], seconds=1.0, times=1, environment=os.environ)
    assert 0 < found["command_s_low"] <= found["command_s"]
    assert found["rtr"] == pytest.approx(found["command_s"], rel=1e-3)
    assert found["peak_memory_mb"] is None or found["peak_memory_mb"] > 50
    (table,) = startup_tables([], [found])
    assert "six files out" in table.markdown()


def test_the_ceiling_is_measured_for_each_precision_this_processor_has() -> None:
    rows = measure_ceiling(threads=1, environment=os.environ, quick=True)
    named = [row["precision"] for row in rows]
    if has_openvino():
        assert named == ["float32", *(["bfloat16"] if has_bfloat16() else []), "int8"]
    assert all(row["gops"] > 1 for row in rows)
    operations = chunk_operations()
    for row, line in zip(rows, ceiling_tables(rows, operations)[0].rows, strict=True):
        assert line[0] == row["precision"]
        # A chunk is 130,560 samples long.
        least = operations / 1e9 / row["gops"]
        assert float(line[3]) == pytest.approx(1.1 * least * RATE / 130560, abs=0.006)


def test_operations_are_those_of_the_network_by_hand() -> None:
    # 3 x 3 convolutions of the first scale alone: 4 blocks with 2 each, 128 to 128 channels (the
    # first one behind the concatenation has twice as many inputs), 256 frames by 256 bins.
    first_scale = 2 * 9 * 128 * 128 * 256 * 256 * (4 * 2 + 1)
    total = chunk_operations()
    assert first_scale < total < 5 * first_scale
    # And as the project's notes have it: 576 GFLOP.
    assert total == pytest.approx(576e9, rel=0.01)


def test_live_steps_are_timed_one_by_one() -> None:
    case = Case("lars-live", "torch", "float32", "live")
    found = measure(case, lengths=[], seconds=0.0, threads=1, quick=True)
    assert found["hop_s"] == pytest.approx(504 / RATE)
    assert 0 < found["step_s"] <= found["step_s_99"] <= found["step_s_high"]
    (table,) = speed_tables([{"setting": "live", "name": "x", "model": "x", **found}], [])
    assert "ms" in table.text()


def test_every_case_has_a_network_and_a_table_row() -> None:
    for case in (*CASES, *FIELD_CASES):
        config = network_config(case)
        assert config.network
        if case.setting == "paper":
            assert (config.chunking.overlap, config.chunking.convention) == (4, "lars")
    skipped = [
        {"model": c.model, "setting": c.setting, "name": c.name, "skipped": "no time left"}
        for c in (*CASES, *FIELD_CASES)
    ]
    text = "".join(table.text() for table in speed_tables(skipped, [15.0]))
    for case in (*CASES, *FIELD_CASES):
        assert f"{case.name}: no time left" in text
    with pytest.raises(InputError, match="setting"):
        network_config(Case("small", "torch", "float32", "fastest"))


FIELD_DEMUCS = """
import torch


class HTDemucs(torch.nn.Module):
    # A network of another package: one weight.
    def __init__(self, sources, samplerate, segment, factor=1):
        super().__init__()
        assert (sources, samplerate, segment) == (["drums", "bass"], 44100, 0.5)
        self.weight = torch.nn.Parameter(torch.ones(factor))

    def forward(self, wave):
        return torch.stack([wave, 2 * wave], dim=1) * self.weight
"""


def test_the_fields_own_code_is_measured_where_it_can_be_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = dataclasses.replace(
        network_config(Case("ht-demucs", "field", "float32", "balanced")),
        stems=("drums", "bass"),
        network={"segment_length": 22050},
    )
    monkeypatch.setitem(sys.modules, "demucs", None)  # as if it were not there
    monkeypatch.setitem(sys.modules, "demucs.htdemucs", None)
    with pytest.raises(InputError, match=r"^not installed$"):
        FieldBackend(config)
    monkeypatch.delitem(sys.modules, "demucs")
    monkeypatch.delitem(sys.modules, "demucs.htdemucs")
    (tmp_path / "demucs").mkdir()
    (tmp_path / "demucs" / "__init__.py").touch()
    (tmp_path / "demucs" / "htdemucs.py").write_text(FIELD_DEMUCS)
    monkeypatch.syspath_prepend(str(tmp_path))
    ours = torch.nn.Module()
    ours.register_parameter("weight", torch.nn.Parameter(torch.tensor([3.0])))
    monkeypatch.setattr(field, "random_network", lambda _: ours)
    backend = FieldBackend(config)
    assert backend.name.startswith("field's code")
    made = backend(np.ones((1, 2, 8), np.float32))
    assert made[0, :, 0, 0].tolist() == [3.0, 6.0]
    odd = dataclasses.replace(config, network={"segment_length": 22050, "window": 3})
    with pytest.raises(InputError, match=r"demucs\.htdemucs has no window"):
        FieldBackend(odd)
    other = dataclasses.replace(config, network={"segment_length": 22050, "factor": 2})
    with pytest.raises(InputError, match="makes another network"):
        FieldBackend(other)


def test_rows_say_how_near_they_are_to_the_original() -> None:
    part = {"length_s": 15.0, "chunks": 2, "chunks_timed": 1, "chunk_s": 1.0, "rtr": 2.0}
    part |= {"rtr_low": 2.0, "rtr_high": 2.0}
    row = {
        "model": "ht-demucs",
        "setting": "balanced",
        "overlap": 2,
        "batch": 1,
        "peak_memory_mb": 1,
    }
    rows = [
        {**row, "name": "theirs", "backend": "field's code, torch cpu float32", "rows": [part]},
        {**row, "name": "ours", "backend": "openvino cpu float32", "snr_db": 91.3}
        | {"rows": [{**part, "rtr": 0.5}]},
    ]
    text = speed_tables(rows, [15.0])[0].text()
    assert "4.0 x  91.3" in text


def test_the_price_of_overlap_is_nothing_against_itself(clips: Path) -> None:
    _, found_clips = find_clips(clips)
    found = price_of_overlap("lars-mini", found_clips, overlaps=(2.0, 4.0))
    rows = {(row["convention"], row["overlap"]): row for row in found["rows"]}
    assert rows["msst", 4.0]["lost_db"] == 0
    assert set(rows) == {(c, o) for c in ("msst", "lars", "hann") for o in (2.0, 4.0)}
    (table,) = price_tables(found)
    assert "+0.000" in table.text()


def test_the_price_of_precision_of_random_weights_leaves_the_cache_alone(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setenv("LARS_CACHE", str(cache))
    out = tmp_path / "price.json"
    command = ["bench", "--price", "precision", "-m", "tiny", "--clips", str(clips)]
    assert main([*command, "--preset", "fast", "--json", str(out), "-q"]) == 0
    rows = json.loads(out.read_text())["rows"]
    assert (rows[0]["backend"], rows[0]["precision"]) == ("torch", "float32")
    assert all(row["snr_db"] > 10 for row in rows[1:])
    assert rows[1]["snr_db"] < 80  # bfloat16 has 8 bits
    assert not cache.exists()
    assert os.environ["LARS_CACHE"] == str(cache)
    command[2] = "overlap"
    assert main([*command, "-q"]) == 2


def test_presets_follow_from_the_price_of_overlap() -> None:
    def presets(*lost: float) -> dict[str, float]:
        rows = [
            {"overlap": overlap, "lost_db": db, "sdr_db": 7 - db}
            for overlap, db in zip((1.1, 1.5, 4.0, 8.0), lost, strict=True)
        ]
        return _presets(rows)

    assert presets(0.3, 0.1, 0.0, -0.01) == {"fast": 1.1, "balanced": 1.5, "best": 8.0}
    assert presets(0.3, 0.2, 0.0, 0.01) == {"fast": 1.1, "balanced": 4.0, "best": 4.0}
    assert presets(0.0, 0.1, 0.05, 0.01) == {"fast": 1.1, "balanced": 1.1, "best": 1.1}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--price", "overlap"], "--clips"),
        (["--clips", "x"], "--price"),
        (["--only", "huge"], "huge"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_measured(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", *arguments]) == 2
    assert message in capsys.readouterr().err
