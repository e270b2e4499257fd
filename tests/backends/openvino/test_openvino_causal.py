# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenVINO steps a LiveNet as PyTorch does: same samples, same causality, state explicit."""

from __future__ import annotations

import copy
import functools
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lars_plugin.backends.openvino.cache import GRAPH
from lars_plugin.backends.openvino.causal import OpenVINOCausalBackend
from lars_plugin.backends.torch_causal import TorchCausalBackend
from lars_plugin.errors import EngineError, InputError
from lars_plugin.model import CausalBackend, Chunking, Model, ModelConfig
from lars_plugin.networks.livenet.network import LiveNet
from lars_plugin.networks.livenet.prepost import LivePrePost
from lars_plugin.separation.streams.causal import CausalStream
from lars_plugin.zoo import load_model
from tests.models import livenet

Wave = NDArray[np.float32]

HOP, DELAY = 64, 64
STEMS = ("kick", "snare", "toms", "hihat", "ride", "crash")
# Sums in another order.
CLOSE = 2e-5


@functools.cache
def network(levels: bool = True, hold: int = 1) -> LiveNet:
    return livenet(levels=levels, hold=hold)


def prepost(made: LiveNet) -> LivePrePost:
    return LivePrePost(made.config, lambda: made)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("openvino")


@pytest.fixture(scope="module")
def backend(cache: Path) -> OpenVINOCausalBackend:
    return OpenVINOCausalBackend(prepost(network()), identity={"weights": "small"}, cache=cache)


def noise(samples: int, seed: int = 0) -> Wave:
    return np.random.default_rng(seed).standard_normal((2, samples)).astype(np.float32)


def run(backend: CausalBackend, audio: Wave, hops: list[int]) -> Wave:
    """Stems of the audio given to ``step`` in pieces of so many hops."""
    state, parts, at = backend.initial_state(), [], 0
    for count in hops:
        made, state = backend.step(audio[:, at : at + count * HOP], state)
        parts.append(made)
        at += count * HOP
    return np.concatenate(parts, axis=2)


def test_steps_are_those_of_pytorch_to_rounding_over_loud_quiet_and_silent_parts(
    backend: OpenVINOCausalBackend,
) -> None:
    audio = noise(120 * HOP)
    audio[:, 30 * HOP : 60 * HOP] *= 1e-4
    audio[:, 60 * HOP : 90 * HOP] = 0
    made = run(backend, audio, [1] * 120)
    wanted = run(TorchCausalBackend(network()), audio, [1] * 120)
    np.testing.assert_allclose(made, wanted, atol=CLOSE)
    assert np.abs(wanted).max() > 0.1
    # The window is four hops long and two of them are played.
    assert not made[..., 65 * HOP : 90 * HOP].any()


def test_a_network_without_levels_steps_as_in_pytorch(cache: Path) -> None:
    plain = network(levels=False)
    backend = OpenVINOCausalBackend(prepost(plain), identity={"weights": "no levels"}, cache=cache)
    audio = noise(20 * HOP)
    wanted = run(TorchCausalBackend(plain), audio, [1] * 20)
    np.testing.assert_allclose(run(backend, audio, [1] * 20), wanted, atol=CLOSE)


def test_held_masks_are_those_of_pytorch_however_the_hops_come(cache: Path) -> None:
    held = network(hold=3)
    backend = OpenVINOCausalBackend(prepost(held), identity={"weights": "held"}, cache=cache)
    audio = noise(24 * HOP)
    made = run(backend, audio, [1] * 24)
    np.testing.assert_allclose(made, run(TorchCausalBackend(held), audio, [1] * 24), atol=CLOSE)
    np.testing.assert_allclose(made, run(TorchCausalBackend(held), audio, [5, 19]), atol=CLOSE)
    np.testing.assert_array_equal(made, run(backend, audio, [1, 2, 7, 14]))
    other = run(TorchCausalBackend(network()), audio, [1] * 24)
    assert np.abs(made - other).max() > 0.01
    # An earlier state may be gone back to, also between two frames with the same masks.
    _, state = backend.step(audio[:, : 4 * HOP], backend.initial_state())
    for _ in range(2):
        again, _ = backend.step(audio[:, 4 * HOP :], state)
        np.testing.assert_array_equal(again, made[..., 4 * HOP :])


@settings(
    deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(0, 1000))
def test_any_number_of_hops_at_once_gives_the_same_bits(
    backend: OpenVINOCausalBackend, hops: list[int], seed: int
) -> None:
    audio = noise(sum(hops) * HOP, seed)
    np.testing.assert_array_equal(run(backend, audio, hops), run(backend, audio, [1] * sum(hops)))


@pytest.mark.parametrize("length", [1, HOP, 777, 1280])
def test_a_whole_recording_equals_its_steps_with_the_delay_removed(
    backend: OpenVINOCausalBackend, length: int
) -> None:
    batch = np.stack([noise(length, 1), noise(length, 2)])
    made = backend(batch)
    assert made.shape == (2, 6, 2, length)
    np.testing.assert_allclose(made, TorchCausalBackend(network())(batch), atol=CLOSE)
    np.testing.assert_allclose(made.sum(axis=1), batch, atol=CLOSE)  # stems sum to the mixture


