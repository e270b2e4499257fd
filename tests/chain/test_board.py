# SPDX-License-Identifier: GPL-3.0-or-later
"""StemBoard: pre, separator, a board per stem, post; whole and in blocks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pedalboard import (  # type: ignore[attr-defined]
    Bitcrush,
    BrickwallLimiter,
    Chain,
    Chorus,
    Clipping,
    Compressor,
    Convolution,
    Delay,
    Distortion,
    Gain,
    HighpassFilter,
    Invert,
    LadderFilter,
    Limiter,
    LowpassFilter,
    Mix,
    MP3Compressor,
    NoiseGate,
    PeakFilter,
    Pedalboard,
    Phaser,
    PitchShift,
    Resample,
    Reverb,
)
from pedalboard_native._internal import AddLatency, ResampleWithLatency

from lars_plugin.chain import StemBoard, StemSeparator
from lars_plugin.errors import EngineError, InputError
from lars_plugin.testing import GainModel, IdentityModel

RATE = 44100
STEMS = ("kick", "snare", "hihat")

Make = Callable[[], list[Any]]

NATIVE: dict[str, Make] = {
    "nothing": list,
    "AddLatency": lambda: [AddLatency(300)],
    "Bitcrush": lambda: [Bitcrush(6)],
    "BrickwallLimiter": lambda: [BrickwallLimiter(-9)],
    "Chain": lambda: [Chain([AddLatency(100), Gain(-2)])],
    "Chorus": lambda: [Chorus()],
    "Clipping": lambda: [Clipping()],
    "Compressor": lambda: [Compressor(-20, 4)],
    "Convolution": lambda: [Convolution(np.full((1, 500), 0.01, np.float32), 0.5, RATE)],
    "Delay": lambda: [Delay(0.01, 0.3, 0.5)],
    "Distortion": lambda: [Distortion()],
    "Gain": lambda: [Gain(-3)],
    "HighpassFilter": lambda: [HighpassFilter(100)],
    "LadderFilter": lambda: [LadderFilter()],
    "Limiter": lambda: [Limiter(-9)],
    "LowpassFilter": lambda: [LowpassFilter()],
    "MP3Compressor": lambda: [MP3Compressor()],
    "Mix": lambda: [Mix([Delay(0.01), Gain(0)])],
    "NoiseGate": lambda: [NoiseGate(-30)],
    "PeakFilter": lambda: [PeakFilter(800, 6)],
    "Phaser": lambda: [Phaser()],
    "Resample": lambda: [Resample(16000)],
    "ResampleWithLatency": lambda: [ResampleWithLatency(16000, 200)],
    "Reverb": lambda: [Reverb()],
    "several": lambda: [Compressor(-20, 4), AddLatency(77), Reverb(), BrickwallLimiter()],
}


def noise(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(sum(shape)).uniform(-0.5, 0.5, shape).astype(np.float32)


def streamed(
    board: StemBoard, audio: NDArray[Any], rate: float, cuts: list[int], buffer_size: int
) -> NDArray[Any]:
    """The audio in blocks, ended with ``flush``; checks the latency on the way."""
    latency = board.prepare(rate, audio.shape[0], buffer_size)
    parts, taken, got = [], 0, 0
    for block in np.split(audio, sorted(cuts), axis=1):
        parts.append(board(block, rate, buffer_size, reset=False))
        taken, got = taken + block.shape[1], got + parts[-1].shape[1]
        assert got <= max(0, taken - latency)
        assert parts[-1].shape[1] <= block.shape[1]
    parts.append(board.flush())
    return np.concatenate(parts, axis=1)


@pytest.mark.parametrize("make", [*NATIVE.values(), lambda: [PitchShift(3)]], ids=[*NATIVE, "PS"])
def test_plugins_alone_do_what_a_pedalboard_does(make: Make) -> None:
    audio = noise(2, 9001)
    np.testing.assert_array_equal(StemBoard(make())(audio, RATE), Pedalboard(make())(audio, RATE))


@pytest.mark.parametrize("length", [1, 2, 3])
@pytest.mark.parametrize("make", NATIVE.values(), ids=NATIVE)
def test_fewer_samples_than_channels_are_not_taken_for_channels(make: Make, length: int) -> None:
    board = StemBoard(make())
    board(noise(2, 100), RATE)  # two channels, from now on
    audio = noise(2, length)
    long = np.concatenate([audio, np.zeros((2, 3 - length), np.float32)], axis=1)
    expected = Pedalboard(make())(long, RATE)[:, :length]
    np.testing.assert_array_equal(board(audio, RATE), expected)


@pytest.mark.parametrize("make", NATIVE.values(), ids=NATIVE)
@pytest.mark.parametrize("buffer_size", [64, 500, 8192])
def test_plugins_in_blocks_give_the_same_to_the_bit(make: Make, buffer_size: int) -> None:
    audio = noise(2, 10000)
    board = StemBoard(make())
    whole = board(audio, RATE, buffer_size)
    for cuts in ([], [1, 2, 3, 60, 5000], [9999], list(range(0, 10000, 441))):
        made = streamed(board, audio, RATE, cuts, buffer_size)
        np.testing.assert_array_equal(made, whole)


def everything() -> StemBoard:
    return StemBoard(
        pre=[HighpassFilter(40), AddLatency(33)],
        separator=GainModel((0.5, 0.3, 0.2), STEMS, 512),
        stems={"kick": [Compressor(-20, 4)], "hihat": [AddLatency(250), Delay(0.002, 0.2, 0.3)]},
        gains={"snare": -3, "hihat": 2},
        post=[Reverb(0.1), BrickwallLimiter(-3)],
    )


@settings(max_examples=40, deadline=None)
@given(
    cuts=st.lists(st.integers(0, 6000), max_size=10),
    rate=st.sampled_from([44100, 48000]),
    channels=st.sampled_from([1, 2]),
    buffer_size=st.sampled_from([1, 128, 8192]),
)
def test_a_full_board_gives_the_same_to_the_bit_for_any_split(
    cuts: list[int], rate: int, channels: int, buffer_size: int
) -> None:
    board = everything()
    audio = noise(channels, 6000)
    # The plugins see blocks of 64 at least; whole signals are cut as asked.
    whole = board(audio, rate, max(64, buffer_size))
    np.testing.assert_array_equal(streamed(board, audio, rate, cuts, buffer_size), whole)


def test_a_board_is_its_parts_in_order() -> None:
    audio = noise(2, 5000)
    pre, post = Pedalboard([HighpassFilter(200)]), Pedalboard([Clipping(-20)])
    kick = Pedalboard([Distortion()])
    board = StemBoard(
        pre=[HighpassFilter(200)],
        separator=GainModel((0.5, 0.3, 0.2), STEMS),
        stems={"kick": [Distortion()]},
        gains={"snare": 6.0},
        post=[Clipping(-20)],
    )
    mixture = pre(audio, RATE)
    mix = kick(0.5 * mixture, RATE) + 0.3 * 10 ** (6 / 20) * mixture + 0.2 * mixture
    np.testing.assert_allclose(board(audio, RATE), post(mix, RATE), atol=1e-6)
    stems = board.process_stems(audio, RATE)
    np.testing.assert_allclose(stems.sum(), mix, atol=1e-6)


def test_a_list_with_a_separator_is_the_same_as_its_parts() -> None:
    audio = noise(2, 3000)
    node = StemSeparator(IdentityModel(), gains={"kick": -4})
    node.strips["snare"].plugins = [Reverb()]
    listed = StemBoard([Gain(3), node, Limiter()])
    parts = StemBoard(
        pre=[Gain(3)],
        separator=IdentityModel(),
        stems={"snare": [Reverb()]},
        gains={"kick": -4},
        post=[Limiter()],
    )
    np.testing.assert_array_equal(listed(audio, RATE), parts(audio, RATE))
    assert [type(item) for item in parts] == [type(item) for item in listed]
    assert listed.separator is node
    assert listed.strips is node.strips


@pytest.mark.parametrize("reset", [True, False])
def test_a_late_plugin_in_one_strip_leaves_the_stems_aligned(reset: bool) -> None:
    board = StemBoard(
        separator=IdentityModel(STEMS, 256),
        stems={"kick": [AddLatency(700)], "snare": [BrickwallLimiter(0)], "hihat": [Invert()]},
    )
    audio = np.zeros((2, 5000), np.float32)
    audio[:, 2345] = 0.9
    parts = [board(audio, RATE, 100, reset=reset)]
    if not reset:
        parts.append(board.flush())
    made = np.concatenate(parts, axis=1)
    assert np.flatnonzero(np.abs(made[0]) > 1e-6).tolist() == [2345]
    np.testing.assert_allclose(made[0, 2345], 0.3, atol=1e-6)  # 0.3 + 0.3 - 0.3


def test_latencies_add_up_term_by_term() -> None:
    separation = StemSeparator(IdentityModel(STEMS, 256)).prepare(RATE)
    board = StemBoard(
        pre=[AddLatency(10)],
        separator=IdentityModel(STEMS, 256),
        stems={"kick": [AddLatency(200), AddLatency(20)], "snare": [AddLatency(100)]},
        post=[Gain(0), AddLatency(5)],
    )
    gathering = 3 * (64 - 1)  # pre, strips, post
    assert board.prepare(RATE, 2, 64) == 10 + separation + 220 + 5 + gathering


@pytest.mark.parametrize(
    "plugin", [lambda: PitchShift(2), lambda: Mix([AddLatency(300), Gain(0)])], ids=["PS", "Mix"]
)
def test_a_plugin_that_loses_audio_between_blocks_is_refused_for_streams(
    plugin: Callable[[], Any],
) -> None:
    audio = noise(2, 3000)
    board = StemBoard(separator=IdentityModel(), stems={"kick": [plugin()]})
    assert board(audio, RATE).shape == audio.shape
    with pytest.raises(InputError, match=r"loses audio between blocks.*reset=True"):
        board(audio, RATE, reset=False)


def test_a_plugin_that_never_answers_is_refused_for_streams() -> None:
    with pytest.raises(InputError, match="no steady stream"):
        StemBoard([AddLatency(3_000_000)]).prepare(RATE)


def test_a_plugin_that_falls_silent_in_a_stream_is_an_engine_error() -> None:
    inner = Pedalboard([Gain(0)])
    board = StemBoard([inner])
    board(noise(2, 1000), RATE, 64, reset=False)
    inner.append(AddLatency(3_000_000))  # a list of pedalboard's own, out of our sight
    board(noise(2, 1000), RATE, 64, reset=False)
    with pytest.raises(EngineError, match="Pedalboard kept"):
        board.flush()


def test_a_latency_that_grows_in_a_stream_leaves_its_length_exact() -> None:
    limiter = BrickwallLimiter(lookahead_ms=1)
    board = StemBoard([limiter])
    board.prepare(RATE, 2, 64)
    got = [board(noise(2, 2000), RATE, reset=False).shape[1]]
    limiter.lookahead_ms = 20
    got += [board(noise(2, 2000), RATE, reset=False).shape[1] for _ in range(3)]
    assert max(got) <= 2000
    assert sum(got) + board.flush().shape[1] == 8000


def test_an_edit_takes_effect_with_the_next_stream() -> None:
    audio = np.full((2, 3000), 0.25, np.float32)
    board = StemBoard([Gain(0)])
    first = board(audio, RATE, 64, reset=False)
    board.append(Invert())
    np.testing.assert_array_equal(board(audio, RATE, 64, reset=False), audio)
    assert board.flush().min() == first.min() == 0.25
    np.testing.assert_array_equal(board(audio, RATE), -audio)
    assert (board(audio, RATE, 64, reset=False) == -0.25).all()


def test_parameters_of_plugins_act_at_once_in_a_stream() -> None:
    gain = Gain(0)
    board = StemBoard([gain])
    audio = np.full((2, 640), 0.25, np.float32)
    board(audio, RATE, 64, reset=False)
    gain.gain_db = -200
    board(audio[:, :64], RATE, 64, reset=False)
    assert np.abs(board(audio, RATE, 64, reset=False)).max() < 1e-9


def test_boards_and_separators_nest() -> None:
    audio = noise(2, 4000)
    inner = StemBoard(separator=GainModel((1, 1), ("ride", "crash"), 128), gains={"crash": -200})
    board = StemBoard(
        [
            StemBoard([Gain(6), StemBoard([Gain(-6)])]),
            StemSeparator(IdentityModel(STEMS, 256)),
            StemSeparator(IdentityModel(STEMS, 512)),
        ]
    )
    node = board[1]
    assert isinstance(node, StemSeparator)
    node.strips["kick"].plugins = [inner, AddLatency(9)]
    whole = board(audio, RATE, 256)
    np.testing.assert_allclose(whole, audio, atol=1e-6)
    np.testing.assert_array_equal(streamed(board, audio, RATE, [7, 1000], 256), whole)
    with pytest.raises(InputError, match="2 separators"):
        _ = board.strips
    with pytest.raises(InputError, match="0 separators"):
        StemBoard([Gain()]).process_stems(audio, RATE)


def test_a_stem_stream_of_a_board_passes_pre_and_strips_but_not_post() -> None:
    board = everything()
    audio = noise(2, 3000)
    whole = board.process_stems(audio, RATE, 128)
    stream = board.stem_stream(RATE, 2, 128)
    for _ in range(2):
        parts = [stream.push(block) for block in np.split(audio, [1, 1500], axis=1)]
        made = np.concatenate([*parts, stream.flush()], axis=2)
        for name, wave in zip(STEMS, made, strict=True):
            np.testing.assert_array_equal(wave, whole[name])
        stream.reset()


def test_a_stream_of_a_board_can_begin_again() -> None:
    board = everything()
    audio = noise(2, 3000)
    stream = board.stream(RATE, 2, 128)
    takes = []
    for _ in range(2):
        stream.push(audio[:, :777])
        stream.reset()
        takes.append(np.concatenate([stream.push(audio), stream.flush()], axis=1))
        stream.reset()
    np.testing.assert_array_equal(takes[0], takes[1])
    np.testing.assert_array_equal(takes[0], board(audio, RATE, 128))


@pytest.mark.parametrize("channels", [1, 3, 8])
def test_without_a_separator_any_number_of_channels_passes(channels: int) -> None:
    audio = noise(channels, 3000)
    board = StemBoard([Gain(-6), AddLatency(50)])
    expected = Pedalboard([Gain(-6)])(audio, RATE)
    np.testing.assert_array_equal(board(audio, RATE), expected)
    np.testing.assert_array_equal(streamed(board, audio, RATE, [500], 64), expected)


def test_parts_and_list_exclude_each_other() -> None:
    with pytest.raises(InputError, match="either a list"):
        StemBoard([Gain()], post=[Gain()])


@pytest.mark.parametrize("name", ["kazoo", "toms"])
def test_an_unknown_stem_is_an_error(name: str) -> None:
    for part in ("stems", "gains"):
        value: Any = {name: []} if part == "stems" else {name: 0.0}
        with pytest.raises(InputError, match=f"no stem '{name}'"):
            StemBoard(separator=IdentityModel(STEMS), **{part: value})


def test_a_long_block_is_the_same_as_short_ones() -> None:
    audio = noise(2, 200_000)
    board = StemBoard(pre=[Gain(-1)], separator=IdentityModel(STEMS, 8192), post=[Delay(0.01)])
    whole = board(audio, RATE)
    np.testing.assert_array_equal(streamed(board, audio, RATE, [150_000], 8192), whole)
