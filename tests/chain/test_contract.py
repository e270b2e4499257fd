# SPDX-License-Identifier: GPL-3.0-or-later
"""The same claims about pedalboard's own plugins and about ours.

Every subject leaves audio as it is, some of them late, so that one set of checks fits all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pedalboard import Gain, Pedalboard  # type: ignore[attr-defined]
from pedalboard_native._internal import AddLatency

from lars_plugin.chain import StemBoard, StemSeparator
from lars_plugin.errors import InputError, LarsError
from lars_plugin.testing import IdentityModel

RATE = 44100

SUBJECTS: dict[str, Callable[[], Any]] = {
    "pedalboard.Gain": lambda: Gain(0),
    "pedalboard.AddLatency": lambda: AddLatency(100),
    "pedalboard.Pedalboard": lambda: Pedalboard([Gain(0), AddLatency(100)]),
    "StemSeparator": lambda: StemSeparator(IdentityModel(chunk_size=256)),
    "StemBoard": lambda: StemBoard([Gain(0), AddLatency(100)]),
    "StemBoard with separator": lambda: StemBoard(
        pre=[Gain(0)],
        separator=IdentityModel(chunk_size=256),
        stems={"snare": [AddLatency(100)]},
        post=[Gain(0)],
    ),
}
OURS = [name for name in SUBJECTS if not name.startswith("pedalboard.")]


@pytest.fixture(params=SUBJECTS)
def subject(request: pytest.FixtureRequest) -> Any:
    return SUBJECTS[request.param]()


@pytest.fixture
def is_ours(request: pytest.FixtureRequest, subject: Any) -> bool:
    return not type(subject).__module__.startswith("pedalboard")


def noise(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(sum(shape)).uniform(-0.5, 0.5, shape).astype(np.float32)


def assert_same(made: NDArray[Any], expected: NDArray[Any]) -> None:
    np.testing.assert_allclose(made, expected, rtol=0, atol=1e-6)


def raises(kind: type[Exception], is_ours: bool, call: Callable[[], object]) -> None:
    with pytest.raises(kind) as caught:
        call()
    assert isinstance(caught.value, LarsError) == is_ours


@pytest.mark.parametrize("shape", [(700,), (1, 700), (2, 700), (700, 1), (700, 2)])
def test_every_layout_comes_back_as_it_went_in(subject: Any, shape: tuple[int, ...]) -> None:
    audio = noise(*shape)
    made = subject(audio, RATE)
    assert_same(made, audio)
    assert made.shape == shape
    assert made.dtype == np.float32
    assert made.flags.c_contiguous


@pytest.mark.parametrize("length", [1, 2, 3, 17, 255, 256, 257, 1023])
def test_any_length_is_kept(subject: Any, length: int) -> None:
    audio = noise(length)
    assert_same(subject(audio, RATE), audio)
    assert subject(noise(2, 900), RATE).shape == (2, 900)
    audio = noise(2, length)
    assert_same(subject(audio, RATE), audio)


@pytest.mark.parametrize("shape", [(0,), (1, 0), (2, 0), (0, 2), (0, 1)])
def test_no_samples_in_is_no_samples_out(subject: Any, shape: tuple[int, ...]) -> None:
    for reset in (True, False):
        made = subject(np.zeros(shape, np.float32), RATE, reset=reset)
        assert made.shape == shape
        assert made.dtype == np.float32


@pytest.mark.parametrize(
    "view",
    [
        lambda audio: audio.astype(np.float64),
        lambda audio: audio.astype(">f4"),
        lambda audio: audio.astype(">f8"),
        np.asfortranarray,
        lambda audio: np.repeat(audio, 2, axis=1)[:, ::2],
        lambda audio: audio[:, ::-1].copy()[:, ::-1],
    ],
    ids=["float64", "big-endian float32", "big-endian float64", "Fortran", "strided", "reversed"],
)
def test_any_memory_order_and_both_floats_give_float32(
    subject: Any, view: Callable[[NDArray[Any]], NDArray[Any]]
) -> None:
    audio = noise(2, 500)
    made = subject(view(audio), RATE)
    assert_same(made, audio)
    assert made.dtype == np.float32


@pytest.mark.parametrize("dtype", ["int16", "int32", "uint8", "float16", "complex64", "bool", "g"])
def test_other_dtypes_are_type_errors(subject: Any, is_ours: bool, dtype: str) -> None:
    raises(TypeError, is_ours, lambda: subject(np.zeros((2, 100), dtype), RATE))


@pytest.mark.parametrize("audio", [[0.0] * 100, None, "audio", 1.0])
def test_what_is_no_array_is_a_type_error(subject: Any, is_ours: bool, audio: object) -> None:
    raises(TypeError, is_ours, lambda: subject(audio, RATE))


@pytest.mark.parametrize("shape", [(), (1, 2, 100)])
def test_other_numbers_of_axes_are_runtime_errors(
    subject: Any, is_ours: bool, shape: tuple[int, ...]
) -> None:
    raises(RuntimeError, is_ours, lambda: subject(np.zeros(shape, np.float32), RATE))


def test_a_square_array_takes_the_last_layout_and_without_one_is_a_runtime_error(
    subject: Any, is_ours: bool
) -> None:
    square = noise(2, 2)
    raises(RuntimeError, is_ours, lambda: subject(square, RATE))
    for shape in ((2, 800), (800, 2)):
        subject(noise(*shape), RATE)
        assert_same(subject(square, RATE), square)
    subject.reset()
    raises(RuntimeError, is_ours, lambda: subject(square, RATE))
    assert subject(noise(1, 1), RATE).shape == (1, 1)


def test_a_short_stream_block_takes_the_last_layout(subject: Any) -> None:
    # (2, 1) alone would be one channel of two samples.
    audio = noise(2, 600)
    subject(audio, RATE)
    blocks = [audio[:, :1], audio[:, 1:3], audio[:, 3:]]
    made = [subject(block, RATE, reset=False) for block in [*blocks, np.zeros((2, 30000), "f")]]
    assert all(part.shape[0] == 2 for part in made)


@pytest.mark.parametrize("rate", ["44100", None, [44100], 1j])
def test_a_sample_rate_that_is_no_number_is_a_type_error(
    subject: Any, is_ours: bool, rate: object
) -> None:
    raises(TypeError, is_ours, lambda: subject(noise(2, 100), rate))


@pytest.mark.parametrize("size", [-1, 1.5, "a", None, 10**12])
def test_a_buffer_size_that_is_no_count_is_a_type_error(
    subject: Any, is_ours: bool, size: object
) -> None:
    raises(TypeError, is_ours, lambda: subject(noise(2, 100), RATE, size))


@pytest.mark.parametrize("reset", ["a", [], (1,)])
def test_a_reset_that_is_no_truth_value_is_a_type_error(
    subject: Any, is_ours: bool, reset: object
) -> None:
    raises(TypeError, is_ours, lambda: subject(noise(2, 100), RATE, 8192, reset))


def test_missing_and_unknown_arguments_are_type_errors(subject: Any) -> None:
    with pytest.raises(TypeError):
        subject(noise(2, 100))
    with pytest.raises(TypeError):
        subject(audio=noise(2, 100), sample_rate=RATE)


def test_call_and_process_take_the_same_arguments(subject: Any) -> None:
    audio = noise(2, 300)
    for call in (subject, subject.process):
        assert_same(call(audio, RATE, 64, True), audio)
        assert_same(call(input_array=audio, sample_rate=RATE, buffer_size=64, reset=True), audio)
        assert_same(call(audio, np.float32(RATE), np.int64(64), np.bool_(True)), audio)
        assert_same(call(audio, float(RATE), True, 1), audio)


def test_none_for_reset_is_false(subject: Any) -> None:
    audio = noise(2, 300)
    subject.reset()
    continued = subject(audio, RATE, 64, None).shape
    subject.reset()
    assert continued == subject(audio, RATE, 64, False).shape


@pytest.mark.parametrize("size", [1, 7, 64, 10000, 1 << 31])
def test_the_buffer_size_changes_nothing(subject: Any, size: int) -> None:
    audio = noise(2, 300)
    assert_same(subject(audio, RATE, size), audio)


def test_the_input_is_not_changed_and_not_returned(subject: Any) -> None:
    audio = noise(2, 600)
    before = audio.copy()
    audio.flags.writeable = False
    for reset in (True, False):
        made = subject(audio, RATE, reset=reset)
        assert not np.shares_memory(made, audio)
        made[:] = 9  # and the result is the caller's own
        np.testing.assert_array_equal(audio, before)
    assert_same(subject(audio, RATE), before)


def test_it_is_an_effect_and_no_instrument_for_good(subject: Any) -> None:
    assert subject.is_effect is True
    assert subject.is_instrument is False
    with pytest.raises(AttributeError):
        subject.is_effect = False


@pytest.mark.parametrize("sizes", [[100] * 200, [2500, 400, 399, 7] + [300] * 60, [3000, 9000]])
def test_a_stream_is_the_input_late(subject: Any, is_ours: bool, sizes: list[int]) -> None:
    if not is_ours:  # a plugin of pedalboard that meets a larger block forgets what it holds
        sizes = [min(sizes[: at + 1]) for at in range(len(sizes))]
    audio = noise(2, 3000)
    pushed = np.concatenate([audio, np.zeros((2, sum(sizes)), np.float32)], axis=1)
    made = []
    for block in np.split(pushed, np.cumsum(sizes), axis=1)[:-1]:
        made.append(subject(block, RATE, 256, reset=False))
        assert made[-1].shape[1] <= block.shape[1]
    assert_same(np.concatenate(made, axis=1)[:, :3000], audio)


@pytest.mark.parametrize("drop", [lambda s: s.reset(), lambda s: s(noise(2, 700), RATE)])
def test_reset_forgets_what_a_stream_still_held(
    subject: Any, drop: Callable[[Any], object]
) -> None:
    subject(noise(2, 999), RATE, reset=False)
    drop(subject)
    audio = noise(2, 1200)
    assert_same(subject(audio, RATE), audio)
    subject.reset()
    pushed = np.concatenate([audio, np.zeros((2, 30000), np.float32)], axis=1)
    made = subject(pushed, RATE, reset=False)
    assert_same(made[:, :1200], audio)


def test_whole_signals_are_independent(subject: Any) -> None:
    audio = noise(2, 800)
    first = subject(audio, RATE)
    subject(noise(500), 48000)
    subject(noise(2, 900), RATE, reset=False)
    np.testing.assert_array_equal(subject(audio, RATE), first)


@pytest.mark.parametrize("name", OURS)
class TestBeyondPedalboard:
    """Where pedalboard hangs, or takes what makes no sense."""

    def test_a_buffer_size_of_zero_is_a_value_error(self, name: str) -> None:
        raises(ValueError, True, lambda: SUBJECTS[name]()(noise(2, 100), RATE, 0))

    @pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf")])
    def test_a_sample_rate_that_cannot_be_is_a_value_error(self, name: str, rate: float) -> None:
        raises(ValueError, True, lambda: SUBJECTS[name]()(noise(2, 100), rate))

    @pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300])
    @pytest.mark.parametrize("reset", [True, False])
    def test_a_number_that_is_not_finite_is_an_error(
        self, name: str, bad: float, reset: bool
    ) -> None:
        audio = noise(2, 9000).astype(np.float64)
        audio[1, 50] = bad
        raises(RuntimeError, True, lambda: SUBJECTS[name]()(audio, RATE, reset=reset))

    def test_flush_returns_the_rest_in_the_layout_of_the_last_block(self, name: str) -> None:
        subject = SUBJECTS[name]()
        for shape in ((900,), (2, 900), (900, 2)):
            audio = noise(*shape)
            axis = int(np.argmax(shape))
            parts = [subject(audio, RATE, reset=False), subject.flush()]
            assert_same(np.concatenate(parts, axis=axis), audio)
            assert subject.flush().shape[axis] == 0

    def test_a_stream_that_changes_rate_or_channels_is_a_value_error(self, name: str) -> None:
        subject = SUBJECTS[name]()
        for block, rate in ((noise(2, 500), 48000), (noise(500), RATE)):
            subject(noise(2, 500), RATE, reset=False)
            with pytest.raises(InputError, match="call flush"):
                subject(block, rate, reset=False)
            assert subject.flush().shape[-1] == 0  # an error ends the stream
        subject(noise(2, 500), RATE, reset=False)
        subject.flush()
        subject(noise(500), 48000, reset=False)

    @pytest.mark.parametrize("channels", [0, -2])
    def test_prepare_wants_channels(self, name: str, channels: int) -> None:
        raises(ValueError, True, lambda: SUBJECTS[name]().prepare(RATE, channels))

    def test_prepare_tells_the_latency_and_the_layout(self, name: str) -> None:
        subject = SUBJECTS[name]()
        assert subject.latency_samples == 0
        latency = subject.prepare(RATE, 2, buffer_size=64)
        assert subject.latency_samples == latency > 0
        given = 0
        for count in (1, 2, 0, 700, 3, 4000, 1):  # 2 x 1 and 2 x 2 would be ambiguous
            made = subject(noise(2, count), RATE, reset=False)
            given += count
            assert made.shape[0] == 2
            assert made.shape[1] <= count
        assert subject.flush().shape == (2, min(given, latency))
        assert subject.latency_samples == 0
