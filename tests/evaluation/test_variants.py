# SPDX-License-Identifier: GPL-3.0-or-later
"""Variants of clips, one by one and with ``lars evaluate --variants``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lars_plugin.cli import main
from lars_plugin.errors import InputError
from lars_plugin.evaluation.clips import Clip, Recording
from lars_plugin.evaluation.datasets import find_clips
from lars_plugin.evaluation.shoebox import overheads
from lars_plugin.evaluation.variants import (
    VARIANTS,
    make_variant,
    spread_over_variants,
    variant_of,
)

Wave = NDArray[np.float32]
RATE = 44100
STEMS = ("kick", "snare", "toms", "hihat", "ride", "crash")


@pytest.fixture(scope="module")
def recording() -> Recording:
    """Decaying noise for each stem, panned, a second and a half long."""
    rng = np.random.default_rng(0)
    length = RATE * 3 // 2
    stems = {}
    for index, name in enumerate(STEMS):
        wave = np.zeros((2, length), np.float32)
        for start in (3000 + 1000 * index, 35000 + 900 * index):
            decay = np.exp(-np.arange(8000) / 1500)
            hit = rng.standard_normal(8000) * decay * 0.1
            wave[:, start : start + 8000] += np.array([[0.3 + 0.1 * index], [0.8]]) * hit
        stems[name] = wave
    return Recording(np.sum(list(stems.values()), axis=0, dtype=np.float32), stems, RATE)


@pytest.mark.parametrize("variant", VARIANTS)
def test_stems_add_up_and_nothing_is_lost_or_changed(recording: Recording, variant: str) -> None:
    before = {name: wave.copy() for name, wave in recording.references.items()}
    result = make_variant(recording, variant, "clip")
    total = np.sum(list(result.references.values()), axis=0)
    np.testing.assert_allclose(total, result.mixture, atol=1e-5)
    assert result.mixture.shape == recording.mixture.shape
    assert result.mixture.dtype == np.float32
    assert np.isfinite(result.mixture).all()
    assert np.abs(result.mixture).max() == pytest.approx(0.89, abs=1e-4)
    for name, wave in before.items():
        np.testing.assert_array_equal(recording.references[name], wave)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_clip_has_the_same_variant_in_every_run(recording: Recording, variant: str) -> None:
    one, other = (make_variant(recording, variant, "clip") for _ in range(2))
    np.testing.assert_array_equal(one.mixture, other.mixture)


@pytest.mark.parametrize("variant", ["room", "hall"])
def test_each_clip_has_a_room_of_its_own(recording: Recording, variant: str) -> None:
    one, other = (make_variant(recording, variant, name) for name in "ab")
    assert np.abs(one.mixture - other.mixture).max() > 0.05


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("length", [1, 40, 5000])
def test_short_and_silent_clips_are_taken(variant: str, length: int) -> None:
    silence = {name: np.zeros((2, length), np.float32) for name in STEMS}
    result = make_variant(Recording(silence["kick"], silence, RATE), variant, "clip")
    assert result.mixture.shape == (2, length)
    assert not result.mixture.any()


def test_channels_are_as_the_names_say(recording: Recording) -> None:
    mono = make_variant(recording, "mono", "clip").mixture
    np.testing.assert_array_equal(mono[0], mono[1])
    assert not make_variant(recording, "left", "clip").mixture[1].any()
    inverted = make_variant(recording, "inverted", "clip").mixture
    np.testing.assert_array_equal(inverted[0], -inverted[1])


@pytest.mark.parametrize(("variant", "edge"), [("lp10", 10000), ("lp5", 5000)])
def test_low_passes_leave_nothing_an_octave_above(
    recording: Recording, variant: str, edge: float
) -> None:
    result = make_variant(recording, variant, "clip")
    power = np.square(np.abs(np.fft.rfft(result.mixture))).sum(0)
    above = np.fft.rfftfreq(result.mixture.shape[1], 1 / RATE) > 2 * edge
    assert power[above].sum() < 1e-5 * power.sum()


def test_cymbals_move_against_the_drums(recording: Recording) -> None:
    def ratio(variant: str) -> float:
        stems = make_variant(recording, variant, "clip").references
        return float(np.square(stems["ride"]).sum() / np.square(stems["kick"]).sum())

    assert 10 * np.log10(ratio("bright") / ratio("plain")) == pytest.approx(6, abs=0.01)
    assert 10 * np.log10(ratio("dull") / ratio("plain")) == pytest.approx(-6, abs=0.01)


def test_low_toms_sound_seven_semitones_lower_where_they_are_struck() -> None:
    length, start = RATE, 10000
    t = np.arange(15000) / RATE
    wave = np.zeros((2, length), np.float32)
    wave[:, start : start + 15000] = 0.5 * np.sin(2 * np.pi * 150 * t) * np.exp(-t / 0.1)
    result = make_variant(Recording(wave, {"toms": wave}, RATE), "low-toms", "clip")
    spectrum = np.abs(np.fft.rfft(result.mixture[0]))
    peak = np.fft.rfftfreq(length, 1 / RATE)[np.argmax(spectrum)]
    assert peak == pytest.approx(150 / 2 ** (7 / 12), abs=3)
    heard = np.flatnonzero(np.abs(result.mixture[0]) > 0.1)[0]
    # Less than a frame of 10 ms late: the stroke begins a little after its segment.
    assert 0 <= heard - start < 0.02 * RATE


def test_squashing_makes_the_loud_softer_against_the_quiet() -> None:
    quiet_then_loud = np.full((2, 2 * RATE), 0.01, np.float32)
    quiet_then_loud[:, RATE : RATE + RATE // 4] = 0.5
    result = make_variant(
        Recording(quiet_then_loud, {"kick": quiet_then_loud}, RATE), "squash", "clip"
    ).mixture[0]
    before = 0.5 / 0.01
    after = np.median(result[RATE + 5000 : RATE + 10000]) / np.median(result[5000 : RATE - 5000])
    assert after < before / 4


def test_the_nearest_overhead_hears_a_drum_first_and_walls_later() -> None:
    result = overheads(STEMS, RATE, np.random.default_rng(1))
    firsts = []
    for name in STEMS:
        for response in result[name]:
            direct = int(np.argmax(np.abs(response) > 0.2))
            firsts.append(direct)
            tail = np.abs(response[direct + int(0.3 * RATE) :]).max()
            assert tail < 0.2 * np.abs(response).max()
    assert min(firsts) <= 1
    # Ten metres of path are 29 ms: all direct sounds come well before.
    assert max(firsts) < 0.01 * RATE


def test_unknown_variants_are_named(recording: Recording, clip_tree: Path) -> None:
    with pytest.raises(InputError, match="unknown variant 'wet'; use plain"):
        make_variant(recording, "wet", "clip")
    with pytest.raises(InputError, match="unknown variant wet; use all"):
        spread_over_variants([Clip("a", {})], ["room", "wet"])


def test_each_clip_is_scored_in_each_variant(
    clip_tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["evaluate", str(clip_tree), "-m", "none", "--baseline", "oracle,mixture"]
    assert main([*arguments, "--variants", "mono,left,bright"]) == 0
    printed = capsys.readouterr().out
    first, *others = printed.split("\n\n", 1)[1].split("SDR in dB by variant, ")
    header, oracle, mixture = (line.split() for line in first.strip().splitlines())
    assert header == ["mono", "left", "bright"]
    assert [oracle[0], mixture[0]] == ["oracle", "mixture"]
    assert all(float(a) > float(b) for a, b in zip(oracle[1:], mixture[1:], strict=True))
    assert [part.split()[0] for part in others] == ["kick", "snare", "toms", "hihat", "cymbals"]
    assert main([*arguments, "--variants"]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in VARIANTS)


def test_names_tell_the_variant_and_the_clip(clip_tree: Path) -> None:
    _, clips = find_clips(clip_tree)
    result = spread_over_variants(clips, ["room", "dull"])
    assert [clip.name for clip in result[:2]] == ["room/clip0", "room/clip1"]
    assert {variant_of(clip.name) for clip in result} == {"room", "dull"}
