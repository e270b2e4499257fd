# SPDX-License-Identifier: GPL-3.0-or-later
"""``lars separate`` with cascades, ensembles and post-processing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from lars_plugin.audio import read_audio
from lars_plugin.cli import main
from lars_plugin.refine.postprocess import PostProcessing
from lars_plugin.separation.separator import Separator
from lars_plugin.zoo.checkpoints import build_network
from lars_plugin.zoo.convert import write_weights
from lars_plugin.zoo.yaml_configs import dump_config, read_config

Lars = Callable[..., tuple[int, str, str]]
Song = Callable[..., Path]

SIX = ["kick", "snare", "toms", "hihat", "ride", "crash"]


@pytest.fixture(scope="module")
def music(tiny: Path) -> Path:
    """A music model of the drum model's size and chunks."""
    config = read_config(tiny / "config.yaml")
    stems = ("vocals", "bass", "drums", "other")
    folder = tiny.parent / "music"
    folder.mkdir()
    config = dataclasses.replace(config, name="music", stems=stems)
    (folder / "config.yaml").write_text(dump_config(config), encoding="utf-8")
    torch.manual_seed(1)
    write_weights(build_network(config), folder)
    return folder


@pytest.fixture
def lars(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Lars:
    """Runs ``lars separate`` in ``tmp_path``; gives (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        how = ("-d", "cpu", "--backend", "torch", "--precision", "float32")
        code = main(["separate", *how, *map(str, arguments)])
        return code, *capsys.readouterr()

    return run


def files(folder: str) -> dict[str, np.ndarray]:
    return {path.stem: read_audio(path)[0] for path in Path(folder).glob("*.wav")}


def test_a_cascade_by_name_writes_the_song_and_the_drums(
    lars: Lars, song: Song, tiny: Path, music: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LARS_MODELS_PATH", str(tiny.parent))
    song("song.wav")
    code, out, err = lars("song.wav", "-m", "cascade:music,tiny", "-o", "out", "--float32")
    assert code == 0, err
    assert out.startswith(f"song.wav: {', '.join(['vocals', 'bass', 'other', *SIX])} in out/song")
    audio, rate = read_audio("song.wav")
    wanted = Separator("cascade:music,tiny", device="cpu").separate(audio, rate)
    made = files("out/song")
    assert made.keys() == set(wanted)
    for name, wave in wanted.items():
        np.testing.assert_array_equal(made[name], wave)


def test_redistribution_makes_files_that_add_up(lars: Lars, song: Song, tiny: Path) -> None:
    song("take.wav", rate=48000)
    options = ("-m", tiny, "--float32", "--gate", "-60", "--wiener", "0.5", "--redistribute")
    assert lars("take.wav", "-o", "out", *options)[0] == 0
    made = files("out/take")
    np.testing.assert_allclose(sum(made.values()), read_audio("take.wav")[0], atol=1e-5)
    post = PostProcessing(gate=-60, wiener=0.5, redistribute=True)
    separator = Separator(str(tiny), device="cpu", post=post)
    wanted = separator.separate(*read_audio("take.wav"))
    for name, wave in wanted.items():
        np.testing.assert_array_equal(made[name], wave)


def test_an_ensembles_file_is_a_model(lars: Lars, song: Song, tiny: Path, tmp_path: Path) -> None:
    song("take.wav")
    text = f"stems: {{kick: '{tiny}', hh: '{tiny}'}}"
    (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
    code, out, _ = lars("take.wav", "-m", "mine.yaml", "--filename", "{model}-{stem}.{ext}")
    assert code == 0
    assert "kick, hihat" in out
    assert (tmp_path / "separated" / "mine-kick.wav").is_file()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--wiener", "0"], "the Wiener exponent must be above 0"),
        (["--gate", "3"], "must be below 0 dB"),
        (["-m", "cascade:lars-mini"], "write cascade:MUSIC,DRUMS"),
        (["-m", "lars-mini+"], "write A+B"),
    ],
)
def test_settings_that_cannot_be_are_wrong_usage(
    lars: Lars, song: Song, options: list[str], message: str
) -> None:
    song("take.wav", 0.1)
    code, _, err = lars("take.wav", *options)
    assert code == 2
    assert message in err
