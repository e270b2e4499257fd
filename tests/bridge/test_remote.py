# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients on another machine: they get streams, and no file but where the user has said so."""

from __future__ import annotations

import socket
from pathlib import Path

import numpy as np
import pytest

from lars_plugin.audio import write_audio
from lars_plugin.bridge.auth import is_loopback, new_token
from lars_plugin.bridge.local_engine import EngineThread
from lars_plugin.errors import InputError
from lars_plugin.model import Chunking
from lars_plugin.testing import IdentityModel

MODELS = {
    "chunked": IdentityModel,
    "live": lambda: IdentityModel(chunking=Chunking(256, 2, "live")),
}


def outer_address() -> str:
    """An address of this machine's that is not loopback: who comes from it counts as remote."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(("192.0.2.1", 9))  # sends nothing; only picks the way out
        except OSError:
            pytest.skip("this machine has no network interface but loopback")
        address = str(sock.getsockname()[0])
    if is_loopback(address):
        pytest.skip("this machine has no network interface but loopback")
    return address


@pytest.fixture
def source(tmp_path: Path) -> Path:
    wave = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 6000)).astype(np.float32)
    write_audio(tmp_path / "drums.wav", wave, 44100, bits="32f")
    return tmp_path / "drums.wav"


def test_a_remote_client_gets_streams_but_no_file_jobs_and_no_boards(source: Path) -> None:
    board = source.parent / "board.json"
    board.write_text('{"stems": {"kick": [{"plugin": "Gain", "gain_db": 6}]}}')
    folder = source.parent / "stems"
    host = outer_address()
    with (
        EngineThread(MODELS, host=host, token=new_token(), allow_remote=True) as engine,
        engine.client() as client,
    ):
        for path, target in ((source, folder), (Path("/etc/passwd"), folder)):
            with pytest.raises(InputError, match="may not touch"):
                client.separate_file(path, target, "chunked")
        with pytest.raises(InputError, match="may not touch"):
            client.open("live", board=board)
        # Neither by name nor by answer does it learn what is there.
        with pytest.raises(InputError, match="may not touch"):
            client.separate_file(source.parent / "no such file.wav", folder, "chunked")
        assert client.status()["jobs"] == []
        client.open("live", max_block=500)
        audio = np.full((2, 4000), 0.25, np.float32)
        parts = [client.process(audio[:, at : at + 500], patience=30) for at in range(0, 4000, 500)]
        made = np.concatenate([part["kick"] for part in parts], axis=1)
        np.testing.assert_allclose(made[:, client.latency_samples :], 0.25 / 6, atol=1e-6)
    assert not folder.exists()


def test_a_remote_client_may_use_the_folders_that_were_named_and_no_other(source: Path) -> None:
    inside = source.parent / "inside"
    inside.mkdir()
    (inside / "drums.wav").write_bytes(source.read_bytes())
    (inside / "link.wav").symlink_to(source)
    options = {"host": outer_address(), "token": new_token(), "allow_remote": True}
    with EngineThread(MODELS, roots=[inside], **options) as engine, engine.client() as client:
        files = client.separate_file(inside / "drums.wav", inside / "stems", "chunked")
        assert all(path.is_file() for path in files)
        for path in (source, inside / "link.wav", inside / ".." / "drums.wav"):
            with pytest.raises(InputError, match="may not touch"):
                client.separate_file(path, inside / "stems", "chunked", overwrite=True)


def test_a_client_by_loopback_tcp_is_this_machines_and_may_touch_files(source: Path) -> None:
    options = {"host": "127.0.0.1", "token": new_token()}
    with EngineThread(MODELS, **options) as engine, engine.client() as client:
        assert client.separate_file(source, source.parent / "stems", "chunked", stems=["kick"])
