# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenVINO computes what PyTorch computes; its cache is reused, checked and repaired."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from lars_plugin.backends.openvino import cache as openvino_cache
from lars_plugin.backends.openvino.cache import GRAPH, cached
from lars_plugin.backends.torch_backend import TorchBackend
from lars_plugin.errors import EngineError, InputError
from lars_plugin.networks.bandunet.device import DeviceBandUNet
from lars_plugin.networks.bandunet.network import BandUNet
from lars_plugin.networks.bandunet.prepost import BandPrePost
from lars_plugin.networks.mdx23c.network import MDX23C
from lars_plugin.networks.mdx23c.prepost import MDX23CPrePost
from lars_plugin.networks.shared.prepost import Core
from tests import models
from tests.models import ROOT, trained

Wave = NDArray[np.float32]

# Sums in another order, FFTs in the same; against the largest sample.
FLOAT32 = 2e-5
# Eight bits of mantissa through a dozen layers of random weights.
BFLOAT16_SNR = 25.0
INT8_SNR = 12.0


def bandunet(levels: bool = True) -> BandUNet:
    return trained(models.bandunet(3, levels=levels))


def mdx23c() -> MDX23C:
    return trained(models.mdx23c(2))


def prepost_of(kind: str) -> tuple[nn.Module, BandPrePost | MDX23CPrePost]:
    if kind.startswith("bandunet"):
        network = bandunet(kind == "bandunet")
        return network, BandPrePost(network.config, lambda: network)
    other = mdx23c()
    return other, MDX23CPrePost(other.config, lambda: other)


def waves(count: int = 2, samples: int = 960) -> Wave:
    rng = np.random.default_rng(3)
    return (0.1 * rng.standard_normal((count, 2, samples))).astype(np.float32)


def snr_db(exact: Wave, made: Wave) -> float:
    return float(10 * np.log10(np.square(exact).sum() / np.square(made - exact).sum()))


def in_torch(core: nn.Module) -> Core:
    """A core as pre- and postprocessing calls it."""

    def run(inputs: list[Wave]) -> list[Wave]:
        with torch.inference_mode():
            made = core(*map(torch.from_numpy, inputs))
        return [one.numpy() for one in (made if isinstance(made, tuple) else (made,))]

    return run


# Frames are transformed 64 at a time: less than one piece, two, one and a frame, one and fewer
# frames than a frame is long, one and more. An MDX23C wants a multiple of four.
PARTS = [
    (kind, frames, rest)
    for kind in ("bandunet", "bandunet without levels", "mdx23c")
    for frames, rest in [(16, 0), (16, 40), (128, 0), (65, 0), (66, 5), (132, 63)]
    if kind != "mdx23c" or frames % 4 == 0
]


@pytest.mark.parametrize(("kind", "frames", "rest"), PARTS)
def test_the_parts_compute_what_their_network_computes_in_any_number_of_threads(
    kind: str, frames: int, rest: int
) -> None:
    samples = 64 * (frames - 1) + rest
    network, prepost = prepost_of(kind)
    (wave,) = waves(1, samples)
    with torch.inference_mode():
        exact = network(torch.from_numpy(wave[None])).numpy()[0]
    core = in_torch(prepost.core())
    made = prepost(wave, core)
    np.testing.assert_allclose(made, exact, rtol=0, atol=2e-7)
    np.testing.assert_array_equal(prepost(wave, core, 3), made)


@pytest.mark.parametrize("kind", ["bandunet", "mdx23c"])
def test_what_is_not_finite_in_a_core_is_not_finite_in_the_stems_and_warns_of_nothing(
    kind: str,
) -> None:
    _, prepost = prepost_of(kind)
    core = in_torch(prepost.core())
    (wave,) = waves(1, 960)
    for bad in (np.nan, np.inf):

        def broken(inputs: list[Wave], bad: float = bad) -> list[Wave]:
            return [np.where(one > 0, one, np.float32(bad)) for one in core(inputs)]

        for threads in (1, 2):
            assert not np.isfinite(prepost(wave, broken, threads)).all()


