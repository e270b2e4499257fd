# SPDX-License-Identifier: GPL-3.0-or-later
"""Post-processing: the properties of each step, in blocks and as a whole."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import signal

from lars_plugin.errors import InputError
from lars_plugin.refine.gate import Gate
from lars_plugin.refine.postprocess import PostProcessing, PostStage
from lars_plugin.refine.spectral import Redistribution, WienerFilter, frame_length, shares
from lars_plugin.separation.separator import Separator
from lars_plugin.separation.streams.rate import RateStream
from lars_plugin.testing import GainModel, IdentityModel

Wave = NDArray[np.float32]

RATE = 8000
ALL = PostProcessing(wiener=1.0, gate=-30.0, redistribute=True)


def noise(*shape: int, seed: int = 3) -> Wave:
    rng = np.random.default_rng(seed)
    return rng.uniform(-0.5, 0.5, shape).astype(np.float32)


def run(stage: PostStage, block: Wave, cuts: list[int] | None = None) -> Wave:
    edges = [0, *sorted(cuts or []), block.shape[2]]
    parts = [stage.push(block[..., a:b]) for a, b in itertools.pairwise(edges)]
    return np.concatenate([*parts, stage.flush()], axis=2)


def stages(stems: int, channels: int) -> list[PostStage]:
    return [
        WienerFilter(1.5, stems, channels, RATE),
        Redistribution(stems, channels, RATE),
        Gate(-20, stems, channels, RATE, attack=0.005, hold=0.01, release=0.02),
    ]


@settings(max_examples=10, deadline=None)
@given(cuts=st.lists(st.integers(0, 5000), max_size=8), which=st.integers(0, 2))
def test_every_step_is_the_same_to_the_bit_for_any_block_split(cuts: list[int], which: int) -> None:
    block = noise(3, 2, 5000) * (np.arange(5000) % 2000 < 700)
    whole = run(stages(2, 2)[which], block)
    assert whole.shape == block.shape
    np.testing.assert_array_equal(run(stages(2, 2)[which], block, cuts), whole)
    np.testing.assert_array_equal(whole[0], block[0])


@pytest.mark.parametrize("which", [0, 1, 2])
def test_every_step_keeps_to_its_latency_and_starts_anew_after_reset(which: int) -> None:
    stage = stages(1, 1)[which]
    block = noise(2, 1, 4000)
    taken = given_ = worst = 0
    for size in itertools.cycle([1, 7, 300, 2]):
        if taken + size > 4000:
            break
        given_ += stage.push(block[..., taken : taken + size]).shape[2]
        taken += size
        worst = max(worst, taken - given_)
    assert worst <= stage.latency_samples
    assert worst > stage.latency_samples - 310
    stage.reset()
    np.testing.assert_array_equal(run(stage, block), run(stages(1, 1)[which], block))


@pytest.mark.parametrize("samples", [0, 1, 100, 3000])
def test_every_step_gives_as_much_as_it_takes(samples: int) -> None:
    for stage in stages(2, 1):
        assert run(stage, noise(3, 1, samples)).shape == (3, 1, samples)


def test_wiener_shares_out_the_mixture_as_the_formula_says() -> None:
    block = noise(3, 1, 6000)
    result = run(WienerFilter(1.7, 2, 1, RATE), block)
    size = frame_length(RATE)
    transform = signal.ShortTimeFFT(
        signal.windows.hann(size, sym=False), size // 4, RATE, dual_win=None
    )
    mixture, first, second = (transform.stft(wave[0]) for wave in block)
    mask = np.abs(first) ** 1.7 / (np.abs(first) ** 1.7 + np.abs(second) ** 1.7)
    # Frames of both lie on one grid only where SciPy's begin at a multiple of the hop.
    wanted = transform.istft(mask * mixture, k1=6000)
    np.testing.assert_allclose(result[1, 0, size:-size], wanted[size:-size], atol=1e-4)


def test_wiener_stems_add_up_to_the_mixture_where_any_sounds() -> None:
    block = noise(4, 2, 5000)
    result = run(WienerFilter(1, 3, 2, RATE), block)
    np.testing.assert_allclose(result[1:].sum(axis=0), block[0], atol=1e-5)
    block[1:] = 0
    assert not run(WienerFilter(1, 3, 2, RATE), block)[1:].any()


@pytest.mark.parametrize("exponent", [0.1, 1, 2, 40])
def test_shares_are_parts_of_one_at_any_level(exponent: float) -> None:
    magnitudes = noise(3, 1, 50) ** 2 * np.float32(1e-30)
    part = shares(magnitudes, exponent)
    np.testing.assert_allclose(part.sum(axis=0), 1, atol=1e-5)
    assert not shares(np.zeros((3, 1, 50), np.float32), exponent).any()


def test_a_larger_exponent_leaves_less_of_the_weaker_stem() -> None:
    block = noise(3, 1, 5000)
    block[2] *= 0.1
    energies = [float((run(WienerFilter(a, 2, 1, RATE), block)[2] ** 2).sum()) for a in (0.5, 1, 2)]
    assert energies == sorted(energies, reverse=True)


def test_redistributed_stems_add_up_to_the_mixture_even_where_all_are_silent() -> None:
    block = noise(4, 2, 6000)
    block[1:, :, 2000:5000] = 0
    result = run(Redistribution(3, 2, RATE), block)
    np.testing.assert_allclose(result[1:].sum(axis=0), block[0], atol=1e-5)


def test_redistribution_gives_a_frequency_to_the_stem_that_has_it() -> None:
    time = np.arange(8000) / RATE
    low, high = (np.sin(2 * np.pi * f * time).astype(np.float32) for f in (200, 2000))
    # The stems are too quiet by half.
    block = np.stack([low + high, 0.5 * low, 0.5 * high])[:, None]
    result = run(Redistribution(2, 1, RATE), block)
    inner = slice(1000, -1000)
    np.testing.assert_allclose(result[1, 0, inner], low[inner], atol=1e-3)
    np.testing.assert_allclose(result[2, 0, inner], high[inner], atol=1e-3)


def gated(block: Wave, threshold: float = -30, **settings: float) -> Wave:
    chosen = {"attack": 0.005, "hold": 0.05, "release": 0.1, **settings}
    return run(Gate(threshold, len(block) - 1, block.shape[1], RATE, **chosen), block)


def test_the_gate_silences_leakage_and_passes_what_is_heard_to_the_bit() -> None:
    block = noise(3, 2, 8000)
    block[2] *= 0.01  # 40 dB below the mixture
    result = gated(block)
    np.testing.assert_array_equal(result[1], block[1])
    assert not result[2].any()
    np.testing.assert_array_equal(gated(block, -50)[2], block[2])


def test_the_gate_opens_before_an_onset_and_closes_after_hold_and_release() -> None:
    block = np.full((2, 1, 8000), 0.5, np.float32)
    block[1] = 1e-4
    block[1, 0, 3000:3400] = 0.4
    gain = gated(block)[1, 0] / block[1, 0]
    slot = round(0.005 * RATE)
    assert not gain[: 3000 - 2 * slot].any()
    assert (gain[3000:3400] == 1).all()
    closing = 3400 + round(0.05 * RATE)
    assert (gain[3400 : closing - slot] == 1).all()
    assert not gain[closing + round(0.1 * RATE) + 2 * slot :].any()


def test_the_gain_of_the_gate_has_no_jumps() -> None:
    block = np.full((2, 1, 8000), 0.5, np.float32)
    block[1] = np.where(np.arange(8000) % 1700 < 300, 0.4, 1e-4)
    gain = gated(block)[1, 0] / block[1, 0]
    assert 0 < np.abs(np.diff(gain)).max() <= 1 / round(0.005 * RATE) + 1e-6


def test_a_quiet_passage_opens_the_gate_again() -> None:
    block = noise(2, 1, 10 * RATE)
    block[:, :, RATE:] *= 0.01
    result = gated(block)
    # Ten decibels are forgotten in 1.7 s.
    assert not result[1, 0, int(1.5 * RATE) : int(2.5 * RATE)].any()
    np.testing.assert_array_equal(result[1, 0, -RATE:], block[1, 0, -RATE:])


def test_silence_stays_silence_and_is_finite() -> None:
    for stage in stages(2, 2):
        assert not run(stage, np.zeros((3, 2, 3000), np.float32)).any()


@settings(max_examples=8, deadline=None)
@given(
    cuts=st.lists(st.integers(0, 6000), max_size=6),
    rate=st.sampled_from([RATE, 11025]),
    channels=st.sampled_from([1, 2]),
)
def test_a_stream_with_all_steps_does_not_depend_on_blocks(
    cuts: list[int], rate: int, channels: int
) -> None:
    audio = noise(channels, 6000)
    model = GainModel([0.4, 0.2, 0.001], ("kick", "snare", "toms"), 500, sample_rate=RATE)
    separator = Separator(model, post=ALL, stems=["toms", "kick"])
    whole = np.stack(list(separator.separate(audio, rate).values()))
    stream = separator.stream(rate, channels)
    parts = [stream.push(audio[:, a:b]) for a, b in itertools.pairwise([0, *sorted(cuts), 6000])]
    parts.append(stream.flush())
    np.testing.assert_array_equal(np.concatenate(parts, axis=2), whole)
    assert whole.shape == (2, channels, 6000)


def test_stems_add_up_at_the_rate_of_the_recording() -> None:
    audio = noise(2, 30_000)
    model = GainModel([0.4, 0.2, 0.1], ("kick", "snare", "toms"), 500)
    for rate in (44100, 48000):
        result = Separator(model, post=PostProcessing(redistribute=True)).separate(audio, rate)
        np.testing.assert_allclose(result.sum(), audio, atol=1e-5)


def test_latencies_of_model_and_steps_add_up() -> None:
    model = IdentityModel(sample_rate=RATE)
    plain = RateStream(model, RATE, 2).latency_samples
    stream = Separator(model, post=ALL).stream(RATE, 2)
    frame, slot = frame_length(RATE), round(0.005 * RATE)
    assert stream.latency_samples == plain + 2 * (frame - 1) + 2 * slot - 1
    given_ = worst = 0
    for taken in range(100, 12_000, 100):
        given_ += stream.push(noise(2, 100)).shape[2]
        worst = max(worst, taken - given_)
    assert worst <= stream.latency_samples
    stream.reset()
    audio = noise(2, 9000)
    result = np.concatenate([stream.push(audio), stream.flush()], axis=2)
    wanted = Separator(model, post=ALL).separate(audio, RATE)
    np.testing.assert_array_equal(result, np.stack(list(wanted.values())))


def test_no_steps_change_nothing() -> None:
    assert not PostProcessing().active
    assert str(ALL) == "wiener 1, gate -30 dB, redistribute"
    audio = noise(2, 4000)
    plain = Separator(IdentityModel()).separate(audio, 44100)
    result = Separator(IdentityModel(), post=PostProcessing()).separate(audio, 44100)
    for stem in plain:
        np.testing.assert_array_equal(result[stem], plain[stem])


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"wiener": 0.0}, "Wiener exponent must be above 0, got 0.0"),
        ({"wiener": float("nan")}, "Wiener exponent"),
        ({"gate": 3.0}, "must be below 0 dB, got 3.0; try -40"),
        ({"attack": 0.0}, "attack must be from"),
        ({"hold": -1.0}, "hold must be from"),
        ({"release": float("inf")}, "release must be from"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings_: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        PostProcessing(**settings_)  # type: ignore[arg-type]
