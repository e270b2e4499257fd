# SPDX-License-Identifier: GPL-3.0-or-later
"""Tuned settings of models: saved, found, and refused when broken."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from lars_plugin.errors import ModelFormatError
from lars_plugin.midi.bands import FINE_BANDS
from lars_plugin.midi.features import FEATURE_COUNT
from lars_plugin.midi.picker import KERNEL, Picker
from lars_plugin.midi.scorer import Scorer
from lars_plugin.midi.settings import (
    SETTINGS_FILE,
    Settings,
    StemSettings,
    own_settings,
    read_settings,
    settings_for,
)

STEMS = ("kick", "hihat")


def scorer(count: int, seed: int) -> Scorer:
    rng = np.random.default_rng(seed)
    return Scorer(
        rng.standard_normal(count),
        rng.random(count) + 0.5,
        rng.standard_normal((3, count)),
        rng.standard_normal(3),
        rng.standard_normal(3),
        np.asarray(0.25),
    )


def picker(stems: int, hidden: int = 4) -> Picker:
    rng = np.random.default_rng(5)
    inputs = (stems + 1) * FINE_BANDS

    def drawn(*shape: int) -> NDArray[np.float32]:
        return np.asarray(rng.standard_normal(shape) / 4, np.float32)

    return Picker(
        drawn(KERNEL * inputs, hidden), drawn(hidden),
        drawn(KERNEL * hidden, hidden), drawn(hidden),
        drawn(KERNEL * hidden, hidden), drawn(hidden),
        drawn(hidden, stems), drawn(stems),
    )  # fmt: skip


@pytest.fixture
def settings() -> Settings:
    parts = {
        "kick": StemSettings(0.4, -0.0015),
        "hihat": StemSettings(0.3, 0.0, MappingProxyType({"open": scorer(FEATURE_COUNT, 2)})),
    }
    result = MappingProxyType({"excerpts": 3})
    return Settings(STEMS, picker(len(STEMS)), MappingProxyType(parts), result)


def test_settings_come_back_as_they_were_written(settings: Settings, tmp_path: Path) -> None:
    settings.save(tmp_path / SETTINGS_FILE)
    again = settings_for(tmp_path)
    assert again is not None
    assert again.stems == STEMS
    assert dict(again.made) == {"excerpts": 3}
    assert set(again.parts["hihat"].articulations) == {"open"}
    known = np.random.default_rng(3).standard_normal((50, FEATURE_COUNT))
    for stem in STEMS:
        mine, read = settings.parts[stem], again.parts[stem]
        assert (read.threshold, read.offset) == pytest.approx((mine.threshold, mine.offset))
        for name, scorer_before in mine.articulations.items():
            assert np.array_equal(read.articulations[name](known), scorer_before(known))
    levels = np.random.default_rng(4).uniform(-70, 0, (3, 90, FINE_BANDS))
    assert np.abs(again.picker(levels) - settings.picker(levels)).max() < 0.01


def test_a_model_without_a_file_shares_those_that_know_its_stems(tmp_path: Path) -> None:
    six, five = own_settings("stems"), own_settings("cymbals")
    assert six is not None
    assert five is not None
    for stems, wanted in (
        (("kick", "snare", "toms", "hihat", "ride", "crash"), six),
        (("kick", "snare"), six),
        (("kick", "snare", "toms", "hihat", "cymbals"), five),
    ):
        found = settings_for(tmp_path, stems)
        assert found is not None
        assert (found.stems, dict(found.made)) == (wanted.stems, dict(wanted.made))
    assert settings_for(tmp_path, ("ride", "cymbals")) is None


def rewrite(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the weights, and write down their new SHA-256."""
    file = path.with_name("midi.weights.safetensors")
    arrays = load_file(file)
    change(arrays)
    save_file(arrays, file)
    data = json.loads(path.read_text())
    data["weights"]["sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
    path.write_text(json.dumps(data))


def test_weights_come_back_to_the_bit(settings: Settings, tmp_path: Path) -> None:
    settings.save(tmp_path / "a.json")
    first = read_settings(tmp_path / "a.json")
    first.save(tmp_path / "b.json")
    weights = [(tmp_path / f"{name}.weights.safetensors").read_bytes() for name in "ab"]
    assert weights[0] == weights[1]
    mine, read = (one.parts["hihat"].articulations["open"] for one in (settings, first))
    assert all(np.array_equal(a, read.to_arrays()[k]) for k, a in mine.to_arrays().items())


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data.update(version=1), "tune the model again"),
        (lambda data: data.pop("stems"), "broken"),
        (lambda data: data.update(stems=["kick", "vocals"]), "not drums"),
        (lambda data: data["parts"].pop("kick"), "not drums"),
        (lambda data: data["parts"]["kick"].update(threshold=1.5), "threshold of kick"),
        (lambda data: data["parts"]["hihat"].update(articulations=["pedal"]), "mean"),
        (lambda data: data["weights"].update(sha256="0" * 64), "does not belong to"),
        (lambda data: data["weights"].update(file="x.weights.safetensors"), "cannot read .*x"),
        (lambda data: data["weights"].update(file="../x.weights.safetensors"), "a file name"),
        (lambda data: data["weights"].update(file="config.yaml"), "a file name"),
        (lambda data: data["weights"].update(file=7), "broken"),
        (lambda data: data.pop("weights"), "broken"),
    ],
)
def test_broken_settings_are_refused_with_their_fault(
    settings: Settings, tmp_path: Path, damage: object, message: str
) -> None:
    path = tmp_path / SETTINGS_FILE
    settings.save(path)
    data = json.loads(path.read_text())
    damage(data)  # type: ignore[operator]
    path.write_text(json.dumps(data))
    with pytest.raises(ModelFormatError, match=message):
        read_settings(path)


