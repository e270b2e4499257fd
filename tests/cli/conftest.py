# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lars_plugin.audio import write_audio
from lars_plugin.cli import main
from lars_plugin.separation.separator import Separator
from tests.cli.runs import Separate
from tests.models import config, model_folder

RATE = 44100


@pytest.fixture(autouse=True)
def _same_backend_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is compared to the last bit must not depend on what else is installed."""
    monkeypatch.setenv("LARS_BACKEND", "torch")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with a tiny network of random weights."""
    described = config(
        presets={"fast": 1.25, "balanced": 2.0, "best": 4.0},
        description="random weights",
        license="none",
    )
    return model_folder(tmp_path_factory.mktemp("models") / "tiny", described)


@pytest.fixture
def song(tmp_path: Path) -> Callable[..., Path]:
    """Writes half a second of noise, by default, under a name below ``tmp_path``."""

    def write(name: str, seconds: float = 0.5, channels: int = 2, rate: int = RATE) -> Path:
        rng = np.random.default_rng(5)
        wave = rng.standard_normal((channels, round(seconds * rate))) * 0.1
        write_audio(tmp_path / name, wave.astype(np.float32), rate, bits="16")
        return tmp_path / name

    return write


Lars = Callable[..., "tuple[int, str, str]"]


@pytest.fixture
def lars(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Lars:
    """Runs ``lars separate`` in ``tmp_path``; gives (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        code = main(["separate", "-m", str(tiny), "-d", "cpu", *map(str, arguments)])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def separate(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Separate:
    """Runs ``lars separate --json`` into ``o``; gives (exit code, document, stderr)."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, model: Path = tiny) -> tuple[int, dict[str, Any], str]:
        command = ["separate", "-m", str(model), "-d", "cpu", "-o", "o", "--json", *arguments]
        code = main(command)
        out, err = capsys.readouterr()
        return code, json.loads(out), err

    return run


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """Puts a model in place of the one that the options name."""

    def put(model: Any) -> None:
        monkeypatch.setattr(
            "lars_plugin.cli.separate.make_separator",
            lambda args, stems=None: Separator(model, stems=stems),
        )

    return put
