# SPDX-License-Identifier: GPL-3.0-or-later
"""What works without OpenVINO, and what is not even imported with it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from lars_plugin.audio import read_audio
from lars_plugin.backends.openvino.runtime import has_bfloat16, has_openvino
from lars_plugin.cli import main
from lars_plugin.errors import InputError
from lars_plugin.zoo import load_model

RATE = 44100

SEPARATE = """
import sys
from lars_plugin.cli import main
code = main(["separate", sys.argv[1], "-o", sys.argv[2], "-q", "--backend", "openvino"])
print(code, "torch" in sys.modules, "scipy" in sys.modules)
"""


@pytest.fixture
def drums(tmp_path: Path) -> Path:
    """A second of decaying noise."""
    rng = np.random.default_rng(0)
    wave = 0.1 * rng.standard_normal((RATE, 2)) * np.exp(-np.arange(RATE) / 5000)[:, None]
    soundfile.write(tmp_path / "drums.wav", wave, RATE, subtype="FLOAT")
    return tmp_path / "drums.wav"


def _stems(folder: Path) -> NDArray[np.float32]:
    return np.stack([read_audio(path)[0] for path in sorted((folder / "drums").glob("*.wav"))])


def test_all_works_where_openvino_is_not_installed(
    drums: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LARS_BACKEND", raising=False)
    assert main(["separate", str(drums), "-o", str(tmp_path / "with"), "-q", "--float32"]) == 0
    monkeypatch.setitem(sys.modules, "openvino", None)  # as if it were not there
    assert not has_openvino()
    assert not has_bfloat16()
    assert main(["separate", str(drums), "-o", str(tmp_path / "without"), "-q", "--float32"]) == 0
    assert load_model("lars-mini", backend="auto", precision="auto").backend.name.startswith(
        "torch"
    )
    made, without = _stems(tmp_path / "with"), _stems(tmp_path / "without")
    assert made.shape == without.shape == (6, 2, RATE)
    # bfloat16 against float32, where the one is chosen.
    error = np.square(made - without).sum() / np.square(without).sum()
    assert 10 * np.log10(error + 1e-20) < -30
    with pytest.raises(InputError, match="pip install"):
        load_model("lars-mini", backend="openvino")


def test_a_network_that_was_converted_before_runs_without_pytorch(
    drums: Path, tmp_path: Path
) -> None:
    pytest.importorskip("openvino", reason="OpenVINO has no packages for this platform")
    for out in ("first", "out"):  # the first converts, if nobody did before
        done = subprocess.run(
            [sys.executable, "-c", SEPARATE, str(drums), str(tmp_path / out)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert done.stdout.split() == ["0", "False", "False"], done.stdout + done.stderr
    assert len(_stems(tmp_path / "out")) == 6