@pytest.mark.parametrize("text", ["", "[]", "7", "{", "[" * 100_000, '{"version": 2}'])
def test_files_that_hold_something_else_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / SETTINGS_FILE).write_text(text)
    with pytest.raises(ModelFormatError):
        read_settings(tmp_path / SETTINGS_FILE)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda arrays: arrays.pop("picker.w2"), "w2 is missing"),
        (lambda arrays: arrays.update({"picker.b1": np.zeros((4, 1), np.float16)}), "b1"),
        (lambda arrays: arrays.update({"picker.b4": np.full(2, np.inf, np.float16)}), "b4"),
        (lambda arrays: arrays.update({"hihat.open.mean": np.zeros(3)}), "mean"),
        (lambda arrays: arrays.pop("hihat.open.offset"), "offset is missing"),
    ],
)
def test_broken_weights_are_refused_with_their_fault(
    settings: Settings, tmp_path: Path, damage: Callable[[dict[str, Any]], object], message: str
) -> None:
    path = tmp_path / SETTINGS_FILE
    settings.save(path)
    rewrite(path, damage)
    with pytest.raises(ModelFormatError, match=message):
        read_settings(path)


@pytest.mark.parametrize("content", [b"", b"\xff" * 8 + b"{}", b"text"])
def test_weights_that_are_not_safetensors_are_refused(
    settings: Settings, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / SETTINGS_FILE
    settings.save(path)
    path.with_name("midi.weights.safetensors").write_bytes(content)
    with pytest.raises(ModelFormatError, match="does not belong"):
        read_settings(path)
    data = json.loads(path.read_text())
    data["weights"]["sha256"] = hashlib.sha256(content).hexdigest()
    path.write_text(json.dumps(data))
    with pytest.raises(ModelFormatError, match="is broken"):
        read_settings(path)


def test_settings_called_like_a_networks_weights_leave_those_alone(
    settings: Settings, tmp_path: Path
) -> None:
    network = tmp_path / "weights.safetensors"
    network.write_bytes(b"a network")
    settings.save(tmp_path / "weights.json")
    assert network.read_bytes() == b"a network"
    assert read_settings(tmp_path / "weights.json").stems == STEMS


# Written by the program that wrote version 2: a picker with two units, in base64.
OLD = Path(__file__).parent / "data" / "version_2.json"


def test_the_single_file_of_version_2_is_read_and_can_be_written_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    old = read_settings(OLD)
    assert "version 0.2 will not read" in caplog.text
    caplog.clear()
    old.save(tmp_path / SETTINGS_FILE)
    new = read_settings(tmp_path / SETTINGS_FILE)
    assert not caplog.text
    raw = json.loads(OLD.read_text())
    numbers = raw["parts"]["hihat"]["articulations"]["open"]
    for one in (old, new):
        assert one.stems == STEMS
        assert (one.parts["kick"].threshold, one.parts["kick"].offset) == (0.4, -0.0015)
        arrays = one.parts["hihat"].articulations["open"].to_arrays()
        assert all(arrays[name].tolist() == values for name, values in numbers.items())
        wanted = picker(len(STEMS), 2).to_arrays()
        found = one.picker.to_arrays()
        assert all(np.array_equal(found[name], array) for name, array in wanted.items())


def _open(data: Any) -> Any:
    return data["parts"]["hihat"]["articulations"]["open"]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: _open(data)["mean"].pop(), "mean"),
        (lambda data: _open(data).update(bias="x"), "broken"),
        (lambda data: data["picker"].pop("w2"), "w2"),
        (lambda data: data["picker"]["b1"].update(shape=[5]), "b1"),
        (lambda data: data["picker"]["w3"].update(float16="?"), "w3"),
        (lambda data: data["picker"]["b4"].update(float16="AHwAfA=="), "b4"),  # two times Inf
    ],
)
def test_a_broken_file_of_version_2_is_refused_with_its_fault(
    tmp_path: Path, damage: Callable[[Any], object], message: str
) -> None:
    data = json.loads(OLD.read_text())
    damage(data)
    path = tmp_path / SETTINGS_FILE
    path.write_text(json.dumps(data))
    with pytest.raises(ModelFormatError, match=message):
        read_settings(path)


def test_our_models_and_the_package_bring_settings_for_the_six_stems() -> None:
    six = {"kick", "snare", "toms", "hihat", "ride", "crash"}
    sources = []
    for result in (
        settings_for("lars-mini"),
        settings_for("lars-live"),
        own_settings("stems"),
    ):
        assert result is not None
        assert set(result.stems) == six
        # As in the file: "hihat" distinguishes closed, pedal and open by their sounds.
        assert set(result.parts["hihat"].articulations) == {"pedal", "open"}
        sources.append((result.made["model"], result.made["source"]))
    assert sources == [
        ("lars-mini", "model"),
        ("lars-live", "model"),
        ("", "stems"),
    ]
    by_cascade = settings_for("cascade:mdx23c-music,lars-mini")
    assert by_cascade is not None
    assert by_cascade.made == settings_for("lars-mini").made  # type: ignore[union-attr]
