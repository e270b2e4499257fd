# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of the published sizes, with random weights, are downloaded and loaded by name.

The server writes a file while it sends it, so that it is on disk only once, in the cache.
"""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lars_plugin.errors import ModelNotFoundError
from lars_plugin.model import Model, ModelConfig
from lars_plugin.zoo import download, get_config, load_model
from lars_plugin.zoo.checkpoints import build_network
from lars_plugin.zoo.yaml_configs import dump_config
from tests.field_files import their_class


@pytest.fixture(autouse=True)
def emptied(cache: Path) -> Iterator[None]:
    """pytest keeps the folders of three runs, which would be two gigabytes."""
    yield
    shutil.rmtree(cache, ignore_errors=True)


class Sink:
    """Counts what is written, and hashes it if it is to."""

    def __init__(self, hashed: bool) -> None:
        self.size, self.hash, self.hashed = 0, hashlib.sha256(), hashed

    def write(self, data: bytes) -> int:
        self.size += len(data)
        if self.hashed:
            self.hash.update(data)
        return len(data)

    def flush(self) -> None:
        return None


def save(content: dict[str, Any], target: Any) -> None:
    """Write a checkpoint into what has ``write`` and ``flush``."""
    torch.save(content, target)


def random_state(config: ModelConfig, dtype: torch.dtype) -> dict[str, Tensor]:
    with torch.device("meta"):  # names and shapes only
        wanted = build_network(config).state_dict()
    generator = torch.Generator().manual_seed(0)
    return {
        key: torch.empty(tensor.shape, dtype=dtype).uniform_(-0.05, 0.05, generator=generator)
        for key, tensor in wanted.items()
    }


def stretched(content: dict[str, Any], size: int) -> tuple[dict[str, Any], int, str]:
    """Content that ``torch.save`` writes as a file of nearly this size, the bytes that it lacks,
    and the SHA-256 with so many zeros behind it."""
    fill, sink = 1000, Sink(hashed=False)
    save({**content, "fill": torch.zeros(fill, dtype=torch.uint8)}, sink)
    # Parts of the file are aligned: it grows by 64 bytes.
    fill += size - sink.size - 64
    content, sink = {**content, "fill": torch.zeros(fill, dtype=torch.uint8)}, Sink(hashed=True)
    save(content, sink)
    lacking = size - sink.size
    assert 0 <= lacking < 200
    sink.write(bytes(lacking))
    return content, lacking, sink.hash.hexdigest()


@contextmanager
def server(content: dict[str, Any], lacking: int, size: int) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            return None

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(size))
            self.end_headers()
            save(content, self.wfile)
            self.wfile.write(bytes(lacking))

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as found:
        thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{found.server_address[1]}"
        found.shutdown()
        thread.join()


def loaded(
    name: str, content: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Model:
    """The model of the zoo's entry, whose address and SHA-256 alone are others."""
    entry = get_config(name)
    assert entry.weights is not None
    content, lacking, sha256 = stretched(content, entry.weights.size)
    with server(content, lacking, entry.weights.size) as url:
        address = f"{url}/{entry.weights.file}"
        weights = dataclasses.replace(entry.weights, sha256=sha256, urls=(address,))
        folder = tmp_path / "zoo" / name
        folder.mkdir(parents=True)
        text = dump_config(dataclasses.replace(entry, weights=weights))
        (folder / "config.yaml").write_text(text, encoding="utf-8")
        monkeypatch.setenv("LARS_MODELS_PATH", str(tmp_path / "zoo"))
        with pytest.raises(ModelNotFoundError):
            load_model(name, device="cpu")
        assert download(name).stat().st_size == entry.weights.size
    model = load_model(name, device="cpu", backend="torch")
    assert isinstance(model, Model)
    assert model.config.stems == entry.stems
    return model


def check(model: Model, state: dict[str, Tensor]) -> None:
    backend: Any = model.backend
    found = backend.module.state_dict()
    assert found.keys() == state.keys()
    assert all(torch.equal(found[key], state[key].float()) for key in state)
    wave = (0.1 * np.random.default_rng(0).standard_normal((1, 2, 4410))).astype(np.float32)
    stems = backend(wave)
    assert stems.shape == (1, len(model.config.stems), 2, 4410)
    assert np.isfinite(stems).all()


@pytest.mark.parametrize("name", ["bs-roformer-music", "bs-roformer-sw"])
def test_a_bs_roformer_of_the_published_size_loads_by_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = random_state(get_config(name), torch.float32)
    check(loaded(name, {"state_dict": state}, tmp_path, monkeypatch), state)


SONG = ["drums", "bass", "other", "vocals"]
LARGE = {"channels": 48, "dconv_mode": 3, "samplerate": 44100}
# What the published packages say: class, sources, arguments that are not the class's defaults.
PACKAGES: dict[str, tuple[str, list[str], dict[str, Any]]] = {
    "htdemucs": (
        *("htdemucs.HTDemucs", SONG),
        {**LARGE, "bottom_channels": 512, "segment": Fraction(39, 5)},
    ),
    "htdemucs_6s": (
        *("htdemucs.HTDemucs", [*SONG, "guitar", "piano"]),
        {**LARGE, "segment": Fraction(39, 5)},
    ),
    "hdemucs_mmi": ("hdemucs.HDemucs", SONG, {"samplerate": 44100, "segment": 44}),
    "drumsep": (
        *("hdemucs.HDemucs", ["bombo", "redoblante", "platillos", "toms"]),
        {"samplerate": 44100, "segment": 40},
    ),
}


@pytest.mark.parametrize("name", PACKAGES)
def test_a_demucs_of_the_published_size_loads_by_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = random_state(get_config(name), torch.float16)
    kind, sources, said = PACKAGES[name]
    with their_class(f"demucs.{kind}") as klass:
        package = {
            "klass": klass,
            "args": (sources,),
            "kwargs": said,
            "state": state,
            "training_args": {"epochs": 360},
        }
        model = loaded(name, package, tmp_path, monkeypatch)
    # A package brings its settings along.
    settings = model.config.network
    assert settings.get("segment_length") == (343980 if name.startswith("htdemucs") else None)
    backend: Any = model.backend
    found = backend.module.state_dict()
    assert all(torch.equal(found[key], state[key].float()) for key in state)