@pytest.mark.parametrize("samples", [960, 1000, 1111])
def test_masks_made_band_by_band_on_a_device_are_those_of_the_network(samples: int) -> None:
    network = bandunet()
    wave = torch.from_numpy(waves(3, samples))
    with torch.inference_mode():
        torch.testing.assert_close(DeviceBandUNet(network)(wave), network(wave), rtol=0, atol=1e-7)


def test_the_torch_backend_computes_what_its_module_computes() -> None:
    network = bandunet()
    backend = TorchBackend(network, device="cpu")
    batch = waves(2)
    with torch.inference_mode():
        exact = network(torch.from_numpy(batch)).numpy()
    np.testing.assert_allclose(backend(batch), exact, rtol=0, atol=2e-7)
    assert backend.module is network


@pytest.mark.parametrize("kind", ["bandunet", "mdx23c"])
def test_silence_that_is_not_computed_is_what_the_network_makes_of_silence(kind: str) -> None:
    network, prepost = prepost_of(kind)
    silence = np.zeros((2, 960), np.float32)

    def never(inputs: list[Wave]) -> list[Wave]:
        raise AssertionError(f"computed for {inputs[0].shape}")

    with torch.inference_mode():
        exact = network(torch.from_numpy(silence[None])).numpy()[0]
    assert not exact.any()
    np.testing.assert_array_equal(prepost(silence, never), exact)


SCRIPT = """
import sys
from pathlib import Path
sys.path[:0] = {paths!r}
from test_openvino import prepost_of, waves
from lars_plugin.backends.openvino.backend import OpenVINOBackend
OpenVINOBackend(
    prepost_of("bandunet")[1], identity={{}}, cache=Path(sys.argv[1]), precision={precision!r},
    calibration=lambda _channels, samples: waves(3, samples),
)(waves())
"""


