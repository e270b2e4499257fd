# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lars_plugin.cli import main
from lars_plugin.model import Chunking
from tests.batch.inline import InlineEngine
from tests.batch.runs import Batch, Run
from tests.models import config, model_folder


@pytest.fixture(autouse=True)
def _same_backend_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is compared to the last bit must not depend on what else is installed."""
    monkeypatch.setenv("LARS_BACKEND", "torch")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with a tiny network of random weights."""
    described = config(chunking=Chunking(4096, 2.0, batch_size=2), presets={"fast": 1.25})
    return model_folder(tmp_path_factory.mktemp("models") / "tiny", described)


@pytest.fixture
def batch(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Batch:
    """Runs ``lars batch`` in ``tmp_path``, by default with one local worker into ``o``."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str | Path, out: str = "o", jobs: int | None = 1) -> Run:
        more = [] if jobs is None else ["-j", str(jobs)]
        code = main(["batch", "-m", str(tiny), "-d", "cpu", "-o", out, *more, *map(str, arguments)])
        return Run(code, *capsys.readouterr())

    return run


@pytest.fixture
def separated(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., dict[str, bytes]]:
    """The files that ``lars separate`` makes of the same inputs, by name below its folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str | Path) -> dict[str, bytes]:
        from tests.batch.runs import stems_in

        folder = tmp_path / "separated-to-compare"
        code = main(
            ["separate", "-m", str(tiny), "-d", "cpu", "-o", str(folder), "-q",
             "--filename", "{path}/{track}/{stem}.{ext}", *map(str, arguments)]
        )  # fmt: skip
        assert code in (0, 1), capsys.readouterr()
        capsys.readouterr()
        return stems_in(folder)

    return run


@pytest.fixture
def inline(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> Batch:
    """Runs ``lars batch`` with its one worker in this process."""
    monkeypatch.setattr("lars_plugin.batch.command._engine", InlineEngine)
    return batch
