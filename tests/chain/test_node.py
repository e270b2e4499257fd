# SPDX-License-Identifier: GPL-3.0-or-later
"""StemSeparator: the separation behind a plugin's face, and its strips."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pedalboard import Delay, Gain, Invert, Reverb
from pedalboard_native._internal import AddLatency

from lars_plugin.chain import StemSeparator, Strips
from lars_plugin.errors import (
    CancelledError,
    EngineError,
    InputError,
    LarsError,
    NonFiniteError,
)
from lars_plugin.model import Chunking
from lars_plugin.separation.separator import Separator
from lars_plugin.testing import DelayModel, FailingModel, GainModel, IdentityModel, NaNModel

RATE = 44100
STEMS = ("kick", "snare", "hihat")


def noise(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(sum(shape)).uniform(-0.5, 0.5, shape).astype(np.float32)


def node(*factors: float) -> StemSeparator:
    """A separator whose stems are the input times 1, 10 and 100, unless told otherwise."""
    return StemSeparator(GainModel(factors or (1, 10, 100), STEMS, 256))


def level(node: StemSeparator) -> float:
    """The factor that the node applies at present."""
    audio = np.full((2, 600), 0.5, np.float32)
    return float(node(audio, RATE)[0, 300] / 0.5)


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000, 96000])
@pytest.mark.parametrize("shape", [(5000,), (2, 5000)])
def test_stems_that_add_up_give_the_input_back(rate: int, shape: tuple[int, ...]) -> None:
    audio = np.broadcast_to(0.5 * np.sin(np.arange(5000) * 0.05), shape).astype(np.float32)
    made = StemSeparator(IdentityModel())(audio, rate)
    assert made.shape == shape
    np.testing.assert_allclose(made, audio, atol=1e-6)


@pytest.mark.parametrize("rate", [44100, 48000])
@pytest.mark.parametrize("reset", [True, False])
def test_an_impulse_stays_where_it_is(rate: int, reset: bool) -> None:
    audio = np.zeros((2, 9000), np.float32)
    audio[:, 4321] = 1
    node = StemSeparator(IdentityModel())
    made = [node(audio, rate, reset=reset), node.flush()]
    assert np.argmax(np.abs(np.concatenate(made, axis=1)[0])) == 4321


def test_a_late_model_is_late_in_the_mix() -> None:
    # What the network does to time is its own affair, and must not be "compensated".
    model = DelayModel(40, IdentityModel(chunking=Chunking(4096, overlap=1, convention="lars")))
    audio = np.zeros((2, 3000), np.float32)
    audio[:, 1000] = 1
    assert np.argmax(StemSeparator(model)(audio, RATE)[0]) == 1040


def test_gain_is_in_decibels() -> None:
    subject = node()
    assert level(subject) == pytest.approx(111)
    subject.strips["kick"].gain_db = 20
    subject.strips["snare"].gain_db = float("-inf")
    subject.strips["hihat"].gain_db = -40
    assert level(subject) == pytest.approx(11, rel=1e-5)
    assert StemSeparator(IdentityModel(STEMS), gains={"hh": -6}).strips["hihat"].gain_db == -6


@pytest.mark.parametrize(
    ("muted", "soloed", "expected"),
    [
        ("", "", 111),
        ("k", "", 110),
        ("ks", "", 100),
        ("ksh", "", 0),
        ("", "k", 1),
        ("", "kh", 101),
        ("", "ksh", 111),
        ("k", "k", 0),  # mute goes before solo, and solo still silences the others
        ("k", "ks", 10),
        ("h", "k", 1),
    ],
)
def test_mute_and_solo_work_as_on_a_desk(muted: str, soloed: str, expected: float) -> None:
    subject = node()
    for name, strip in subject.strips.items():
        strip.mute, strip.solo = name[0] in muted, name[0] in soloed
    assert level(subject) == pytest.approx(expected)
    audio = noise(2, 700)
    streamed = [subject(audio, RATE, reset=False), subject.flush()]
    np.testing.assert_array_equal(np.concatenate(streamed, axis=1), subject(audio, RATE))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 96.1, 1000])
def test_a_gain_that_cannot_be_is_a_value_error(value: float) -> None:
    strip = node().strips["kick"]
    with pytest.raises(ValueError, match="at most 96 dB"):
        strip.gain_db = value
    assert strip.gain_db == 0


@pytest.mark.parametrize("name", ["gain_db", "mute", "solo", "plugins"])
@pytest.mark.parametrize("value", ["loud", None, 1j])
def test_a_setting_of_the_wrong_type_is_a_type_error(name: str, value: object) -> None:
    strip = node().strips["kick"]
    before = repr(strip)
    with pytest.raises(TypeError) as caught:
        setattr(strip, name, value)
    assert isinstance(caught.value, LarsError)
    assert repr(strip) == before


def test_strips_are_a_mapping_in_the_models_order_that_knows_aliases() -> None:
    strips = node().strips
    assert list(strips) == list(STEMS)
    assert strips["hh"] is strips["hihat"] is strips["Hi-Hat"]
    assert "hh" in strips
    assert "toms" not in strips
    assert "nonsense" not in strips
    with pytest.raises(KeyError) as caught:
        strips["toms"]
    assert isinstance(caught.value, InputError)
    assert str(caught.value) == "no stem 'toms'; there are kick, snare, hihat"
    assert Strips(["A"])["A"].name == "A"  # a model's own name, whatever it is


def test_settings_act_at_once_in_a_stream() -> None:
    subject = node()
    audio = np.full((2, 4000), 0.5, np.float32)
    subject(audio, RATE, reset=False)
    for name, expected in (("kick", 110), ("snare", 100), ("hihat", 0)):
        subject.strips[name].mute = True
        made = subject(audio, RATE, reset=False)
        np.testing.assert_allclose(made, expected * 0.5, rtol=1e-5)


def test_a_strips_plugins_shape_its_stem_alone() -> None:
    subject = node()
    subject.strips["snare"].plugins = [Invert(), Gain(0)]
    assert level(subject) == pytest.approx(91)
    subject.strips["snare"].plugins.clear()
    assert level(subject) == pytest.approx(111)
    stems = subject.process_stems(noise(2, 300), RATE)
    np.testing.assert_allclose(stems["snare"], 10 * noise(2, 300), rtol=1e-5)


def test_stems_are_those_of_the_separator_and_sum_to_the_mix() -> None:
    audio = noise(2, 1500)
    subject = node()
    plain = Separator(GainModel((1, 10, 100), STEMS, 256)).separate(audio, RATE)
    for name, wave in subject.process_stems(audio, RATE).items():
        np.testing.assert_array_equal(wave, plain[name])
    subject.strips["kick"].gain_db = 3
    subject.strips["snare"].mute = True
    subject.strips["hihat"].plugins = [Reverb()]
    stems = subject.process_stems(audio, RATE)
    assert stems.sample_rate == RATE
    assert not stems["snare"].any()
    np.testing.assert_array_equal(stems.sum(), subject(audio, RATE))


@pytest.mark.parametrize("shape", [(400,), (1, 400), (400, 2), (2, 400), (2, 0)])
def test_stems_are_channels_by_samples_whatever_the_layout(shape: tuple[int, ...]) -> None:
    audio = noise(*shape)
    stems = node().process_stems(audio, RATE)
    expected = audio.reshape(1, -1) if audio.ndim == 1 else audio.T if shape[1] == 2 else audio
    np.testing.assert_allclose(stems["kick"], expected, atol=1e-6)


def test_a_square_array_is_read_as_the_one_before() -> None:
    subject = node()
    square = noise(2, 2)
    for shape, expected in (((2, 9), square), ((9, 2), square.T)):
        subject(noise(*shape), RATE)
        stems = subject.process_stems(square, RATE)
        np.testing.assert_allclose(stems["kick"], expected, atol=1e-6)


def test_only_the_stems_asked_for_are_mixed() -> None:
    model = GainModel((1, 10, 100), STEMS, 256)
    assert level(StemSeparator(model, stems="snare")) == pytest.approx(10)
    assert level(StemSeparator(model, stems=["hh", "kick"])) == pytest.approx(101)
    with pytest.raises(InputError, match="toms"):
        StemSeparator(model, stems="toms")


def test_settings_reach_the_separator_and_do_not_fit_one_already_made() -> None:
    model = IdentityModel(chunk_size=256)
    assert StemSeparator(model, overlap=4).separator.chunking.overlap == 4
    made = Separator(model)
    assert StemSeparator(made).separator is made
    for settings_ in ({"overlap": 4.0}, {"stems": ["kick"]}):
        with pytest.raises(InputError, match="already made"):
            StemSeparator(made, **settings_)
    with pytest.raises(TypeError):
        StemSeparator(model, speed=11)


def test_progress_is_told_and_can_cancel() -> None:
    seen: list[tuple[int, int]] = []
    node().process_stems(noise(2, 900), RATE, progress=lambda *at: seen.append(at))
    assert seen[-1] == (900, 900)
    with pytest.raises(CancelledError):
        node().process_stems(noise(2, 900), RATE, progress=lambda done, total: False)


@pytest.mark.parametrize("channels", [3, 8])
def test_more_channels_than_the_model_has_are_a_value_error(channels: int) -> None:
    for reset in (True, False):
        with pytest.raises(InputError, match="mix or pick channels"):
            node()(noise(channels, 500), RATE, reset=reset)


@settings(max_examples=40, deadline=None)
@given(
    cuts=st.lists(st.integers(0, 3000), max_size=12),
    rate=st.sampled_from([44100, 48000]),
    channels=st.sampled_from([1, 2]),
    convention=st.sampled_from(["msst", "lars", "live"]),
)
def test_any_split_gives_the_whole_late_by_the_latency(
    cuts: list[int], rate: int, channels: int, convention: str
) -> None:
    audio = noise(channels, 3000)
    extra = {"lookahead": 64, "fade": 32} if convention == "live" else {}
    chunking = Chunking(256, overlap=2, convention=convention, **extra)  # type: ignore[arg-type]
    subject = StemSeparator(IdentityModel(STEMS, chunking=chunking))
    subject.strips["kick"].plugins = [AddLatency(77)]
    subject.strips["hihat"].plugins = [Delay(0.001)]
    subject.strips["snare"].gain_db = -3
    latency = subject.prepare(rate, channels, buffer_size=64)
    parts, position, out = [], 0, 0
    for block in np.split(audio, sorted(cuts), axis=1):
        parts.append(subject(block, rate, reset=False))
        position += block.shape[1]
        out += parts[-1].shape[1]
        assert out == max(0, position - latency)
    parts.append(subject.flush())
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), subject(audio, rate, 64))


def test_the_latency_is_that_of_the_separation_and_of_the_slowest_strip() -> None:
    subject = StemSeparator(IdentityModel(STEMS, 512))
    alone = subject.prepare(RATE)
    assert alone == subject.separator.stream(RATE, 2).latency_samples
    subject.strips["kick"].plugins = [AddLatency(1000)]
    subject.strips["snare"].plugins = [AddLatency(10)]
    assert subject.prepare(RATE, buffer_size=128) == alone + 127 + 1000


def test_a_stem_stream_gives_the_stems_of_the_whole_and_can_begin_again() -> None:
    subject = node()
    subject.strips["kick"].plugins = [AddLatency(50), Gain(-6)]
    subject.strips["snare"].mute = True
    audio = noise(2, 2000)
    whole = subject.process_stems(audio, 48000, 128)
    stream = subject.stem_stream(48000, 2, 128)
    assert stream.stems == STEMS
    assert (stream.sample_rate, stream.channels) == (48000, 2)
    for _ in range(2):
        first = stream.push(audio[:, :700])
        assert first.shape == (3, 2, max(0, 700 - stream.latency_samples))
        made = np.concatenate([first, stream.push(audio[:, 700:]), stream.flush()], axis=2)
        for name, wave in zip(STEMS, made, strict=True):
            np.testing.assert_array_equal(wave, whole[name])
        stream.reset()


def test_an_error_of_the_model_ends_the_stream_and_the_next_one_is_whole() -> None:
    audio = noise(2, 3000)
    failing = FailingModel(3, IdentityModel(chunk_size=256), error=EngineError("no memory"))
    broken = NaNModel(3, IdentityModel(chunk_size=256))
    for model, kind in ((failing, EngineError), (broken, NonFiniteError)):
        subject = StemSeparator(model)
        with pytest.raises(kind):
            subject(audio, RATE, reset=False)
        assert subject.latency_samples == 0
        parts = [subject(audio, RATE, reset=False), subject.flush()]
        np.testing.assert_allclose(np.concatenate(parts, axis=1), audio, atol=1e-6)


def test_a_plugin_that_returns_nan_is_named() -> None:
    subject = node(1e30, 1e30, 1e30)
    subject.strips["snare"].plugins = [Gain(200)]
    with pytest.raises(NonFiniteError, match="Gain"):
        subject(noise(2, 500), RATE)


def test_threads_take_turns() -> None:
    subject = StemSeparator(IdentityModel(chunk_size=256))
    wrong: list[int] = []

    def work(number: int) -> None:
        audio = noise(2, 2000 + number)
        for _ in range(5):
            if not np.allclose(subject(audio, RATE), audio, atol=1e-6):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_its_print_names_model_and_stems() -> None:
    assert repr(node()) == "<lars_plugin.StemSeparator model=GainModel stems=kick,snare,hihat>"
    strip = node().strips["kick"]
    strip.gain_db, strip.mute = -3, True
    assert repr(strip) == "<Strip kick -3 dB, mute, []>"