class TestWithOpenVINO:
    """All that needs the package."""

    @pytest.fixture(autouse=True)
    def _installed(self) -> None:
        pytest.importorskip("openvino", reason="the extra `openvino` is not installed")

    def backend(
        self, kind: str, cache: Path, precision: str = "float32", weights: str = "a"
    ) -> tuple[Wave, object]:
        from lars_plugin.backends.openvino.backend import OpenVINOBackend

        network, prepost = prepost_of(kind)
        with torch.inference_mode():
            exact = network(torch.from_numpy(waves())).numpy()
        made = OpenVINOBackend(
            prepost,
            identity={"weights": weights},
            cache=cache,
            precision=precision,
            threads=1,
            calibration=lambda _channels, samples: waves(3, samples),
        )
        return exact, made

    @pytest.mark.parametrize("kind", ["bandunet", "mdx23c"])
    def test_float32_agrees_with_pytorch(self, kind: str, tmp_path: Path) -> None:
        exact, backend = self.backend(kind, tmp_path)
        batch = waves()
        batch.flags.writeable = False
        made = backend(batch)  # type: ignore[operator]
        assert made.dtype == np.float32
        assert made.shape == exact.shape
        assert np.abs(made - exact).max() <= FLOAT32 * np.abs(exact).max()
        again = backend(batch[:1])  # type: ignore[operator]
        np.testing.assert_array_equal(again, made[:1])

    @pytest.mark.parametrize("kind", ["bandunet", "mdx23c"])
    def test_bfloat16_is_near_float32(self, kind: str, tmp_path: Path) -> None:
        exact, backend = self.backend(kind, tmp_path, "bfloat16")
        assert snr_db(exact, backend(waves())) > BFLOAT16_SNR  # type: ignore[operator]

    @pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
    def test_int8_is_near_float32(self, tmp_path: Path) -> None:
        pytest.importorskip("nncf", reason="the extra `int8` is not installed")
        exact, backend = self.backend("bandunet", tmp_path, "int8")
        assert snr_db(exact, backend(waves())) > INT8_SNR  # type: ignore[operator]

    @pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
    @pytest.mark.parametrize("precision", ["float32", "int8"])
    def test_a_conversion_reports_to_nobody(self, precision: str, tmp_path: Path) -> None:
        """The libraries keep an identity for their reports in the home folder."""
        if precision == "int8":
            pytest.importorskip("nncf", reason="the extra `int8` is not installed")
        script = SCRIPT.format(paths=[str(Path(__file__).parent), str(ROOT)], precision=precision)
        environment = {k: v for k, v in os.environ.items() if k not in ("CI", "NNCF_CI")}
        environment |= {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path)}
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", script, str(tmp_path / "cache")],
            env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert list((tmp_path / "cache").glob("*/model.xml"))
        assert not (tmp_path / "intel").exists(), list((tmp_path / "intel").iterdir())

    def test_threads_may_call_at_once(self, tmp_path: Path) -> None:
        exact, backend = self.backend("bandunet", tmp_path)
        backend.share(2)  # type: ignore[attr-defined]
        made: list[Wave] = []
        threads = [
            threading.Thread(target=lambda: made.append(backend(waves())))  # type: ignore[operator]
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(made) == 4
        for one in made:
            assert np.abs(one - exact).max() <= FLOAT32 * np.abs(exact).max()

    def test_a_conversion_is_reused_until_weights_or_shape_change(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from lars_plugin.backends.openvino import convert as openvino_convert

        converted = []
        real = openvino_convert.convert

        def counting(prepost: object, shapes: object, *rest: object, **more: object) -> object:
            converted.append(shapes)
            return real(prepost, shapes, *rest, **more)  # type: ignore[arg-type]

        monkeypatch.setattr("lars_plugin.backends.openvino.runtime.convert", counting)
        first = self.backend("bandunet", tmp_path)[1](waves())  # type: ignore[operator]
        assert len(converted) == 1
        # bfloat16 is a matter of running, not of the file.
        self.backend("bandunet", tmp_path, "bfloat16")[1](waves())  # type: ignore[operator]
        second = self.backend("bandunet", tmp_path)[1](waves())  # type: ignore[operator]
        assert len(converted) == 1
        np.testing.assert_array_equal(first, second)
        self.backend("bandunet", tmp_path, weights="b")[1](waves())  # type: ignore[operator]
        assert len(converted) == 2
        self.backend("bandunet", tmp_path)[1](waves(1, 2000))  # type: ignore[operator]
        assert len(converted) == 3

    def test_a_damaged_conversion_is_made_again_and_said_so(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        exact, backend = self.backend("bandunet", tmp_path)
        backend(waves())  # type: ignore[operator]
        (folder,) = tmp_path.iterdir()
        data = bytearray((folder / "model.bin").read_bytes())
        data[len(data) // 2] ^= 0xFF
        (folder / "model.bin").write_bytes(data)
        with caplog.at_level(logging.WARNING):
            made = self.backend("bandunet", tmp_path)[1](waves())  # type: ignore[operator]
        assert "model.bin is not what was written" in caplog.text
        assert np.abs(made - exact).max() <= FLOAT32 * np.abs(exact).max()
        assert [path.name for path in tmp_path.iterdir()] == [folder.name]

    def test_wrong_settings_are_refused(self, tmp_path: Path) -> None:
        from lars_plugin.backends.openvino.backend import OpenVINOBackend

        with pytest.raises(InputError, match="float16"):
            self.backend("bandunet", tmp_path, "float16")
        with pytest.raises(InputError, match="calibrate"):
            OpenVINOBackend(
                prepost_of("bandunet")[1], identity={}, cache=tmp_path, precision="int8"
            )


def _write(folder: Path) -> None:
    for name in openvino_cache._FILES:
        (folder / name).write_text("whole")


def test_a_conversion_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    def failing(folder: Path) -> None:
        (folder / GRAPH).write_text("half")
        raise EngineError("no")

    with pytest.raises(EngineError, match="no"):
        cached(tmp_path, "key", failing)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["missing graph", "missing digests", "no json"])
def test_an_incomplete_conversion_is_made_again(tmp_path: Path, damage: str) -> None:
    folder = cached(tmp_path, "key", _write)
    if damage == "missing graph":
        (folder / GRAPH).unlink()
    elif damage == "missing digests":
        (folder / "sha256.json").unlink()
    else:
        (folder / "sha256.json").write_text("[")
    assert cached(tmp_path, "key", _write) == folder
    assert (folder / GRAPH).read_text() == "whole"
    made_again: list[Path] = []
    cached(tmp_path, "key", made_again.append)
    assert made_again == []


def test_a_cache_that_cannot_be_written_is_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(EngineError, match="LARS_CACHE"):
        cached(tmp_path / "file" / "cache", "key", _write)
