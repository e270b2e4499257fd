# SPDX-License-Identifier: GPL-3.0-or-later
"""A stream hears what the whole recording tells, in time, however it is cut."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from lars_plugin.errors import InputError, NonFiniteError
from lars_plugin.midi.heard import Heard, strokes_heard
from lars_plugin.midi.hits import DrumHit
from lars_plugin.midi.live import live_hits
from lars_plugin.midi.live_heard import LiveHearing, StrokeStream
from lars_plugin.midi.mel import BANDS, FIRST_REFERENCE_DB, running_levels
from lars_plugin.midi.scoring import Stroke, add_scores, score_hits
from lars_plugin.midi.transcriber import LarsTranscriber, load_transcriber
from lars_plugin.networks.transcriber.config import GROUPS, TranscriberConfig
from lars_plugin.networks.transcriber.network import Transcriber
from lars_plugin.synthesis import SAMPLE_RATE

Wave = NDArray[np.float32]
Play = Callable[..., dict[str, Wave]]
STEMS = ("kick", "snare", "toms", "hihat", "ride", "crash")


def transcriber(lookahead: int = 1, *, causal: bool = True) -> LarsTranscriber:
    """Random weights, so that much is struck: thresholds are the middle of the chances."""
    torch.manual_seed(3)
    config = TranscriberConfig(
        channels=(4, 6), hidden=8, layers=1, causal=causal, lookahead=lookahead
    )
    network = Transcriber(config).eval()
    with torch.no_grad():
        network.onsets.weight *= 20
    noise = np.random.default_rng(0).standard_normal((1, 40000)).astype(np.float32)
    chances = LarsTranscriber.of_network(network, {}).hear(noise, SAMPLE_RATE).groups
    middle = np.median(chances, axis=0)
    return LarsTranscriber.of_network(network, dict(zip(GROUPS, middle.tolist(), strict=True)))


def noise(samples: int, channels: int = 2) -> Wave:
    rng = np.random.default_rng(1)
    bursts = rng.standard_normal((channels, samples)) * (0.02 + (rng.random(samples) > 0.999))
    return np.asarray(bursts / 8, np.float32)


def strokes(stream: StrokeStream, wave: Wave, sizes: Sequence[int]) -> list[Heard]:
    found: list[Heard] = []
    start = turn = 0
    while start < wave.shape[1]:
        size = sizes[turn % len(sizes)]
        found += stream.push(wave[:, start : start + size])
        start, turn = start + size, turn + 1
    return found + stream.flush()


@pytest.mark.parametrize("lookahead", [0, 1, 4])
def test_a_stream_hears_what_the_whole_recording_tells(lookahead: int) -> None:
    heard = transcriber(lookahead)
    wave = noise(60001)
    whole = sorted(strokes_heard(heard.hear(wave, SAMPLE_RATE), heard.thresholds))
    found = sorted(strokes(StrokeStream(heard, SAMPLE_RATE, 2), wave, [512]))
    end = (wave.shape[1] - 4410) / SAMPLE_RATE  # what follows the end is silence to a stream only
    whole, found = ([one for one in all_ if one[0] < end] for all_ in (whole, found))
    assert len(found) > 20
    assert [one[1:3] for one in found] == [one[1:3] for one in whole]
    times, wanted = ([(one[0], one[3], one[4]) for one in all_] for all_ in (found, whole))
    np.testing.assert_allclose(times, wanted, atol=1e-4)


@pytest.mark.parametrize("rate", [44100, 48000, 22050])
@pytest.mark.parametrize("sizes", [[1024], [100, 1, 4000], [30000]])
def test_blocks_change_nothing(rate: int, sizes: list[int]) -> None:
    heard = transcriber()
    wave = noise(30000)
    whole = strokes(StrokeStream(heard, rate, 2), wave, [480])
    assert len(whole) > 5
    assert strokes(StrokeStream(heard, rate, 2), wave, sizes) == whole


@pytest.mark.parametrize("rate", [44100, 48000, 96000])
def test_hits_are_due_a_fixed_time_after_the_stroke(rate: int) -> None:
    stream = LiveHearing(transcriber(), rate)
    wave, size = noise(rate), 64
    blocks = [wave[:, start : start + size] for start in range(0, wave.shape[1], size)]
    found = [(hit, now) for hits, now in live_hits(stream, blocks) for hit in hits]
    assert len(found) > 10
    end = wave.shape[1] / rate
    for hit, now in found:
        due = min(hit.time + stream.latency_samples / rate, end)
        assert due - 1e-9 <= now <= due + size / rate + 1e-9
    assert stream.latency_samples / rate < 0.0505


def test_a_stream_starts_anew_after_a_reset() -> None:
    stream = StrokeStream(transcriber(), 48000, 1)
    wave = noise(20000, 1)
    first = strokes(stream, wave, [333])
    stream.reset()
    assert strokes(stream, wave, [333]) == first
    assert first


def test_velocities_are_those_of_the_stems() -> None:
    heard = transcriber()
    stems = np.stack([noise(40000) * gain for gain in (1.0, 0.1, 0.1, 0.1, 0.1, 0.1)])
    results = []
    for size in (512, 7000):
        stream = LiveHearing(heard, SAMPLE_RATE, 2, STEMS, velocity_range=120)
        blocks = [stems[..., start : start + size] for start in range(0, 40000, size)]
        results.append([hit for hits, _ in live_hits(stream, blocks) for hit in hits])
    assert results[0] == results[1]
    kicks = [hit.velocity for hit in results[0] if hit.stem == "kick"]
    others = [hit.velocity for hit in results[0] if hit.stem != "kick"]
    assert min(len(kicks), len(others)) > 3
    assert np.mean(kicks) - np.mean(others) == pytest.approx(20 * 126 / 120, abs=5)


def test_a_stroke_without_its_stem_is_left_out() -> None:
    stream = LiveHearing(transcriber(), SAMPLE_RATE, 1, ("cymbals", "bass"))
    stems = np.stack([noise(40000, 1)] * 2)
    found = stream.push(stems) + stream.flush()
    assert {hit.stem for hit in found} == {"cymbals"}


def test_what_cannot_be_heard_live_is_refused() -> None:
    with pytest.raises(InputError, match="lars-transcriber-live"):
        LiveHearing(transcriber(causal=False), SAMPLE_RATE)
    with pytest.raises(InputError, match="44101"):
        LiveHearing(transcriber(), 44101)
    with pytest.raises(InputError, match="4000 Hz"):
        LiveHearing(transcriber(), 4000)
    with pytest.raises(InputError, match="none of the stems vocals"):
        LiveHearing(transcriber(), SAMPLE_RATE, 2, ("vocals", "bass"))
    with pytest.raises(InputError, match="floating point"):
        StrokeStream(transcriber(), SAMPLE_RATE, 2).push(np.zeros((2, 5), np.int16))
    with pytest.raises(InputError, match=r"\(2, samples\)"):
        StrokeStream(transcriber(), SAMPLE_RATE, 2).push(np.zeros((1, 5), np.float32))
    with pytest.raises(InputError, match=r"\(6, 2, 'n'\)"):
        LiveHearing(transcriber(), SAMPLE_RATE, 2, STEMS).push(np.zeros((6, 1, 5), np.float32))
    with pytest.raises(InputError, match="velocity scale"):
        LiveHearing(transcriber(), SAMPLE_RATE, velocity="cubic")  # type: ignore[arg-type]


@pytest.mark.parametrize("stems", [None, STEMS])
def test_a_block_with_nan_is_refused_and_the_stream_goes_on(
    stems: tuple[str, ...] | None,
) -> None:
    wave = noise(30000)
    blocks: Wave = wave if stems is None else np.stack([wave / np.float32(6)] * 6)
    whole, other = (LiveHearing(transcriber(), SAMPLE_RATE, 2, stems) for _ in range(2))
    broken = blocks[..., :500].copy()
    broken[..., 7] = np.nan
    found = other.push(blocks[..., :10000])
    with pytest.raises(NonFiniteError, match="sample 10007"):
        other.push(broken)
    found += other.push(blocks[..., 10000:]) + other.flush()
    assert found == whole.push(blocks) + whole.flush()


def test_one_absurd_sample_does_not_silence_the_stream() -> None:
    heard = transcriber()
    wave = noise(60000)
    broken = wave.copy()
    broken[:, 10000] = 1e20
    found = [
        {
            (round(one[0], 2), one[1])
            for one in strokes(StrokeStream(heard, SAMPLE_RATE, 2), w, [512])
        }
        for w in (wave, broken)
    ]
    # The click is 20 dB, which fades: much of what is softer by 40 dB is still heard.
    assert len(found[1]) > len(found[0]) / 4
    assert all(np.isfinite(time) for time, _ in found[1])


@pytest.mark.parametrize("cut", [0, 1, 7, 100])
def test_running_levels_are_those_of_one_call(cut: int) -> None:
    rng = np.random.default_rng(2)
    powers = np.asarray(10 ** rng.uniform(-9, 1, (100, BANDS)), np.float32)
    whole, last = running_levels(powers, FIRST_REFERENCE_DB)
    first, between = running_levels(powers[:cut], FIRST_REFERENCE_DB)
    second, end = running_levels(powers[cut:], between)
    np.testing.assert_array_equal(np.concatenate([first, second]), whole)
    assert end == last


def test_the_reference_of_running_levels_rises_at_once_and_falls_slowly() -> None:
    powers = np.full((301, BANDS), 1e-4, np.float32)
    powers[100] = 1.0
    levels, reference = running_levels(powers, FIRST_REFERENCE_DB)
    decibels = 20 * (levels[:, 0] - 2)
    loud = 10 * np.log10(BANDS)
    assert decibels[100] == pytest.approx(-loud, abs=0.01)
    assert reference == pytest.approx(loud - 1.0, abs=0.01)  # two seconds later
    assert decibels[300] - decibels[101] == pytest.approx(1.0, abs=0.02)
    assert levels.min() >= -2


def test_the_reference_of_running_levels_stays_in_range() -> None:
    silent = np.zeros((20000, BANDS), np.float32)
    assert running_levels(silent, FIRST_REFERENCE_DB)[1] == -60
    assert running_levels(np.full((1, BANDS), 1e30, np.float32), -30.0)[1] == 20


@pytest.mark.parametrize("mixture", [True, False])
def test_the_package_s_own_finds_what_was_played(
    mixture: bool, play: Play, groove: Sequence[DrumHit]
) -> None:
    waves = np.stack(list(play(groove, 1, 2.5).values()))
    truth = [Stroke(hit.time, hit.stem, hit.velocity) for hit in groove if hit.time < 2.4]
    heard = load_transcriber("lars-transcriber-live")
    stream = LiveHearing(heard, SAMPLE_RATE, 2, None if mixture else STEMS)
    audio = waves.sum(axis=0) if mixture else waves
    blocks = [audio[..., start : start + 256] for start in range(0, audio.shape[-1], 256)]
    hits = [hit for some, _ in live_hits(stream, blocks) for hit in some]
    scores = score_hits(truth, [Stroke(hit.time, hit.stem, hit.velocity) for hit in hits], 0.03)
    assert add_scores(scores.values()).f_measure >= 0.7
