# SPDX-License-Identifier: GPL-3.0-or-later
"""``lars models`` as people and scripts use it."""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from lars_plugin.errors import ModelIntegrityError, ModelNotFoundError
from lars_plugin.model import Chunking, ModelConfig, WeightsFile
from lars_plugin.zoo import get_config, load_model
from lars_plugin.zoo.command import add_models_parser, describe, overview, run_models
from lars_plugin.zoo.transcribers import read_transcriber, transcriber_folders
from lars_plugin.zoo.yaml_configs import dump_config

Golden = tuple[Path, Path, dict[str, Tensor]]
Save = Callable[[ModelConfig, nn.Module], Path]


def lars_models(*arguments: str | Path) -> int:
    parser = argparse.ArgumentParser()
    add_models_parser(parser.add_subparsers(required=True))
    return run_models(parser.parse_args(["models", *map(str, arguments)]))


def test_list_shows_every_model_with_its_stems(capsys: pytest.CaptureFixture[str]) -> None:
    assert lars_models("list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["drums", "weights", "here", "stems"]
    small = next(line for line in lines if line.startswith("mdx23c-small "))
    assert "no (438 MB)" in small
    assert small.endswith("kick, snare, toms, hihat, ride, crash")


def test_list_as_json_holds_what_a_script_needs(capsys: pytest.CaptureFixture[str]) -> None:
    assert lars_models("list", "--json") == 0
    entries = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)}
    large = entries["mdx23c-large"]
    assert large["stems"] == ["kick", "snare", "toms", "hihat", "cymbals"]
    assert large["chunking"]["convention"] == "lars"
    assert large["weights"]["size"] == 439_938_047
    assert large["path"] is None