def test_no_output_depends_on_input_that_comes_later(backend: OpenVINOCausalBackend) -> None:
    audio, other = noise(20 * HOP), noise(20 * HOP)
    other[:, 11 * HOP :] = noise(9 * HOP, 7)
    made, changed = run(backend, audio, [1] * 20), run(backend, other, [1] * 20)
    np.testing.assert_array_equal(made[..., : 11 * HOP], changed[..., : 11 * HOP])
    assert (made[..., 11 * HOP :] != changed[..., 11 * HOP :]).any()


def test_the_state_is_explicit_not_changed_and_may_be_gone_back_to(
    backend: OpenVINOCausalBackend,
) -> None:
    _, state = backend.step(noise(5 * HOP), backend.initial_state())
    before = copy.deepcopy(state)
    first, after = backend.step(noise(HOP, 3), state)
    kept = first.copy()
    backend.step(noise(4 * HOP, 4), after)
    again, _ = backend.step(noise(HOP, 3), state)
    np.testing.assert_array_equal(again, kept)
    np.testing.assert_array_equal(first, kept)  # it is the caller's memory
    for part, old in zip(state, before, strict=True):
        np.testing.assert_array_equal(part, old)


def test_threads_that_step_at_the_same_time_do_not_mix(backend: OpenVINOCausalBackend) -> None:
    audio = [noise(60 * HOP, seed) for seed in range(4)]
    wanted = [run(backend, wave, [1] * 60) for wave in audio]
    made: list[Wave | None] = [None] * 4

    def work(index: int) -> None:
        made[index] = run(backend, audio[index], [1] * 60)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one, other in zip(made, wanted, strict=True):
        assert one is not None
        np.testing.assert_array_equal(one, other)


def test_it_streams_like_any_causal_backend(backend: OpenVINOCausalBackend) -> None:
    chunking = Chunking(HOP, 1, "causal", lookahead=DELAY)
    stream = CausalStream(Model(ModelConfig("small", STEMS, chunking), backend))
    audio = noise(1000)
    made = np.concatenate(
        [stream.push(audio[:, :77]), stream.push(audio[:, 77:]), stream.flush()], 2
    )
    np.testing.assert_array_equal(made, backend(audio[None])[0])


def test_a_conversion_is_made_once_and_another_network_gets_its_own(cache: Path) -> None:
    lines: list[str] = []
    for weights in ("once", "once", "other"):
        OpenVINOCausalBackend(
            prepost(network()), identity={"weights": weights}, cache=cache, on_warning=lines.append
        )
    assert len(lines) == 2


def test_a_damaged_conversion_is_made_again(tmp_path: Path) -> None:
    lines: list[str] = []
    for _ in range(2):
        made = OpenVINOCausalBackend(
            prepost(network()), identity={}, cache=tmp_path, on_warning=lines.append
        )
        (graph,) = tmp_path.glob(f"*/{GRAPH}")
        graph.write_text("<net>")
    assert len(lines) == 2
    assert np.isfinite(run(made, noise(HOP), [1])).all()


def test_precisions_that_it_does_not_have_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="float32 or bfloat16"):
        OpenVINOCausalBackend(prepost(network()), identity={}, cache=tmp_path, precision="int8")


def test_wrong_shapes_are_engine_errors_and_the_next_step_works(
    backend: OpenVINOCausalBackend,
) -> None:
    wanted, _ = backend.step(noise(HOP), backend.initial_state())
    start = backend.initial_state()
    with pytest.raises(EngineError, match="openvino cpu float32"):
        backend.step(noise(HOP), start._replace(vector=start.vector[:, 1:]))
    made, _ = backend.step(noise(HOP), backend.initial_state())
    np.testing.assert_array_equal(made, wanted)


def test_the_shipped_live_model_runs_on_it_by_default_and_sounds_as_on_pytorch() -> None:
    chosen = load_model("lars-live", device="cpu", backend="auto").backend
    plain = load_model("lars-live", device="cpu", backend="torch").backend
    assert (chosen.name, plain.name) == ("openvino cpu float32", "torch cpu float32")
    audio = 0.2 * noise(44100)[None]
    np.testing.assert_allclose(chosen(audio), plain(audio), atol=CLOSE)


@pytest.mark.skipif(os.name != "posix", reason="signals are a POSIX matter")
def test_a_signal_after_all_models_are_gone_is_handled_and_no_crash() -> None:
    # In a process of its own: a crash would take the test runner along.
    code = (
        "import gc, os, signal, threading\n"
        "from lars_plugin.zoo.load import load_model\n"
        "model = load_model('lars-live', backend='openvino')\n"
        "held = [model]\n"
        "del model\n"
        "thread = threading.Thread(target=held.clear)\n"
        "thread.start(); thread.join(); gc.collect()\n"
        "signal.signal(signal.SIGTERM, lambda *_: print('handled'))\n"
        "os.kill(os.getpid(), signal.SIGTERM)\n"
    )
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", code],
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "handled\n"), done.stderr
