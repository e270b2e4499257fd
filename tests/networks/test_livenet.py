# SPDX-License-Identifier: GPL-3.0-or-later
"""LiveNet: causality, latency, explicit state; what holds whatever the weights."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lars_plugin.networks.livenet.network import Block, LiveNet, LiveNetConfig
from lars_plugin.networks.livenet.step import LiveStepper
from lars_plugin.networks.livenet.stft import CausalSTFT
from tests.models import SMALL_LIVENET, causal, livenet

SMALL = LiveNetConfig(**SMALL_LIVENET, levels=True)


@functools.cache
def small(seed: int = 0, levels: bool = True, hold: int = 1) -> LiveNet:
    return livenet(seed=seed, levels=levels, hold=hold)


holds = pytest.mark.parametrize("hold", [1, 2, 3])


def run(network: LiveNet | LiveStepper, wave: Tensor, hops: list[int]) -> Tensor:
    """Stems of a wave given to ``step`` in pieces of so many hops."""
    like = small(hold=network.config.hold)
    state, outs, at = like.initial_state(wave.shape[0]), [], 0
    with torch.inference_mode():
        for count in hops:
            end = at + count * SMALL.hop_length
            out, state = network.step(wave[..., at:end], state)
            outs.append(out)
            at = end
    return torch.cat(outs, dim=-1)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=8), st.integers(0, 1000), st.integers(1, 4))
@settings(deadline=None, max_examples=40)
def test_stepping_in_any_pieces_equals_one_pass_to_rounding(
    hops: list[int], seed: int, hold: int
) -> None:
    wave = torch.randn(2, 2, sum(hops) * 64, generator=torch.Generator().manual_seed(seed))
    network = small(hold=hold)
    with torch.inference_mode():
        whole = network(wave)
    stepped = run(network, wave, hops)[..., network.delay :]
    torch.testing.assert_close(stepped, whole[..., : stepped.shape[-1]], atol=1e-5, rtol=1e-4)


@holds
@pytest.mark.parametrize("length", [1, 63, 64, 500, 4097])
def test_stems_sum_to_the_mixture_for_any_length(length: int, hold: int) -> None:
    wave = torch.randn(2, 2, length)
    with torch.inference_mode():
        stems = small(hold=hold)(wave)
    assert stems.shape == (2, 6, 2, length)
    torch.testing.assert_close(stems.sum(1), wave, atol=1e-5, rtol=0)


@holds
@pytest.mark.parametrize("change", [1000, 1024, 1087, 2048])
def test_no_output_depends_on_input_later_than_the_window(change: int, hold: int) -> None:
    network = small(hold=hold)
    wave = torch.randn(1, 2, 4096)
    other = wave.clone()
    other[..., change:] = torch.randn(1, 2, 4096 - change)
    with torch.inference_mode():
        a, b = network(wave), network(other)
    # Sample t is final once t + synthesis - 1 has been heard, and not before.
    first = change - SMALL.synthesis + 1
    assert torch.equal(a[..., :first], b[..., :first])
    assert not torch.equal(a[..., change:], b[..., change:])


@holds
def test_what_step_returned_cannot_be_changed_by_what_comes_later(hold: int) -> None:
    network = small(hold=hold)
    wave = torch.randn(1, 2, 640)
    for count in range(1, 10):
        cut = wave.clone()
        cut[..., count * 64 :] = 0
        assert torch.equal(
            run(network, wave, [1] * 10)[..., : count * 64],
            run(network, cut, [1] * 10)[..., : count * 64],
        )


@holds
def test_an_impulse_comes_out_after_exactly_the_delay(hold: int) -> None:
    network = small(hold=hold)
    for at in (0, 17, 63, 64, 200):
        wave = torch.zeros(1, 2, 1024)
        wave[..., at] = 1
        summed = run(network, wave, [1] * 16).sum(1)[0, 0]
        assert int(summed.abs().argmax()) == at + network.delay
        assert summed[at + network.delay] == pytest.approx(1, abs=1e-5)
        summed[at + network.delay] = 0
        assert summed.abs().max() < 1e-5


@holds
def test_the_state_is_explicit_and_not_changed(hold: int) -> None:
    network = small(hold=hold)
    state = network.initial_state()
    blocks = torch.randn(2, 1, 2, 192)
    with torch.inference_mode():
        _, state = network.step(blocks[0], state)
        before = [part.clone() for part in state]
        first, after = network.step(blocks[1], state)
        again, _ = network.step(blocks[1], state)
    assert torch.equal(first, again)
    for kept, part in zip(before, state, strict=True):
        assert torch.equal(kept, part)
    assert [p.shape for p in after] == [p.shape for p in network.initial_state()]
    assert [p.shape for p in after] == [p.shape for p in state]


@holds
@pytest.mark.parametrize("levels", [True, False])
def test_the_quick_stepper_equals_the_network_to_rounding(levels: bool, hold: int) -> None:
    network = small(levels=levels, hold=hold)
    wave = torch.randn(1, 2, 64 * 40) * torch.linspace(0, 1, 64 * 40)
    quick, plain = run(LiveStepper(network), wave, [1] * 40), run(network, wave, [1] * 40)
    torch.testing.assert_close(quick, plain, atol=1e-5, rtol=1e-4)


@holds
def test_masks_are_made_from_each_hold_th_frame_alone(hold: int) -> None:
    network = small(hold=hold)
    spec = network.stft(torch.randn(2, 2, 64 * 12))
    other = spec.clone()
    kept = torch.arange(12) % hold == 0
    other[:, :, ~kept] = torch.randn_like(other[:, :, ~kept])
    with torch.inference_mode():
        masks, others = network.band_outputs(spec), network.band_outputs(other)
    for one, two in zip(masks, others, strict=True):
        assert torch.equal(one, two)


@holds
def test_states_of_the_quick_stepper_and_the_network_are_exchangeable(hold: int) -> None:
    network = small(hold=hold)
    stepper = LiveStepper(network)
    state, other = network.initial_state(), network.initial_state()
    wave = torch.randn(1, 2, 64 * 6)
    with torch.inference_mode():
        for index in range(6):
            block = wave[..., index * 64 : (index + 1) * 64]
            plain, state = network.step(block, state)
            mixed, other = (network if index % 2 else stepper).step(block, other)
            torch.testing.assert_close(mixed, plain, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("features", "bands", "dilation"), [(40, 64, 1), (56, 32, 2), (72, 16, 4)])
def test_bfloat16_gradients_of_a_block_are_those_of_float32_whatever_lay_in_memory(
    features: int, bands: int, dilation: int
) -> None:
    torch.manual_seed(0)
    block = Block(features, bands, 2, dilation).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    x = torch.randn(4, features, 200, bands).contiguous(memory_format=torch.channels_last)
    past = torch.zeros(4, features, 2 * dilation, bands)

    def gradient(half: bool) -> Tensor:
        block.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
            made, _ = block(x, past)
        (made.float() * x).mean().backward()
        found = block.first.weight.grad
        assert isinstance(found, Tensor)
        return found.clone()

    wanted = gradient(half=False)
    for _ in range(4):
        # What the next tensors find where they are made: no number at all.
        garbage = [torch.full((n,), torch.nan) for n in (10**5, 10**6, 10**7)]
        del garbage
        error = gradient(half=True) - wanted
        assert error.norm() < 0.03 * wanted.norm()  # NaN compares false


def test_silence_gives_silence() -> None:
    with torch.inference_mode():
        assert not small()(torch.zeros(1, 2, 1000)).any()


def test_a_level_change_of_the_whole_input_passes_through() -> None:
    network = small()
    wave = torch.randn(1, 2, 3000)
    with torch.inference_mode():
        torch.testing.assert_close(network(wave * 0.1), network(wave) * 0.1, atol=1e-4, rtol=1e-2)


def test_examples_of_a_batch_do_not_mix() -> None:
    wave = torch.randn(3, 2, 2000)
    with torch.inference_mode():
        torch.testing.assert_close(small()(wave)[1:2], small()(wave[1:2]), atol=1e-5, rtol=1e-4)


def test_impossible_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="band_widths sum"):
        LiveNetConfig(n_fft=512)
    with pytest.raises(ValueError, match="dilations"):
        LiveNetConfig(dilations=(1,))
    impossible: list[Any] = [0, 1.5, 2.0, True, "2", None]
    for hold in impossible:
        with pytest.raises(ValueError, match=f"hold must be a whole .* at least 1, got {hold!r}"):
            LiveNetConfig(hold=hold)


@pytest.mark.parametrize(
    ("n_fft", "hop", "synthesis"), [(2016, 504, 1008), (256, 64, 128), (96, 16, 96)]
)
def test_the_transform_reconstructs_exactly_and_late_by_its_delay(
    n_fft: int, hop: int, synthesis: int
) -> None:
    stft = CausalSTFT(n_fft, hop, synthesis)
    wave = torch.randn(1, 2, hop * 12)
    out, tail = stft.overlap_add(stft(wave)[0], torch.zeros(2, stft.delay))
    assert out.shape == (2, hop * 12)
    assert tail.shape == (2, stft.delay)
    torch.testing.assert_close(out[:, stft.delay :], wave[0, :, : -stft.delay], atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("n_fft", "hop", "synthesis"), [(255, 64, 128), (256, 100, 128), (256, 48, 128)]
)
def test_impossible_transforms_are_refused(n_fft: int, hop: int, synthesis: int) -> None:
    with pytest.raises(ValueError, match="synthesis"):
        CausalSTFT(n_fft, hop, synthesis)


@holds
def test_the_memory_lasts_as_long_however_long_masks_are_held(hold: int) -> None:
    network = small(hold=hold)
    samples = 12 * SMALL.hop_length
    past, _, *rest = network.initial_state()
    with torch.inference_mode():
        _, state = network.step(torch.zeros(1, 2, samples), (past, torch.zeros(1, 1), *rest))
    assert state[1].item() == pytest.approx(-samples / SMALL.sample_rate / SMALL.memory)


def test_the_memory_lasts_as_long_at_any_rate() -> None:
    config = replace(causal().config, sample_rate=48000)
    shape = LiveNetConfig.of(config)
    assert shape.sample_rate == 48000
    hops = shape.memory * 48000 / shape.hop_length
    assert LiveNet(shape).fade * hops == pytest.approx(1)
