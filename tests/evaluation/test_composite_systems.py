# SPDX-License-Identifier: GPL-3.0-or-later
"""Composites, post-processing variants and full mixes through ``lars evaluate``."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lars_plugin.cli import main
from lars_plugin.errors import InputError
from lars_plugin.evaluation.clips import Recording
from lars_plugin.evaluation.systems import ModelSystem, make_systems, make_variants
from lars_plugin.model import Chunking
from lars_plugin.refine.postprocess import PostProcessing
from tests.models import config, model_folder

Wave = NDArray[np.float32]

SIX = ("kick", "snare", "toms", "hihat", "ride", "crash")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of tiny models with random weights: music, kit (six), five, full (six and other)."""
    top = tmp_path_factory.mktemp("models")
    stems = {
        "music": ("vocals", "bass", "drums", "other"),
        "kit": SIX,
        "five": (*SIX[:4], "cymbals"),
        "full": (*SIX, "other"),
    }
    for number, (name, names) in enumerate(stems.items()):
        described = config(name=name, stems=names, chunking=Chunking(4096 + 512 * number, 1.5))
        model_folder(top / name, described, seed=number)
    return top


@pytest.fixture
def songs(
    tmp_path: Path,
    perform: Callable[..., dict[str, Wave]],
    stems_of: Callable[[Mapping[str, Wave]], dict[str, Wave]],
    write: Callable[..., Path],
) -> Path:
    """Two full mixes: six drums and ``other``, the first with its mixture as a file."""
    for number in range(2):
        stems = stems_of(perform(number, 0.4))
        rng = np.random.default_rng(number)
        stems["other"] = (0.02 * rng.standard_normal(stems["kick"].shape)).astype(np.float32)
        if number == 0:
            stems["mixture"] = np.sum(list(stems.values()), axis=0, dtype=np.float32)
        for name, wave in stems.items():
            write(tmp_path / "songs" / f"song{number}" / f"{name}.flac", wave)
    return tmp_path / "songs"


def rows_of(path: Path) -> dict[tuple[str, str, str], dict[str, str]]:
    with path.open(newline="") as file:
        return {(r["clip"], r["system"], r["stem"]): r for r in csv.DictReader(file)}


def test_full_mixes_compare_one_stage_with_cascades(
    models: Path,
    songs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("LARS_MODELS_PATH", str(models))
    table = tmp_path / "scores.csv"
    names = ["full", "cascade:music,kit", "cascade:music,kit+five", "kit"]
    options = [part for name in names for part in ("--model", name)]
    assert main(["evaluate", str(songs), *options, "--csv", str(table), "-q"]) == 0
    rows = rows_of(table)
    scored = {
        name: {stem for clip, system, stem in rows if (clip, system) == ("song0", name)}
        for name in [*names, "mixture", "oracle"]
    }
    everything = {*SIX, "cymbals", "drums", "other"}
    for name in ("full", "cascade:music,kit", "mixture", "oracle"):
        assert scored[name] == everything, name
    # Ride and crash are one stem if a model of the ensemble does not separate them.
    assert scored["cascade:music,kit+five"] == everything - {"ride", "crash"}
    assert scored["kit"] == {*SIX, "cymbals"}
    header = capsys.readouterr().out.splitlines()[2]
    assert " ".join(header.split()[7:]) == "drums other mean mean of 6 mean of 5 RTR"
    # Vocals, bass and the rest of a cascade together are compared with everything except drums.
    assert float(rows["song0", "cascade:music,kit", "other"]["sdr_db"]) > -60


def test_the_rest_of_a_cascade_is_all_that_is_not_drums(models: Path, songs: Path) -> None:
    from lars_plugin.evaluation.clips import load_clip
    from lars_plugin.evaluation.datasets import find_clips
    from lars_plugin.evaluation.scoring import pair

    layout, clips = find_clips(songs)
    assert layout == "clips"
    recording = load_clip(clips[0])
    name = f"cascade:{models / 'music'},{models / 'kit'}"
    (system,) = make_systems([name], device="cpu")
    assert system.name == name
    result = system.estimate(recording, lambda: False)
    reference, estimate = pair(recording.references, result)["other"]
    np.testing.assert_array_equal(reference, recording.references["other"])
    rest = result["vocals"] + result["bass"] + result["other"]
    np.testing.assert_allclose(estimate, rest, atol=1e-6)


def test_variants_print_rows_with_and_without(
    models: Path, clip_tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(
        [
            *("evaluate", str(clip_tree), "--model", str(models / "kit"), "--baseline", "none"),
            *("--wiener", "1", "--wiener", "2", "--gate", "-30", "--redistribute"),
            *("--limit", "1", "-q"),
        ]
    )
    printed = capsys.readouterr().out
    assert code == 0
    table = printed.split("\n\n")[1].splitlines()
    assert [line.split("  ")[0] for line in table[1:-1]] == [
        "kit",
        "kit, wiener 1",
        "kit, wiener 2",
        "kit, gate -30 dB",
        "kit, redistribute",
        "kit, wiener 1, gate -30 dB, redistribute",
    ]
    assert len({tuple(line.split()[-9:-1]) for line in table[1:-1]}) > 1


def test_variants_are_each_setting_alone_and_then_together() -> None:
    assert make_variants() == []
    assert make_variants([1.0, 2.0]) == [PostProcessing(wiener=1), PostProcessing(wiener=2)]
    assert make_variants([2.0], [-40.0])[-1] == PostProcessing(wiener=2, gate=-40)
    with pytest.raises(InputError, match="must be below 0 dB"):
        make_variants(gate=[40.0])


def test_variants_share_the_loaded_model(models: Path) -> None:
    systems = make_systems([str(models / "kit")], variants=make_variants([1.0]), device="cpu")
    assert all(isinstance(system, ModelSystem) for system in systems)
    plain, filtered = (s.separator() for s in systems if isinstance(s, ModelSystem))
    assert plain.model is filtered.model
    noise = np.random.default_rng(0).standard_normal((2, 5000)).astype(np.float32)
    recording = Recording(0.1 * noise, {}, 44100)
    result = [system.estimate(recording, lambda: False)["kick"] for system in systems]
    assert not np.allclose(result[0], result[1])


@pytest.mark.parametrize("name", ["cascade:kit", "kit+", "cascade:kit,kit,kit"])
def test_a_name_that_spells_no_composite_is_wrong_usage(
    name: str, clip_tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(clip_tree), "--model", name]) == 2
    assert "with the names of" in capsys.readouterr().err
