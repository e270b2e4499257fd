# SPDX-License-Identifier: GPL-3.0-or-later
"""Inputs and outputs in object stores, which fail now and then."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from lars_plugin.batch import locations
from tests.batch.runs import Batch, noise, rows, states, stems_in

Separated = Callable[..., "dict[str, bytes]"]


class Bucket(MemoryFileSystem):  # type: ignore[misc]
    """A store in memory that fails as often as it is told to."""

    protocol = "bucket"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    failures: ClassVar[dict[str, int]] = {}
    calls: ClassVar[list[str]] = []

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(path.replace("bucket://", "memory://", 1)))

    def _maybe(self, what: str, path: str) -> None:
        self.calls.append(f"{what} {path}")
        if self.failures.get(what, 0) > 0:
            self.failures[what] -= 1
            raise ConnectionError("the store hangs up")

    def get_file(self, rpath: str, lpath: str, **more: Any) -> None:
        self._maybe("get", rpath)
        super().get_file(rpath, lpath, **more)

    def put_file(self, lpath: str, rpath: str, **more: Any) -> None:
        self._maybe("put", rpath)
        super().put_file(lpath, rpath, **more)

    def mv(self, path1: str, path2: str, **more: Any) -> None:
        self._maybe("mv", path2)
        super().mv(path1, path2, **more)


@pytest.fixture(autouse=True)
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    fsspec.register_implementation("bucket", Bucket, clobber=True)
    monkeypatch.setattr(locations, "_PATIENCE", (0.01, 0.01))
    monkeypatch.setattr("lars_plugin.batch.driver._PAUSE", 0.01)
    Bucket.store.clear()
    Bucket.failures.clear()
    Bucket.calls.clear()
    Bucket.pseudo_dirs[:] = [""]
    yield fsspec.filesystem("bucket")
    Bucket.store.clear()


def upload(store: Bucket, *names: str) -> None:
    for index, name in enumerate(names):
        noise(f"in/{name}", seed=index)
        store.pipe_file(f"/lib/{name}", Path(f"in/{name}").read_bytes())


def in_bucket(store: Bucket, folder: str) -> dict[str, bytes]:
    found = store.find(folder)
    return {
        name.split(folder + "/", 1)[1]: store.cat_file(name)
        for name in found
        if name.endswith((".wav", ".flac"))
    }


def test_from_a_store_into_a_store_with_the_same_bits_as_on_a_disk(
    inline: Batch, separated: Separated, bucket: Bucket, tmp_path: Path
) -> None:
    upload(bucket, "a/x.wav", "b/x.wav", "y.wav")
    bucket.pipe_file("/lib/notes.txt", b"no audio")
    run = inline("bucket://lib", out="bucket://out/stems")
    assert run.code == 0, run.err
    assert in_bucket(bucket, "/out/stems") == separated("in")
    # Nothing under a temporary name is left, here or there, and nothing lies beside the stems.
    assert not [name for name in bucket.find("/") if ".part" in name]
    assert {*os.listdir(tmp_path)} == {
        "in", "separated-to-compare", "stems.lars-batch.sqlite", "stems.lars-batch.sqlite.lock"
    }  # fmt: skip
    Bucket.calls.clear()
    assert "0 to do, 3 done already" in inline("bucket://lib", out="bucket://out/stems").err
    assert not [call for call in Bucket.calls if call.startswith("put")]
    # One that changes there is done again.
    noise("new.wav", 0.8, seed=8)
    bucket.pipe_file("/lib/y.wav", Path("new.wav").read_bytes())
    assert "1 to do" in inline("bucket://lib", out="bucket://out/stems").err


@pytest.mark.parametrize("what", ["get", "put", "mv"])
def test_a_store_that_fails_for_a_while_costs_no_file(
    what: str, inline: Batch, separated: Separated, bucket: Bucket, tmp_path: Path
) -> None:
    upload(bucket, "x.wav", "y.wav")
    Bucket.failures[what] = 5  # more than one job has patience for
    run = inline("bucket://lib", out="bucket://out")
    assert run.code == 0, run.err
    assert "the store hangs up; it is tried again" in run.err
    assert in_bucket(bucket, "/out") == separated("in")
    found = rows(tmp_path / "out.lars-batch.sqlite")
    assert sorted(row["attempts"] for row in found.values()) == [1, 2]
    assert not [name for name in bucket.find("/") if ".part" in name]


def test_a_store_that_stays_away_fails_files_until_it_is_back(
    inline: Batch, bucket: Bucket, tmp_path: Path
) -> None:
    upload(bucket, "x.wav")
    Bucket.failures["get"] = 10**6
    run = inline("bucket://lib", "--attempts", "2")
    assert run.code == 1
    assert "cannot read bucket://lib/x.wav: the store hangs up" in run.err
    assert rows(tmp_path / "o")["x.wav"]["kind"] == "store"
    Bucket.failures.clear()
    assert inline("bucket://lib").code == 0
    assert states(tmp_path / "o") == {"x.wav": "done"}


def test_somebody_elses_stems_in_a_store_stay(inline: Batch, bucket: Bucket) -> None:
    upload(bucket, "x.wav")
    bucket.pipe_file("/out/x/kick.wav", b"somebody's")
    run = inline("bucket://lib", out="bucket://out")
    assert run.code == 1
    assert "bucket://out/x/kick.wav is there already, and not from this batch" in run.err
    assert bucket.cat_file("/out/x/kick.wav") == b"somebody's"


def test_remote_inputs_and_patterns_go_into_local_folders(
    inline: Batch, separated: Separated, bucket: Bucket, tmp_path: Path
) -> None:
    upload(bucket, "a/x.wav", "b/x.wav", "b/y.flac")
    run = inline("bucket://lib/*/*.wav")
    assert run.code == 0, run.err
    assert {name.rsplit("/", 1)[0] for name in stems_in(tmp_path / "o")} == {"a/x", "b/x"}
    run = inline("bucket://lib/none.wav")
    assert run.code == 1
    assert "cannot read bucket://lib/none.wav: no such file" in run.err


@pytest.mark.parametrize(
    ("url", "said"),
    [("nosuch://a/b.wav", "nosuch"), ("s3://bucket/a.wav", "s3:// needs another package")],
)
def test_a_protocol_that_is_unknown_or_needs_a_package_is_told_in_one_line(
    url: str, said: str, inline: Batch
) -> None:
    if url.startswith("s3") and __import__("importlib.util").util.find_spec("s3fs"):
        pytest.skip("s3fs is installed")
    run = inline(url)
    assert run.code in (1, 2)
    assert said in run.err
    assert "Traceback" not in run.err