def test_the_overview_knows_what_is_here(
    configs: dict[str, ModelConfig],
    networks: dict[str, nn.Module],
    save_folder: Save,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = save_folder(configs["mdx23c"], networks["mdx23c"])
    monkeypatch.setenv("LARS_MODELS_PATH", str(folder.parent))
    lines = overview([configs["mdx23c"], configs["bandunet"]]).splitlines()
    assert lines[1].split()[:2] == ["tiny-mdx23c", "yes"]
    assert lines[2].split()[:2] == ["tiny-bandunet", "no"]


def test_the_list_is_in_groups_and_what_is_here_comes_first(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LARS_CACHE", str(tmp_path))
    assert lars_models("list") == 0
    tables = [table.splitlines() for table in capsys.readouterr().out.strip().split("\n\n")]
    assert [table[0].split()[0] for table in tables] == ["drums", "songs", "transcription"]
    rows = [[line.split()[:2] for line in table[1:]] for table in tables]
    for group in rows:
        here = [answer == "yes" for _, answer in group]
        assert here == sorted(here, reverse=True)
        for kept in (True, False):
            names = [name for name, answer in group if (answer == "yes") is kept]
            assert names == sorted(names)
    named = [[name for name, _ in group] for group in rows]
    assert {"lars-mini", "lars-live", "larsnet", "drumsep"} <= {*named[0]}
    assert {"lars-fullmix", "htdemucs", "cascade", "cascade-best"} <= {*named[1]}
    assert "lars-transcriber" in named[2]


def test_composites_are_here_when_their_parts_are(
    configs: dict[str, ModelConfig],
    networks: dict[str, nn.Module],
    save_folder: Save,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = save_folder(configs["mdx23c"], networks["mdx23c"])
    monkeypatch.setenv("LARS_MODELS_PATH", str(folder.parent))
    (folder.parent / "pair").mkdir()
    # Of what is missing, the bytes are added up if they are all known.
    for parts, here in (
        (["tiny-mdx23c"], "yes"),
        (["tiny-mdx23c", "mdx23c-small"], "no (438 MB)"),
        (["htdemucs_ft", "mdx23c-small"], "no (774 MB)"),
        (["mdx23c-small", "larsnet"], "no"),
        (["mdx23c-small", "absent"], "no"),
    ):
        pair = dataclasses.replace(
            configs["mdx23c"],
            name="pair",
            architecture="ensemble",
            network={"models": parts},
            weights=None,
        )
        (folder.parent / "pair" / "config.yaml").write_text(dump_config(pair), encoding="utf-8")
        line = overview([get_config("pair")]).splitlines()[1]
        assert line.removeprefix("pair").strip().removesuffix(", ".join(pair.stems)).strip() == here
    config = dataclasses.replace(pair, network={"models": ["tiny-mdx23c", "mdx23c-small"]})
    (folder.parent / "pair" / "config.yaml").write_text(dump_config(config), encoding="utf-8")
    assert lars_models("info", "pair") == 0
    text = capsys.readouterr().out
    assert f"made of      tiny-mdx23c, weights here: {folder}" in text
    assert "made of      mdx23c-small, weights here: no" in text


def test_a_cascade_is_downloaded_part_by_part(
    configs: dict[str, ModelConfig],
    networks: dict[str, nn.Module],
    save_folder: Save,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folders = [save_folder(configs[name], networks[name]) for name in ("mdx23c", "bandunet")]
    monkeypatch.setenv("LARS_MODELS_PATH", str(folders[0].parent))
    assert lars_models("download", "cascade:tiny-mdx23c,tiny-bandunet", "tiny-mdx23c") == 0
    printed = capsys.readouterr().out.split()
    assert printed == [str(folder / "weights.safetensors") for folder in folders]


def test_info_tells_where_weights_come_from_and_belong(
    capsys: pytest.CaptureFixture[str], cache: Path
) -> None:
    assert lars_models("info", "mdx23c-small") == 0
    text = capsys.readouterr().out
    config = get_config("mdx23c-small")
    assert text.strip() == describe(config)
    assert config.weights is not None
    for part in (config.weights.sha256, *config.weights.urls, str(cache), "2.96 s", "licence"):
        assert part in text


def test_info_takes_folders_and_the_fields_configurations(
    configs: dict[str, ModelConfig],
    networks: dict[str, nn.Module],
    save_folder: Save,
    golden_files: Golden,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = save_folder(configs["bandunet"], networks["bandunet"])
    assert lars_models("info", folder) == 0
    assert str(folder / "weights.safetensors") in capsys.readouterr().out
    assert lars_models("info", folder, "--json") == 0
    assert json.loads(capsys.readouterr().out)["network"]["features"] == [8, 12, 16]
    assert lars_models("info", golden_files[0]) == 0
    assert "kick, snare, hihat" in capsys.readouterr().out


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        return None


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "www").mkdir()
    handler = partial(_Quiet, directory=str(tmp_path / "www"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as found:
        thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{found.server_address[1]}"
        found.shutdown()
        thread.join()


def test_download_prints_the_path_and_the_model_runs(
    server: str,
    golden_files: Golden,
    tmp_path: Path,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config, weights, tensors = golden_files
    source = load_model(config=config, weights=weights).config
    content = weights.read_bytes()
    (tmp_path / "www" / "golden.ckpt").write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    file = WeightsFile("g.ckpt", "checkpoint", sha256, len(content), (f"{server}/golden.ckpt",))
    published = ModelConfig(
        "golden",
        source.stems,
        Chunking(1920, 4),
        architecture="mdx23c",
        network=source.network,
        weights=file,
        license="somebody's",
    )
    folder = tmp_path / "zoo" / "golden"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(dump_config(published), encoding="utf-8")
    monkeypatch.setenv("LARS_MODELS_PATH", str(folder.parent))
    assert lars_models("download", "golden") == 0
    printed = capsys.readouterr()
    assert printed.out.strip() == str(cache / "golden" / "g.ckpt")
    assert "somebody's" in printed.err
    result = load_model("golden").backend(tensors["forward.input"].numpy())
    assert np.abs(result - tensors["forward.output"].numpy()).max() <= 1e-5


def test_download_of_an_unknown_model_fetches_nothing(cache: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="no model 'nothing'"):
        lars_models("download", "nothing")
    assert not cache.exists()


def test_transcribers_are_a_group_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert lars_models("list") == 0
    models, _, transcribers = capsys.readouterr().out.split("\n\n")
    assert "adtof" not in models
    lines = transcribers.splitlines()
    assert lines[0].split() == ["transcription", "weights", "here", "hears"]
    line = next(line for line in lines if line.startswith("adtof "))
    assert "no (4 MB)" in line
    assert line.endswith("kick, snare, toms, hihat, cymbals")
    assert lars_models("list", "--json") == 0
    groups = {entry["name"]: entry["group"] for entry in json.loads(capsys.readouterr().out)}
    assert groups["adtof"] == "transcription"
    assert groups["lars-mini"] == "separation"


def test_info_of_a_transcriber_tells_where_its_weights_come_from(
    capsys: pytest.CaptureFixture[str], cache: Path
) -> None:
    assert lars_models("info", "adtof") == 0
    text = capsys.readouterr().out
    weights = read_transcriber(transcriber_folders()["adtof"]).weights
    for part in (weights.sha256, *weights.urls, str(cache), "CC-BY-NC-SA-4.0", "hihat 0.22"):
        assert part in text
    assert lars_models("info", "adtof", "--json") == 0
    entry = json.loads(capsys.readouterr().out)
    assert entry["weights"]["size"] == 3_617_805
    assert entry["path"] is None


@pytest.mark.parametrize("right", [True, False])
def test_a_transcriber_is_downloaded_and_checked_as_a_model_is(
    right: bool,
    server: str,
    tmp_path: Path,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    content = b"weights"
    (tmp_path / "www" / "w.pth").write_bytes(content)
    folder = tmp_path / "zoo" / "hearer"
    folder.mkdir(parents=True)
    sha256 = hashlib.sha256(content if right else b"others").hexdigest()
    (folder / "transcriber.yaml").write_text(
        "architecture: adtof\nlicense: somebody's\n"
        "thresholds: {kick: 0.2, snare: 0.2, toms: 0.2, hihat: 0.2, cymbals: 0.2}\n"
        f"weights: {{file: w.pth, format: checkpoint, sha256: {sha256}, urls: ['{server}/w.pth']}}",
        encoding="utf-8",
    )
    monkeypatch.setenv("LARS_MODELS_PATH", str(folder.parent))
    if not right:
        with pytest.raises(ModelIntegrityError, match="a different file from the published one"):
            lars_models("download", "hearer")
        assert not (cache / "hearer" / "w.pth").exists()
        return
    assert lars_models("download", "hearer") == 0
    printed = capsys.readouterr()
    assert printed.out.strip() == str(cache / "hearer" / "w.pth")
    assert "somebody's" in printed.err
    assert (cache / "hearer" / "w.pth").read_bytes() == content
    assert lars_models("list") == 0
    assert ["hearer", "yes"] in [line.split()[:2] for line in capsys.readouterr().out.splitlines()]


def test_convert_makes_a_folder_that_loads(
    golden_files: Golden, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, weights, tensors = golden_files
    folder = tmp_path / "mine"
    arguments = ("--config", config, "--weights", weights, "-o", folder, "--dtype", "float16")
    assert lars_models("convert", *arguments, "--name", "renamed") == 0
    assert capsys.readouterr().out.strip() == str(folder)
    assert {t.dtype for t in load_file(folder / "weights.safetensors").values()} == {torch.float16}
    model = load_model(folder)
    assert model.config.name == "renamed"
    assert model.backend(tensors["forward.input"].numpy()).shape == (2, 3, 2, 1920)


def test_export_writes_files_that_load(
    configs: dict[str, ModelConfig],
    networks: dict[str, nn.Module],
    save_folder: Save,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = save_folder(configs["mdx23c"], networks["mdx23c"])
    monkeypatch.chdir(tmp_path)
    assert lars_models("export", folder) == 0
    printed = capsys.readouterr()
    assert printed.out.strip() == "tiny-mdx23c.pt"
    assert "agrees with the source" in printed.err
    wave = np.random.default_rng(0).standard_normal((1, 2, 960)).astype(np.float32)
    source = load_model(folder).backend(wave)
    np.testing.assert_allclose(load_model("tiny-mdx23c.yaml").backend(wave), source, atol=1e-5)
    assert lars_models("export", folder, "--format", "onnx", "-o", "out/m.onnx") == 0
    session = onnxruntime.InferenceSession("out/m.onnx", providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(None, {"wave": wave})[0], source, atol=1e-4)


@pytest.mark.parametrize(
    "arguments", [(), ("fly",), ("download",), ("convert", "x"), ("export", "--format", "gguf")]
)
def test_wrong_usage_is_told_by_the_parser(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        lars_models(*arguments)
    assert caught.value.code == 2
    assert "usage:" in capsys.readouterr().err
