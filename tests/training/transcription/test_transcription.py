# SPDX-License-Identifier: GPL-3.0-or-later
"""Rendered powers, excerpts mixed from them, and a transcriber trained on these."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lars_plugin import cli
from lars_plugin.backends.transcription import TorchParts
from lars_plugin.errors import DatasetError
from lars_plugin.midi.mel import BANDS
from lars_plugin.midi.scoring import Stroke
from lars_plugin.midi.transcriber import Activations, LarsTranscriber, load_transcriber
from lars_plugin.networks.transcriber.config import (
    GROUPS,
    LEVEL_STEMS,
    STROKES,
    TranscriberConfig,
)
from lars_plugin.networks.transcriber.network import Transcriber
from lars_plugin.training.command import add_train_parser
from lars_plugin.training.data.examples import claim_folder
from lars_plugin.training.data.grooves import load_grooves
from lars_plugin.training.data.kits import load_kits
from lars_plugin.training.transcription.command import _UNUSED, _adopt
from lars_plugin.training.transcription.fit import FitSettings, _batch, fit, losses
from lars_plugin.training.transcription.remix import RemixConfig, Remixer, _shifted
from lars_plugin.training.transcription.shards import (
    Performance,
    pack,
    read_shards,
    render_music,
    render_performances,
    unpack,
)
from lars_plugin.training.transcription.thresholds import choose_biases, choose_thresholds
from lars_plugin.zoo.checkpoints import read_state
from lars_plugin.zoo.transcribers import find_transcriber

STILL = RemixConfig(
    exchange=0, character=0, balance=0, equaliser=0, room=0, music=0, compression=0, noise=0,
    dull=0, thin=0, shift=0, level_db=0,
)  # fmt: skip


@pytest.fixture(scope="module")
def shards(data: object, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards")
    render_performances(
        folder,
        load_kits(data.kits, "train"),  # type: ignore[attr-defined]
        load_grooves(data.grooves, "train"),  # type: ignore[attr-defined]
        hours=0.01,
        seed=1,
        tell=print,
        each=4,
    )
    return folder


def remixer(shards: Path, config: RemixConfig | None = None, seed: int = 0) -> Remixer:
    performances, _ = read_shards(shards)
    music = [pack(np.full((1000, BANDS), 1e-3, np.float32))]
    return Remixer(performances, music, frames=300, level_bands=12, seed=seed, config=config)


@given(decibels=st.lists(st.floats(-105, 15), min_size=1, max_size=20))
def test_packed_powers_are_exact_to_a_quarter_decibel(decibels: list[float]) -> None:
    powers = np.array([10 ** (one / 10) for one in decibels], np.float32)
    found = 10 * np.log10(unpack(pack(powers)))
    assert np.abs(found - decibels).max() <= 0.26


def test_silence_stays_silence() -> None:
    assert (unpack(pack(np.zeros(5, np.float32))) == 0).all()


def test_what_is_rendered_is_kept_and_read(shards: Path) -> None:
    performances, music = read_shards(shards)
    assert (len(performances), len(music)) == (4, 0)
    for one in performances:
        assert one.stems.shape == (6, 1000, BANDS)
        assert len(one.strokes)
        assert (one.strokes[:, 1] < len(STROKES)).all()
    before = {path: path.stat().st_mtime_ns for path in shards.iterdir()}
    render_performances(shards, None, None, hours=0.01, seed=1, tell=print, each=4)  # type: ignore[arg-type]
    assert {path: path.stat().st_mtime_ns for path in shards.iterdir()} == before


def test_strokes_are_where_the_powers_rise(shards: Path) -> None:
    performances, _ = read_shards(shards)
    rises = []
    for one in performances:
        powers = unpack(one.stems).sum(axis=(0, 2))
        for second, _, velocity in one.strokes:
            frame = round(float(second) * 100)
            if 10 < frame < 980 and velocity > 60:
                after, before = powers[frame : frame + 5].max(), powers[frame - 6 : frame - 3].min()
                rises.append(10 * np.log10((after + 1e-9) / (before + 1e-9)))
    assert np.median(rises) > 3


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "drums.npz").write_bytes(b"nothing")
    with pytest.raises(DatasetError, match=r"drums\.npz"):
        read_shards(tmp_path)
    with pytest.raises(DatasetError, match="no rendered"):
        read_shards(tmp_path.parent / "empty")


def test_the_same_seed_draws_the_same_and_another_another(shards: Path) -> None:
    first, again, other = (remixer(shards, seed=seed).draw() for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.levels, again.levels)
    assert not np.array_equal(first.levels, other.levels)


def test_excerpts_are_what_they_say(shards: Path) -> None:
    source = remixer(shards)
    for _ in range(40):
        item = source.draw()
        assert item.levels.shape == (300, BANDS)
        assert item.levels.dtype == np.float32
        assert (item.levels >= -2.0).all()  # NaN is not
        assert item.targets.shape == item.weights.shape == (300, len(STROKES) + len(GROUPS))
        assert set(np.unique(item.targets)) <= {0.0, 0.5, 1.0}
        assert ((item.share_weights >= 0) & (item.share_weights <= 1)).all()
        sums = item.shares.sum(axis=1)
        np.testing.assert_allclose(sums[sums > 0], 1, atol=1e-3)
        # A group is struck where one of its strokes is.
        struck = item.targets[:, len(STROKES) :].max(axis=1)
        np.testing.assert_array_equal(struck, item.targets[:, : len(STROKES)].max(axis=1))


def test_without_variation_an_excerpt_is_what_was_rendered(shards: Path) -> None:
    performances, _ = read_shards(shards)
    item = remixer(shards, STILL).draw()
    levels = [10 * np.log10(unpack(one.stems).sum(axis=0) + 1e-30) / 20 for one in performances]
    loudest = item.levels.max()
    # Some window of some performance has the same levels but for one constant.
    differences = [
        np.abs((whole[begin : begin + 300] - whole[begin : begin + 300].max())
               - (item.levels - loudest))[item.levels > -1].max()
        for whole in levels
        for begin in range(701)
    ]  # fmt: skip
    assert min(differences) < 0.05


@pytest.mark.parametrize("seed", range(6))
def test_a_drum_of_another_kind_is_struck_at_the_same_moments(shards: Path, seed: int) -> None:
    plain = remixer(shards, STILL, seed=seed).draw()
    other = remixer(shards, dataclasses.replace(STILL, character=1), seed=seed).draw()
    # Both drew the same window; hi-hats may have been opened.
    groups = slice(len(STROKES), None)
    np.testing.assert_array_equal(other.targets[:, groups], plain.targets[:, groups])
    assert np.abs(other.levels - plain.levels).max() > 0.1
    assert np.isfinite(other.levels).all()
    np.testing.assert_allclose(other.shares.sum(axis=1).max(), 1, atol=1e-5)


def changed(
    shards: Path, seed: int, stem: str, articulation: str
) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """One stroke as a plateau of half a second: its powers before, and as another drum."""
    powers = np.zeros((len(LEVEL_STEMS), 300, BANDS), np.float32)
    place = LEVEL_STEMS.index(stem)
    powers[place, 100:150, 30:40] = 1.0
    strokes = np.array(
        [
            [1.0, STROKES.index((stem, articulation)), 90],
            [2.0, STROKES.index(("kick", "kick")), 90],
        ],
        np.float32,
    )
    before = powers.copy()
    after = remixer(shards, seed=seed)._character(place, powers, strokes)
    assert strokes[0, 1] == STROKES.index((stem, articulation))  # the given ones stay
    others = [index for index in range(len(LEVEL_STEMS)) if index != place]
    np.testing.assert_array_equal(powers[others], before[others])
    np.testing.assert_array_equal(after[:, 0], strokes[:, 0])
    return before[place], powers[place], after[:, 1].astype(int).tolist()


@pytest.mark.parametrize(("stem", "articulation"), [("hihat", "closed"), ("kick", "kick")])
def test_another_drum_is_higher_or_lower_and_rings_on_or_dies_away(
    shards: Path, stem: str, articulation: str
) -> None:
    kick, opened = STROKES.index(("kick", "kick")), STROKES.index(("hihat", "open"))
    lowest, rings, shorter, opens = set(), 0, 0, 0
    for seed in range(60):
        _, powers, names = changed(shards, seed, stem, articulation)
        assert names[1] == kick
        assert not powers[:100].any()
        lowest.add(int(np.flatnonzero(powers[110])[0]) - 30)
        rings += bool(powers[155].any())
        shorter += bool(powers[149].sum() < 0.7 * powers[110].sum())
        if names[0] != STROKES.index((stem, articulation)):
            opens += 1
            assert names[0] == opened
            # What is called open still rings a fifth of a second later, at more than -40 dB.
            assert powers[170].sum() > 1e-4 * powers[110].sum()
    most = 6 if stem == "hihat" else 2
    assert min(lowest) == -most
    assert max(lowest) == most
    assert shorter > 5
    assert (rings > 5) == (stem == "hihat")
    assert 0 < opens < rings if stem == "hihat" else not opens


def test_bands_that_are_shifted_lose_what_leaves_the_range() -> None:
    powers = np.arange(1, 7, dtype=np.float32)[None].repeat(2, axis=0)
    assert _shifted(powers, 2)[0].tolist() == [0, 0, 1, 2, 3, 4]
    assert _shifted(powers, -2)[1].tolist() == [3, 4, 5, 6, 0, 0]
    np.testing.assert_array_equal(_shifted(powers, 0), powers)


def test_training_lowers_the_loss_and_goes_on_where_it_stopped(
    shards: Path, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    config = TranscriberConfig(channels=(4, 8), hidden=16)
    network = Transcriber(config)
    lines: list[str] = []
    checkpoint = tmp_path / "checkpoint.pt"
    batch = _batch(remixer(shards, STILL, seed=9), 4)
    before = sum(losses(network.eval(), batch)).item()  # type: ignore[union-attr]
    settings = FitSettings(60, batch=2, lr=0.03, steps=40)
    first = fit(network, remixer(shards, STILL), settings, checkpoint, lines.append)
    assert first.steps == 40
    assert 0 < first.minutes < 10
    assert sum(losses(network.eval(), batch)).item() < 0.8 * before  # type: ignore[union-attr]
    assert torch.load(checkpoint, weights_only=True)["step"] == 40
    other = Transcriber(config)
    second = fit(other, remixer(shards), settings, checkpoint, lines.append)
    assert second.steps == 40
    assert second.minutes == pytest.approx(first.minutes, abs=0.5)
    assert any("resumed at step" in line for line in lines)
    for key, value in network.state_dict().items():
        torch.testing.assert_close(other.state_dict()[key], value)
    with pytest.raises(DatasetError, match="another network"):
        fit(
            Transcriber(TranscriberConfig(hidden=8)), remixer(shards), FitSettings(1), checkpoint,
            lines.append,
        )  # fmt: skip


def test_thresholds_part_what_was_struck_from_what_was_not() -> None:
    groups = np.zeros((500, 5), np.float32)
    truth = []
    for turn in range(20):
        groups[10 + 20 * turn] = 0.6 if turn % 2 else 0.25
        truth += [Stroke(0.1 + 0.2 * turn, stem, 100) for stem in ("kick",) if turn % 2]
    heard = Activations(
        np.zeros((500, 12), np.float32), groups, groups, np.zeros((500, 7, 12), np.float32)
    )
    assert 0.25 < choose_thresholds([heard], [truth])["kick"] <= 0.6


def test_the_command_renders_trains_and_publishes(
    data: object, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    for name in ("_VALIDATION_HOURS", "_SECONDS"):
        monkeypatch.setattr(f"lars_plugin.training.transcription.command.{name}", 0.01 if
                            name == "_VALIDATION_HOURS" else 2.0)  # fmt: skip
    monkeypatch.setattr("lars_plugin.training.transcription.shards._EACH", 3)
    out = tmp_path / "run"
    arguments = [
        "train", str(out), "--architecture", "transcriber", "--kits", str(data.kits),  # type: ignore[attr-defined]
        "--grooves", str(data.grooves), "--hours", "0.005", "--minutes", "0.1", "--batch", "2",  # type: ignore[attr-defined]
        "--accompaniment", "synthetic", "--music-hours", "0.005",
        "--network", '{"channels": [4, 8], "hidden": 8}',
    ]  # fmt: skip
    assert cli.main(arguments) == 0
    assert "--transcriber" in capsys.readouterr().out
    found = load_transcriber(out / "model")
    assert isinstance(found, LarsTranscriber)
    assert found.config.hidden == 8
    assert set(found.thresholds) == set(GROUPS)


def test_a_performance_shorter_than_the_excerpt_is_no_crash(shards: Path) -> None:
    performances, _ = read_shards(shards)
    short = [Performance(one.stems[:, :300], one.strokes) for one in performances]
    source = Remixer(short, [], frames=300, level_bands=12, seed=0)
    assert source.draw().levels.shape == (300, BANDS)


def test_music_rendered_in_two_runs_is_that_of_one(tmp_path: Path) -> None:
    def source(seed: int) -> Callable[[int], np.ndarray]:
        rng = np.random.default_rng(seed)
        return lambda samples: rng.uniform(-0.1, 0.1, (1, samples)).astype(np.float32)

    def render(folder: Path, hours: float) -> dict[str, np.ndarray]:
        render_music(folder, source, hours=hours, seed=2, tell=print, each=2)
        return {path.name: np.load(path)["music"] for path in sorted(folder.glob("*.npz"))}

    render(tmp_path / "twice", 0.005)
    twice, once = render(tmp_path / "twice", 0.01), render(tmp_path / "once", 0.01)
    assert list(twice) == list(once)
    pieces = [piece.tobytes() for pieces in twice.values() for piece in pieces]
    assert pieces == [piece.tobytes() for pieces in once.values() for piece in pieces]
    assert len(set(pieces)) == len(pieces)


def arguments(data: object, out: Path, *more: str) -> list[str]:
    kits, grooves = data.kits, data.grooves  # type: ignore[attr-defined]
    command = ["train", str(out), "--architecture", "transcriber", "--kits", str(kits)]
    return [*command, "--grooves", str(grooves), "--hours", "0.005", "--minutes", "0.05", *more]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--init", "lars-mini"], "no transcriber 'lars-mini'"),
        (["--init", "adtof"], "another architecture"),
        (["--reuse", "2"], "without --reuse"),
        (["--synthetic-kits", "3"], "without --synthetic-kits"),
        (["--accompaniment", "nowhere"], "nowhere: no such folder"),
        (["--exclude-kits", "nobody"], "nobody"),
    ],
)
def test_options_that_cannot_apply_are_refused_before_any_work(
    data: object, tmp_path: Path, options: list[str], reason: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert cli.main(arguments(data, tmp_path / "run", *options)) != 0
    assert reason in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.npz"))


def test_a_causal_network_starts_with_the_convolutions_of_one_that_is_not(
    capsys: pytest.CaptureFixture[str],
) -> None:
    network = Transcriber(TranscriberConfig(causal=True, lookahead=1))
    _adopt(network, "lars-transcriber")
    card = find_transcriber("lars-transcriber")
    trained = read_state(card.folder / card.weights.file, "safetensors")
    own = network.state_dict()
    fronts = [name for name in own if name.startswith("front.")]
    assert fronts
    assert all(torch.equal(own[name], trained[name].to(own[name].dtype)) for name in fronts)
    assert "lars-transcriber" in capsys.readouterr().out


def test_the_refused_options_are_told_by_their_defaults(tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    add_train_parser(parser.add_subparsers())
    known = parser.parse_args(["train", "out", "--kits", "k", "--grooves", "g"])
    for option, value in _UNUSED.items():
        assert getattr(known, option) == value, option


def test_shards_of_other_kits_are_not_taken(data: object, tmp_path: Path) -> None:
    claim_folder(tmp_path, "these kits")
    claim_folder(tmp_path, "these kits")
    with pytest.raises(DatasetError, match="other settings"):
        claim_folder(tmp_path, "others")


def test_biases_let_rare_strokes_be_named() -> None:
    rng = np.random.default_rng(0)
    center, sidestick = STROKES.index(("snare", "center")), STROKES.index(("snare", "sidestick"))
    frames = 4000
    strokes = np.full((frames, len(STROKES)), 0.01, np.float32)
    groups = np.zeros((frames, len(GROUPS)), np.float32)
    truth = []
    for number, frame in enumerate(range(10, frames - 10, 10)):
        rare = number % 40 == 0
        # The network leans to the common one, and still hears a difference.
        strokes[frame, center] = rng.normal(0.8 if rare else 0.95, 0.01)
        strokes[frame, sidestick] = rng.normal(0.3 if rare else 0.05, 0.01)
        groups[frame, GROUPS.index("snare")] = 0.9
        kind = "sidestick" if rare else "center"
        truth.append(Stroke(frame / 100, "snare", 100.0, kind))
    thresholds = dict.fromkeys(GROUPS, 0.5)
    biases = choose_biases([Activations(strokes, groups)], [truth], thresholds)
    assert biases["snare", "center"] == pytest.approx(-biases["snare", "sidestick"], abs=0.002)
    assert biases["hihat", "open"] == 0  # never played
    network = Transcriber(TranscriberConfig(hidden=4))
    tilted, _ = LarsTranscriber(
        network.config, TorchParts(network), thresholds, biases=biases
    ).chances(np.concatenate([strokes, groups], axis=1))
    at = [round(stroke.time * 100) for stroke in truth]
    named = tilted[at, sidestick] > tilted[at, center]
    assert named.tolist() == [stroke.articulation == "sidestick" for stroke in truth]
    assert not (strokes[at, sidestick] > strokes[at, center]).any()
