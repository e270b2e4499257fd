# SPDX-License-Identifier: GPL-3.0-or-later
"""LiveChain: effects that are changed while audio runs through them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pedalboard import Pedalboard  # type: ignore[attr-defined]  # not marked as exported

from lars_plugin.chain.effects import BUILT_IN, built_in_effects
from lars_plugin.chain.live_chain import LiveChain, Slot
from lars_plugin.chain.units import BLOCK, Unit, make_unit

RATE = 44100.0
Wave = NDArray[np.float32]


def slot(effect: str, key: str = "", **values: float) -> Slot:
    unit = make_unit(effect, "", b"", RATE, 2, on_disk=False)
    unit.set(values, at_once=True)
    return Slot(key or effect, effect, "", unit, "", 2, RATE)


def chain_of(*slots: Slot) -> LiveChain:
    chain = LiveChain(2)
    chain.change(slots)
    return chain


def play(chain: LiveChain, wave: Wave, block: int = 441) -> Wave:
    parts = [chain.push(wave[:, at : at + block]) for at in range(0, wave.shape[1], block)]
    return np.concatenate(parts, axis=1)


def noise(samples: int, seed: int = 0) -> Wave:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, (2, samples)).astype(np.float32)


def tone(samples: int, level: float = 0.5) -> Wave:
    wave = level * np.sin(2 * np.pi * 110 * np.arange(samples) / RATE)
    return np.stack([wave, wave]).astype(np.float32)


def test_every_effect_that_is_listed_can_be_made_and_set_to_the_ends_of_its_ranges() -> None:
    assert len(BUILT_IN) == len(built_in_effects()) >= 18
    wave = noise(8 * BLOCK)
    for effect in BUILT_IN.values():
        for end in ("low", "high", "default"):
            values = {setting.name: float(getattr(setting, end)) for setting in effect.settings}
            unit = make_unit(effect.name, "", b"", RATE, 2, on_disk=False)
            unit.set(values, at_once=True)
            values_now = {str(one["name"]): one["value"] for one in unit.parameters()}
            assert values_now == pytest.approx(values), effect.name
            for at in range(0, wave.shape[1], BLOCK):
                assert np.isfinite(unit.run(wave[:, at : at + BLOCK])).all(), (effect.name, end)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 2999), max_size=8).map(sorted))
def test_however_the_input_is_cut_the_output_is_the_same_to_the_bit_and_as_long(
    cuts: list[int],
) -> None:
    wave = noise(3000)
    slots = (slot("Compressor", ratio=8, threshold_db=-30), slot("BrickwallLimiter"))
    chain = chain_of(*slots)
    expected = play(chain, np.pad(wave, ((0, 0), (0, chain.latency_samples))), 3000)
    chain = chain_of(*slots)
    found = [chain.push(part) for part in np.split(wave, cuts, axis=1)]
    np.testing.assert_array_equal(np.concatenate([*found, chain.flush()], axis=1), expected)


def test_the_output_is_pedalboards_as_late_as_the_chain_says() -> None:
    wave = noise(6000)
    chain = chain_of(
        slot("Distortion", drive_db=20), slot("PeakFilter", gain_db=12), slot("BrickwallLimiter")
    )
    late = chain.latency_samples
    assert late == BLOCK - 1 + 220  # 5 ms of the limiter's
    plugins = [one.unit.plugins[0] for one in chain.slots if one.unit is not None]
    out = play(chain, np.pad(wave, ((0, 0), (0, late))))[:, -wave.shape[1] :]
    expected = Pedalboard(plugins)(wave, RATE, BLOCK, reset=True)
    np.testing.assert_allclose(out, expected, atol=1e-6)


def test_a_bypass_is_the_input_to_the_bit_and_keeps_the_latency() -> None:
    wave = noise(5000)
    loud, limit = slot("Gain", gain_db=20), slot("BrickwallLimiter")
    chain = chain_of(loud, limit)
    late = chain.latency_samples
    loud.bypass = limit.bypass = True
    chain.change([loud, limit])
    assert chain.latency_samples == late
    out = play(chain, wave)
    np.testing.assert_array_equal(out, wave[:, : out.shape[1]])
    assert out.shape[1] == wave.shape[1] - late


@pytest.mark.parametrize("what", ["bypass", "set", "add", "remove", "move", "latent bypass"])
def test_a_change_while_it_plays_does_not_click(what: str) -> None:
    gain, drive, limit = slot("Gain", gain_db=-12), slot("Distortion"), slot("BrickwallLimiter")
    chain = chain_of(gain, drive, limit)
    wave = tone(44100)
    before = play(chain, wave[:, :8820])
    slots = [gain, drive, limit]
    if what == "bypass":
        gain.bypass = True
    elif what == "latent bypass":
        limit.bypass = True
    elif what == "set":
        assert gain.unit is not None
        gain.unit.set({"gain_db": 6.0}, at_once=False)
    elif what == "add":
        slots = [gain, slot("LowShelfFilter", gain_db=9), drive, limit]
    elif what == "remove":
        slots = [gain, limit]
    else:
        slots = [drive, gain, limit]
    late = chain.latency_samples
    chain.change(slots)
    after = play(chain, wave[:, 8820:])
    assert (chain.latency_samples, chain.slots) == (late, slots)
    out = np.concatenate([before, after], axis=1)[:, 1000:]
    # A sine's steps are at most its level times its angle per sample; a click is far above.
    steps = np.abs(np.diff(out, axis=1)).max(axis=0)
    settled = max(steps[:4000].max(), steps[-4000:].max())
    assert steps.max() < 1.5 * settled + 0.01
    # And the change is heard, but for a limiter that has nothing to do.
    if what != "latent bypass":
        assert np.abs(out[:, -4000:]).max() != pytest.approx(np.abs(out[:, :4000]).max(), rel=0.01)
    anew = chain_of(*slots)
    np.testing.assert_allclose(play(anew, wave)[:, -4000:], out[:, -4000:], atol=2e-3)


def test_after_a_reset_no_setting_still_glides() -> None:
    gain = slot("Gain")
    chain = chain_of(gain)
    wave = tone(4410)
    play(chain, wave)
    assert gain.unit is not None
    gain.unit.set({"gain_db": -20.0}, at_once=False)
    chain.change([gain])
    chain.reset()
    out = play(chain, wave)
    np.testing.assert_allclose(out, 0.1 * wave[:, : out.shape[1]], atol=1e-6)


def test_the_first_effect_comes_and_the_last_goes_without_a_click_or_another_latency() -> None:
    gain = slot("Gain", gain_db=-20)
    chain = chain_of()
    wave = tone(30_000)
    late = chain.latency_samples
    assert late == BLOCK - 1
    parts = [play(chain, wave[:, :10_000])]
    chain.change([gain])
    parts.append(play(chain, wave[:, 10_000:20_000]))
    chain.change([])
    parts.append(play(chain, wave[:, 20_000:]))
    parts.append(chain.flush())
    assert (chain.latency_samples, chain.slots) == (late, [])
    out = np.concatenate(parts, axis=1)
    assert out.shape == wave.shape
    for same in (slice(0, 9800), slice(21_000, 30_000)):
        np.testing.assert_array_equal(out[:, same], wave[:, same])
    np.testing.assert_allclose(out[:, 11_000:19_800], 0.1 * wave[:, 11_000:19_800], atol=1e-6)
    assert np.abs(np.diff(out)).max() < 1.2 * np.abs(np.diff(wave)).max()


def test_an_effect_that_comes_back_from_bypass_has_forgotten_what_it_rang_with() -> None:
    echo = slot("Delay", delay_seconds=0.01, feedback=0.9, mix=1.0)
    chain = chain_of(echo)
    play(chain, noise(4410))
    echo.bypass = True
    chain.change([echo])
    play(chain, np.zeros((2, 4410), np.float32))
    echo.bypass = False
    chain.change([echo])
    assert not play(chain, np.zeros((2, 44100), np.float32)).any()


class Breaks(Unit):
    """An effect that fails at its third block."""

    def __init__(self, wrong: str) -> None:
        inverts = make_unit("Invert", "", b"", RATE, 2, on_disk=False)
        super().__init__(inverts.plugins, RATE, 2)
        self._left, self._wrong = 3, wrong

    def run(self, block: Wave) -> Wave:
        self._left -= 1
        if self._left == 0:
            if self._wrong == "raises":
                raise OSError("the plugin has no memory")
            block = np.full_like(block, np.nan)
        return super().run(block)

    def parameters(self) -> list[dict[str, object]]:
        return []


@pytest.mark.parametrize(("wrong", "said"), [("raises", "no memory"), ("nan", "NaN")])
def test_an_effect_that_fails_passes_the_audio_says_why_and_the_others_go_on(
    wrong: str, said: str
) -> None:
    bad = Slot("bad", "Plate", "", Breaks(wrong), "", 2, RATE)
    chain = chain_of(bad, slot("Gain", gain_db=-20))
    wave = noise(20 * BLOCK)
    out = play(chain, wave)
    (error,) = chain.errors
    assert "Plate failed and is bypassed" in str(error)
    assert said in str(error)
    assert said in bad.error
    np.testing.assert_allclose(out[:, : 2 * BLOCK], -0.1 * wave[:, : 2 * BLOCK], atol=1e-6)
    after = slice(2 * BLOCK, out.shape[1])
    np.testing.assert_allclose(out[:, after], 0.1 * wave[:, after], atol=1e-6)
    assert chain.slots[0].described(with_state=True)["error"] == bad.error
