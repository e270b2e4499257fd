# SPDX-License-Identifier: GPL-3.0-or-later
"""Models converted ahead: they run where PyTorch is not installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import soundfile
from packaging.requirements import Requirement

from lars_plugin.audio import read_audio
from lars_plugin.backends.openvino.cache import GRAPH
from lars_plugin.cli import main
from lars_plugin.errors import InputError
from lars_plugin.zoo.convert import convert
from lars_plugin.zoo.prepare import preparable, prepare
from tests.field_files import files

ROOT = Path(__file__).parents[2]
OWN = [
    *("lars-fullmix", "lars-live", "lars-live-low", "lars-mini"),
    *("lars-transcriber", "lars-transcriber-live"),
]
# PyTorch, what needs it, and what would find them by paths of its own.
HIDDEN = ("torch", "functorch", "torchgen", "nncf", "nvidia", "triton")

pytest.importorskip("openvino", reason="OpenVINO has no packages for this platform")


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages of this environment, without PyTorch: not hidden, but not there."""
    folder = tmp_path_factory.mktemp("packages")
    for place in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for path in Path(place).iterdir():
            if not path.name.lower().startswith(HIDDEN) and path.suffix != ".pth":
                (folder / path.name).symlink_to(path)
    return folder


@pytest.fixture(scope="module")
def few_packages(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Those of requirements/separate.txt, and what they require."""
    text = (ROOT / "requirements" / "separate.txt").read_text("utf-8")
    waiting = [line for line in text.splitlines() if not line.startswith("#")]
    folder, seen = tmp_path_factory.mktemp("few"), set[str]()
    while waiting:
        name = waiting.pop()
        if name.lower() in seen:
            continue
        seen.add(name.lower())
        found = metadata.distribution(name)
        tops = {file.parts[0] for file in found.files or [] if file.parts[0] not in ("..", "bin")}
        for top in tops:
            if (packages / top).exists() and not (folder / top).exists():
                (folder / top).symlink_to(packages / top)
        needed = map(Requirement, found.requires or [])
        waiting += [
            one.name for one in needed if not one.marker or one.marker.evaluate({"extra": ""})
        ]
    return folder


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder in which all that the package embeds is prepared."""
    cache = tmp_path_factory.mktemp("cache")
    assert main(["models", "prepare", "-o", str(cache / "prepared")]) == 0
    return cache


@pytest.fixture(scope="module")
def drums(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of decaying noise."""
    rng = np.random.default_rng(0)
    decay = np.exp(-(np.arange(88200) % 22050) / 4000)[:, None]
    path = tmp_path_factory.mktemp("drums") / "drums.wav"
    soundfile.write(path, 0.1 * rng.standard_normal((88200, 2)) * decay, 44100, subtype="FLOAT")
    return path


def lars(
    packages: Path, cache: Path, *arguments: str | Path, code: int = 0
) -> subprocess.CompletedProcess[str]:
    """The command line where only these packages are installed."""
    program = f"import sys; sys.path += [{str(ROOT)!r}, {str(packages)!r}]\n"
    program += "from lars_plugin.cli import main; code = main(sys.argv[1:])\n"
    program += "assert 'torch' not in sys.modules; sys.exit(code)"
    variables = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "LARS"))}
    done = subprocess.run(
        # -S: no packages but those above.
        [sys.executable, "-S", "-c", program, *map(str, arguments)],
        env={**variables, "LARS_CACHE": str(cache)}, text=True, encoding="utf-8",
        capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return done


def test_all_that_the_package_embeds_can_be_prepared(prepared: Path) -> None:
    assert preparable() == OWN
    folders = sorted((prepared / "prepared").iterdir())
    assert len(folders) == 4 + 2 + 3  # four networks, and the parts of two transcribers
    assert all((folder / GRAPH).is_file() for folder in folders)


@pytest.mark.parametrize("model", OWN[:4])
def test_a_prepared_model_separates_where_pytorch_is_not_installed(
    model: str, packages: Path, prepared: Path, drums: Path, tmp_path: Path
) -> None:
    done = lars(packages, prepared, "separate", drums, "-o", tmp_path, "--model", model)
    assert "converting" not in done.stderr
    stems = [read_audio(path)[0] for path in sorted((tmp_path / "drums").glob("*.wav"))]
    assert len(stems) in (6, 7)
    # 24 bits each.
    np.testing.assert_allclose(sum(stems), read_audio(drums)[0], atol=1e-5)
    assert not (prepared / "openvino").exists()


def test_separate_and_midi_need_no_more_than_the_short_list(
    few_packages: Path, prepared: Path, drums: Path, tmp_path: Path
) -> None:
    lars(few_packages, prepared, "separate", drums, "-o", tmp_path)
    lars(few_packages, prepared, "midi", drums, "-o", tmp_path / "a.mid", "--from", "mixture")
    shown = (ROOT / "docs" / "installation.md").read_text("utf-8")
    text = (ROOT / "requirements" / "separate.txt").read_text("utf-8")
    names = [line for line in text.splitlines() if not line.startswith("#")]
    assert f"pip install {' '.join(names)}\n" in shown


def test_stems_are_those_of_a_conversion_on_the_spot_to_the_bit(
    packages: Path, prepared: Path, drums: Path, tmp_path: Path
) -> None:
    how = ("--float32", "--backend", "openvino")
    lars(packages, prepared, "separate", drums, "-o", tmp_path / "ahead", *how)
    assert main(["separate", str(drums), "-o", str(tmp_path / "here"), *how]) == 0
    for path in sorted((tmp_path / "ahead" / "drums").glob("*.wav")):
        here = read_audio(tmp_path / "here" / "drums" / path.name)[0]
        np.testing.assert_array_equal(read_audio(path)[0], here)


def test_prepared_transcribers_hear_where_pytorch_is_not_installed(
    packages: Path, prepared: Path, drums: Path, tmp_path: Path
) -> None:
    for transcriber in ("lars-transcriber", "lars-transcriber-live"):
        out = tmp_path / f"{transcriber}.mid"
        choice = ("--from", "mixture", "--transcriber", transcriber)
        lars(packages, prepared, "midi", drums, "-o", out, *choice)
        assert out.read_bytes().startswith(b"MThd")


def test_without_pytorch_and_without_a_conversion_the_error_says_what_to_do(
    packages: Path, drums: Path, tmp_path: Path
) -> None:
    for how, code in (((), 1), (("--backend", "torch"), 2), (("--model", "lars-live"), 2)):
        done = lars(packages, tmp_path, "separate", drums, "-o", tmp_path, *how, code=code)
        assert "needs PyTorch: run `pip install torch`" in done.stderr
    done = lars(packages, tmp_path, "midi", drums, "--from", "mixture", code=2)
    assert "needs PyTorch: run `pip install torch`" in done.stderr
    done = lars(packages, tmp_path, "models", "export", "lars-mini", code=2)
    assert "needs PyTorch: run `pip install torch`" in done.stderr


def test_commands_without_networks_need_no_pytorch(packages: Path, tmp_path: Path) -> None:
    for command in (["--help"], ["models", "list"], ["models", "info", "lars-mini"]):
        lars(packages, tmp_path, *command)


def test_some_stems_of_a_prepared_model_need_no_pytorch_either(
    packages: Path, drums: Path, tmp_path: Path
) -> None:
    """A network that could leave out the work for the others is run whole."""
    config, weights = files("bsroformer_stereo", tmp_path)
    model = convert(None, tmp_path / "music", weights=weights, config=config)
    prepare(str(model), tmp_path / "prepared")
    options: dict[str, tuple[str, ...]] = {"whole": (), "some": ("--stems", "drums")}
    for name, more in options.items():
        lars(packages, tmp_path, "separate", drums, "-o", tmp_path / name, "--model", model, *more)
    whole, some = (tmp_path / name / "drums" / "drums.wav" for name in ("whole", "some"))
    np.testing.assert_array_equal(read_audio(some)[0], read_audio(whole)[0])


def test_a_broken_preparation_is_left_out_with_a_warning(
    prepared: Path, drums: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("LARS_CACHE", str(tmp_path))
    for folder in (prepared / "prepared").iterdir():
        copy = tmp_path / "prepared" / folder.name
        copy.mkdir(parents=True)
        digests = json.loads((folder / "sha256.json").read_text("utf-8"))
        (copy / "sha256.json").write_text(json.dumps(digests), "utf-8")
        (copy / GRAPH).write_text("half", "utf-8")
        (copy / "model.bin").write_bytes(b"")
    how = ["--model", "lars-live", "--backend", "openvino"]
    assert main(["separate", str(drums), "-o", str(tmp_path / "out"), *how]) == 0
    told = capsys.readouterr().err
    assert "is not what was written; it is not used" in told
    # A first run says what it does, and how to do it ahead.
    assert "converting the live network" in told
    assert "lars models prepare" in told


def test_what_openvino_cannot_run_is_not_prepared(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be prepared"):
        prepare("hdemucs_mmi", tmp_path)
    with pytest.raises(InputError, match="adtof"):
        prepare("adtof", tmp_path)
    assert list(tmp_path.iterdir()) == []
