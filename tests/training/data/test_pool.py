# SPDX-License-Identifier: GPL-3.0-or-later
"""Excerpts as a training step gets them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lars_plugin.training.data.pool import Pool, PoolConfig, varied

Wave = NDArray[np.float32]


def excerpts(rows: int, size: int) -> Wave:
    wave = np.random.default_rng(0).standard_normal((size, rows, 2, 500)) * 0.1
    return wave.astype(np.float32)


def is_same(one: Wave, other: Wave) -> bool:
    """Whether one is the other but for one gain, one sign and its sides."""
    if not other.any():
        return not one.any()
    for sides in (other, other[:, ::-1]):
        gain = float((one * sides).sum() / np.square(sides).sum())
        if np.allclose(one, gain * sides, atol=1e-3 * np.abs(one).max()):
            return True
    return False


@pytest.mark.parametrize("size", [1, 5, 8])
def test_half_of_the_excerpts_are_as_they_were_rendered(size: int) -> None:
    batch, rng = excerpts(7, size), np.random.default_rng(1)
    before, kept = batch.copy(), []
    for _ in range(60):
        result = varied(rng, batch, 6)
        assert result.dtype == np.float32
        assert np.isfinite(result).all()
        kept.append(sum(any(is_same(one, other) for other in batch) for one in result))
    np.testing.assert_array_equal(batch, before)
    assert set(kept) <= {size // 2, -(-size // 2)}
    assert np.mean(kept) == pytest.approx(size / 2, abs=0.25)


def test_what_belongs_to_no_stem_stays_with_its_excerpt_and_stems_do_not() -> None:
    batch, rng = excerpts(7, 8), np.random.default_rng(1)

    def origin(row: Wave, index: int) -> int:
        return next(i for i, other in enumerate(batch) if is_same(row[None], other[index][None]))

    moved = 0
    for _ in range(20):
        for place, excerpt in enumerate(varied(rng, batch, 6)):
            assert origin(excerpt[6], 6) == place
            moved += sum(origin(excerpt[stem], stem) != place for stem in range(6))
    assert moved > 20
    # With music the seventh row is a stem.
    rows = [varied(rng, batch, 7)[:, 6] for _ in range(20)]
    assert any(origin(row, 6) != place for one in rows for place, row in enumerate(one))


def test_without_balances_all_excerpts_are_as_they_were_rendered() -> None:
    batch = excerpts(7, 5)
    result = varied(np.random.default_rng(1), batch, 6, balances=False)
    assert all(is_same(one, other) for one, other in zip(result, batch, strict=True))


def test_silence_stays_silent() -> None:
    assert not varied(np.random.default_rng(0), np.zeros((4, 7, 2, 100), np.float32), 6).any()


def test_a_pool_draws_what_was_rendered_half_of_it_unchanged(data: Any) -> None:
    config = PoolConfig(
        kits=str(data.kits), grooves=str(data.grooves), segment=8192, batch=2, pool=4,
        workers=1, synthetic_kits=1, seed=0, records=1.0,
    )  # fmt: skip
    pool = Pool(config)
    try:
        pool.wait()
        for _ in range(4):
            batch = pool.draw()
            assert batch.shape == (2, 7, 2, 8192)
            rendered = [item.astype(np.float32) for item in pool._items]
            assert sum(any(is_same(one, item) for item in rendered) for one in batch) >= 1
    finally:
        pool.close()
