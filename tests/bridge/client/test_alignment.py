# SPDX-License-Identifier: GPL-3.0-or-later
"""The aligner: what comes out belongs where it is, whatever comes in and whenever."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lars_plugin.bridge.client.alignment import Aligner


@settings(deadline=None)
@given(st.data())
def test_output_is_the_stem_of_its_position_or_the_fallback_and_never_another(
    data: st.DataObject,
) -> None:
    latency = data.draw(st.integers(0, 200))
    start = data.draw(st.integers(0, 10**12))
    dry = data.draw(st.booleans())
    aligner = Aligner(2, 1, latency, position=start, dry=dry)
    end, given_samples, out = start, 0, []
    pending: list[tuple[int, int]] = []
    for _ in range(data.draw(st.integers(1, 12))):
        count = data.draw(st.integers(1, 150))
        # The value of each sample is its position; its stem is that plus half.
        block = np.arange(end - start, end - start + count, dtype=np.float32)[None] + 1
        aligner.take(block)
        pending.append((end, count))
        end += count
        arriving = data.draw(st.permutations(pending))[: data.draw(st.integers(0, len(pending)))]
        for position, length in arriving:
            pending.remove((position, length))
            wave = np.arange(position - start, position - start + length, dtype=np.float32) + 1.5
            aligner.store(position, np.stack([wave, -wave])[:, None])
        made, _ = aligner.give(count)
        out.append(made)
        given_samples += count
    result = np.concatenate(out, axis=2)[:, 0]
    place = np.arange(given_samples) - latency
    before = place < 0
    stem = result[0] == place + 1.5
    fallback = result[0] == ((place + 1) / 2 if dry else 0)
    fallback &= result[1] == ((place + 1) / 2 if dry else 0)
    assert (result[:, before] == 0).all()
    assert ((stem & (result[1] == -place - 1.5)) | fallback)[~before].all()
    assert aligner.missing == int((~stem)[~before].sum())


def test_late_samples_are_dropped_and_counted() -> None:
    aligner = Aligner(1, 1, 10)
    aligner.take(np.ones((1, 30), np.float32))
    out, missing = aligner.give(30)
    assert missing == 20
    assert (out[0, 0, :10] == 0).all()
    assert (out[0, 0, 10:] == 1).all()
    aligner.store(15, np.full((1, 1, 10), 7, np.float32))
    assert aligner.late == 5
    aligner.take(np.ones((1, 10), np.float32))
    out, missing = aligner.give(10)
    assert missing == 5
    assert out[0, 0].tolist() == [7] * 5 + [1] * 5


def test_the_ring_grows_for_larger_blocks_and_keeps_what_it_has() -> None:
    aligner = Aligner(1, 1, 5000)
    aligner.take(np.ones((1, 4000), np.float32))
    aligner.store(0, np.full((1, 1, 4000), 3, np.float32))
    aligner.give(4000)
    aligner.take(np.ones((1, 65536), np.float32))
    out, missing = aligner.give(65536)
    assert missing == 65536 - 5000
    assert (out[0, 0, 1000:5000] == 3).all()


def test_what_the_engine_claims_about_the_future_is_ignored() -> None:
    aligner = Aligner(1, 1, 0)
    aligner.take(np.ones((1, 8), np.float32))
    aligner.store(4, np.full((1, 1, 100), 5, np.float32))
    out, missing = aligner.give(8)
    assert missing == 4
    assert out[0, 0].tolist() == [1] * 4 + [5] * 4
