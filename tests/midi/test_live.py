# SPDX-License-Identifier: GPL-3.0-or-later
"""Hits from streams of stems, and notes to a port."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from mido.ports import EchoPort
from numpy.typing import NDArray

from lars_plugin.errors import InputError
from lars_plugin.midi.bands import BandStream
from lars_plugin.midi.hits import DrumHit
from lars_plugin.midi.live import LiveTranscriber, live_hits
from lars_plugin.midi.ports import LivePort
from lars_plugin.midi.scoring import Stroke, add_scores, score_hits
from lars_plugin.synthesis import SAMPLE_RATE

Play = Callable[..., dict[str, NDArray[np.float32]]]


@pytest.mark.parametrize("sizes", [[1], [100, 1, 4000], [50000]])
def test_bands_do_not_depend_on_the_blocks(sizes: list[int]) -> None:
    rng = np.random.default_rng(0)
    wave = rng.standard_normal((2, 2, 9001 if sizes != [1] else 1500)).astype(np.float32)
    whole = BandStream(2, 2, SAMPLE_RATE)
    wanted = np.concatenate([whole.push(wave), whole.flush()], axis=1)
    cut = BandStream(2, 2, SAMPLE_RATE)
    parts: list[NDArray[np.float32]] = []
    start = 0
    while start < wave.shape[2]:
        size = sizes[len(parts) % len(sizes)]
        parts.append(cut.push(wave[:, :, start : start + size]))
        start += size
    found = np.concatenate([*parts, cut.flush()], axis=1)
    assert np.array_equal(found, wanted)
    assert wanted.shape[1] == (wave.shape[2] // whole.hop) + 1


@pytest.fixture(scope="module")
def bar(play: Play, groove: Sequence[DrumHit]) -> tuple[list[DrumHit], NDArray[np.float32]]:
    """The first two seconds and a half: strokes, and stems ``(6, 2, samples)``."""
    stems = play(groove, 1, 2.5)
    return [hit for hit in groove if hit.time < 2.4], np.stack(list(stems.values()))


STEMS = ("kick", "snare", "toms", "hihat", "ride", "crash")


def run(waves: NDArray[np.float32], size: int) -> list[tuple[DrumHit, float]]:
    transcriber = LiveTranscriber(STEMS, SAMPLE_RATE)
    blocks = [waves[:, :, start : start + size] for start in range(0, waves.shape[2], size)]
    return [(hit, now) for hits, now in live_hits(transcriber, blocks) for hit in hits]


def test_live_finds_what_was_played_and_in_time(
    bar: tuple[list[DrumHit], NDArray[np.float32]],
) -> None:
    truth, waves = bar
    found = run(waves, 256)
    scores = score_hits(
        [Stroke(hit.time, hit.stem, hit.velocity) for hit in truth],
        [Stroke(hit.time, hit.stem, hit.velocity) for hit, _ in found],
        0.02,
    )
    assert add_scores(scores.values()).f_measure >= 0.8
    latency = LiveTranscriber(STEMS, SAMPLE_RATE).latency_samples
    end = waves.shape[2] / SAMPLE_RATE
    for hit, now in found:
        due = hit.time + latency / SAMPLE_RATE
        assert now == pytest.approx(min(due, end), abs=256 / SAMPLE_RATE + 1e-9)


def test_blocks_change_nothing(bar: tuple[list[DrumHit], NDArray[np.float32]]) -> None:
    _, waves = bar
    hits = [[hit for hit, _ in run(waves, size)] for size in (256, 4411)]
    assert hits[0] == hits[1]
    assert hits[0]


def test_every_note_that_begins_ends_and_an_open_hat_is_choked() -> None:
    port = EchoPort()
    notes = LivePort(port)
    notes.send([DrumHit(1.0, "hihat", "open", 90)], 1.0)
    notes.send([DrumHit(1.3, "hihat", "closed", 80), DrumHit(1.3, "kick", velocity=70)], 1.3)
    notes.send([DrumHit(1.31, "kick", velocity=60)], 1.31)
    notes.send([], 2.0)
    notes.send([DrumHit(2.5, "crash", velocity=100)], 2.5)
    notes.close()
    sent = [(message.type, message.note, message.channel) for message in port.iter_pending()]
    assert sent == [
        ("note_on", 46, 9),
        ("note_off", 46, 9),
        ("note_on", 42, 9),
        ("note_on", 36, 9),
        ("note_off", 36, 9),
        ("note_on", 36, 9),
        ("note_off", 42, 9),
        ("note_off", 36, 9),
        ("note_on", 49, 9),
        ("note_off", 49, 9),
    ]


def test_blocks_of_another_shape_and_stems_without_drums_are_refused() -> None:
    with pytest.raises(InputError, match="none of the stems"):
        LiveTranscriber(("vocals",), SAMPLE_RATE)
    with pytest.raises(InputError, match="blocks must be"):
        LiveTranscriber(STEMS, SAMPLE_RATE).push(np.zeros((2, 2, 10), np.float32))
