# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of Windows and macOS, as far as Linux can keep them."""

from __future__ import annotations

import ast
import errno
import importlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import lars_plugin
from lars_plugin import files
from lars_plugin.audio import AtomicFiles, write_audio
from lars_plugin.backends.openvino.cache import GRAPH, cached
from lars_plugin.bridge.auth import read_private
from lars_plugin.cli.naming import OutputNames
from lars_plugin.errors import AudioFileError, InputError
from lars_plugin.files import put_in_place
from lars_plugin.studio.instance import lock_folder

ROOT = Path(__file__).parents[1]
PACKAGE = Path(lars_plugin.__file__).parent
# Only on POSIX; at the top of a module they would keep it from being imported elsewhere.
POSIX_ONLY = {"fcntl", "grp", "pty", "pwd", "resource", "termios", "tty", "syslog"}


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our own rules for Windows; the file system stays what it is."""
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(files, "_FIRST_WAIT", 0.001)


def name(source: str, template: str = "{track}/{stem}.{ext}", stem: str = "kick") -> Path:
    return OutputNames(Path("out"), template, "wav", "m").path(Path(source), stem)


DEVICES = ("CON", "nul", "Aux", "prn.old", "COM1", "lpt9.take.2", "COM²", "CONIN$", "con ")


@pytest.mark.usefixtures("windows")
@pytest.mark.parametrize("track", DEVICES)
def test_devices_of_windows_are_no_names_there(track: str) -> None:
    for template in ("{track}/{stem}.{ext}", "{track}.{ext}/{stem}.{ext}"):
        with pytest.raises(InputError, match=r"on Windows; rename"):
            name(f"{track}.flac", template)
    with pytest.raises(InputError, match="on Windows"):
        name("drums.flac", "con/{stem}.{ext}")  # in the template itself


@pytest.mark.usefixtures("windows")
@pytest.mark.parametrize(
    "track", ["take.", "take ", "a:b", "what?", "a*", 'a"b', "a|b", "<a>", "a\tb"]
)
def test_names_that_windows_would_change_or_refuse_are_refused_first(track: str) -> None:
    with pytest.raises(InputError, match="cannot be a name on Windows"):
        name(f"{track}.flac")


@pytest.mark.usefixtures("windows")
@pytest.mark.parametrize(
    "template",
    [r"C:\x\{stem}.{ext}", "C:{stem}.{ext}", r"..\{stem}.{ext}", r"a\..\..\{stem}.{ext}",
     r"\\server\share\{stem}.{ext}", r"\x\{stem}.{ext}", r"\\?\C:\{stem}.{ext}"],
)  # fmt: skip
def test_templates_with_drives_and_backslashes_cannot_leave_the_folder(template: str) -> None:
    with pytest.raises(InputError, match="leads out of the output folder"):
        name("drums.flac", template)


@pytest.mark.usefixtures("windows")
def test_ordinary_names_are_ordinary_on_windows() -> None:
    for track in ("drums", "console", "com10", "comet.1", "null", "a.b c", "schön", "鼓", ".x"):
        assert name(f"{track}.flac").name == "kick.wav"
    # A backslash parts folders there.
    assert name("drums.flac", r"{track}\{stem}.{ext}").is_relative_to("out")


@pytest.mark.parametrize("track", [*DEVICES, "take.", "a:b", "what?"])
def test_where_there_is_no_windows_its_names_are_ordinary(track: str) -> None:
    assert name(f"{track}.flac") == Path("out", track, "kick.wav")


def busy(monkeypatch: pytest.MonkeyPatch, function: str, times: int) -> list[int]:
    """Another program has the file open for so many tries, as on Windows."""
    real, tries = getattr(os, function), [0]

    def act(*paths: object) -> None:
        tries[0] += 1
        if tries[0] <= times:
            raise PermissionError(errno.EACCES, "The process cannot access the file")
        real(*paths)

    monkeypatch.setattr(os, function, act)
    return tries


@pytest.mark.usefixtures("windows")
def test_a_file_that_is_open_elsewhere_for_a_moment_is_replaced_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(b"old")
    tries = busy(monkeypatch, "replace", 4)
    with AtomicFiles() as group:
        group.create(tmp_path / "a").write(b"new")
    assert tries == [5]
    assert (tmp_path / "a").read_bytes() == b"new"
    (tmp_path / "part").write_bytes(b"newer")
    tries[0] = 0
    put_in_place(tmp_path / "part", tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"newer"


@pytest.mark.usefixtures("windows")
def test_a_file_that_stays_open_elsewhere_is_kept_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(b"old")
    busy(monkeypatch, "replace", 1000)
    with (
        pytest.raises(AudioFileError, match="another program has the file open"),
        AtomicFiles() as group,
    ):
        group.create(tmp_path / "a").write(b"new")
    assert (tmp_path / "a").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.usefixtures("windows")
def test_a_converted_network_that_a_scanner_looks_at_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(folder: Path) -> None:
        (folder / GRAPH).write_bytes(b"x")
        (folder / "model.bin").write_bytes(b"b")

    tries = busy(monkeypatch, "rename", 3)
    assert cached(tmp_path, "key", write) == tmp_path / "key"
    assert tries == [4]


@pytest.mark.skipif(sys.platform == "win32", reason="there it has its own locks")
@pytest.mark.usefixtures("windows")
def test_a_second_studio_finds_its_folder_locked_on_windows_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fcntl = importlib.import_module("fcntl")

    def locking(descriptor: int, _mode: int, _count: int) -> None:
        """Windows' words for a lock that another has, and Linux' lock."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PermissionError(errno.EACCES, "Permission denied") from None

    monkeypatch.setitem(sys.modules, "msvcrt", SimpleNamespace(locking=locking, LK_NBLCK=2))
    first = lock_folder(tmp_path / "lock")
    assert first is not None
    assert lock_folder(tmp_path / "lock") is None
    os.close(first)
    again = lock_folder(tmp_path / "lock")
    assert again is not None
    os.close(again)


def test_elsewhere_nobody_waits_for_a_folder_that_is_not_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = busy(monkeypatch, "replace", 1000)
    started = time.monotonic()
    with pytest.raises(AudioFileError, match="not writable"), AtomicFiles() as group:
        group.create(tmp_path / "a").write(b"new")
    assert tries == [1]
    assert time.monotonic() - started < 5


@pytest.mark.usefixtures("windows")
def test_a_path_that_is_too_long_for_windows_is_called_so(tmp_path: Path) -> None:
    error = FileNotFoundError(errno.ENOENT, "The system cannot find the path specified")
    long = tmp_path / ("f" * 120) / ("g" * 120)
    # The temporary name counts, too.
    for path in (long / "kick.wav", tmp_path / ("n" * 250)):
        assert "too long for Windows" in str(files.write_failure(path, error))
    assert "too long" not in str(files.write_failure(tmp_path / "a", error))


def test_private_files_are_read_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_bytes(b"a\r\nb\x1ac\r\n")
    path.chmod(0o600)
    assert read_private(path, 100) == b"a\r\nb\x1ac\r\n"


def test_nothing_of_posix_is_imported_at_the_top_of_a_module() -> None:
    found = []
    for path in PACKAGE.rglob("*.py"):
        for node in ast.parse(path.read_text("utf-8")).body:
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            found += [f"{path.name}: {one}" for one in names if one.split(".")[0] in POSIX_ONLY]
    assert found == []


def test_text_is_read_and_written_with_its_encoding_said() -> None:
    # ruff's rule looks at files; what programs say is text, too.
    command = ["check", "--preview", "--select", "PLW1514", "--no-cache", "lars_plugin", "scripts"]
    ruff = Path(sys.executable).with_name("ruff")
    if not ruff.exists():
        pytest.skip("ruff is not beside this Python")
    done = subprocess.run([ruff, *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    missing = [
        f"{path.name}:{node.lineno}"
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call)
        and {keyword.arg for keyword in node.keywords} >= {"text"}
        and "encoding" not in {keyword.arg for keyword in node.keywords}
        and getattr(node.func, "attr", "") in ("run", "Popen", "check_output")
    ]
    assert missing == []


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp437"])
def test_a_console_without_utf8_shows_question_marks_and_no_error(
    encoding: str, tmp_path: Path
) -> None:
    wave = np.zeros((2, 2000), np.float32)
    write_audio(tmp_path / "鼓 ø.wav", wave, 44100)
    console = {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    lars = [sys.executable, "-m", "lars_plugin"]
    environment = {**os.environ, **console, "PYTHONPATH": str(ROOT), "LARS_BACKEND": "torch"}
    for command, code in (
        (["separate", "鼓 ø.wav", "-o", "ø out"], 0),
        (["separate", "鼓 ø.wav", "鼓 fehlt.wav", "-o", "ø out"], 1),
        (["models", "list"], 0),
        (["models", "info", "鼓"], 1),
        (["separate", "--help"], 0),
    ):
        done = subprocess.run(
            [*lars, *command], cwd=tmp_path, env=environment, capture_output=True, check=False
        )
        assert done.returncode == code, (command, done.stdout, done.stderr)
        assert b"Traceback" not in done.stderr
        assert b"internal error" not in done.stderr
    assert (tmp_path / "ø out" / "鼓 ø" / "kick.wav").is_file()


# As on Windows: no Unix sockets, no forks.
WITHOUT = """
import os, socket, sys
for module, names in (
    (socket, ("AF_UNIX", "SO_PEERCRED")),
    (os, ("fork", "forkpty", "register_at_fork", "sched_setaffinity")),
):
    for name in names:
        if hasattr(module, name):
            delattr(module, name)

def pair():  # Windows' Python makes it of two TCP sockets, too
    with socket.create_server(("127.0.0.1", 0)) as listener:
        one = socket.create_connection(listener.getsockname())
        return one, listener.accept()[0]

socket.socketpair = pair
"""


def test_without_unix_sockets_the_engine_is_reached_by_tcp_with_its_token(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(WITHOUT, "utf-8")
    wave = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 6000)).astype(np.float32)
    write_audio(tmp_path / "drums.wav", wave, 44100, bits="32f")
    runtime = tmp_path / ("r" * 120)  # too long for a Unix socket, which nobody wants
    environment = {
        **os.environ,
        "LARS_RUNTIME_DIR": str(runtime),
        "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)]),
    }
    lars = [sys.executable, "-m", "lars_plugin"]
    serve = [*lars, "serve", "--models-from", "tests.bridge.engine_models"]
    with subprocess.Popen(
        serve, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True, encoding="utf-8"
    ) as engine:
        try:
            assert engine.stderr is not None
            lines = iter(engine.stderr.readline, "")
            assert any(line.startswith("ready") for line in lines)
            said = json.loads((runtime / "engine.json").read_text("utf-8"))
            assert said["socket"] == ""
            assert said["port"] > 0
            assert said["host"] == "127.0.0.1"
            command = [*lars, "stream", "drums.wav", "-o", "stems", "--model", "chunked"]
            done = subprocess.run(
                command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr
            (runtime / "token").write_text("0" * 64 + "\n", "utf-8")
            done = subprocess.run(
                [*command, "--overwrite"], cwd=tmp_path, env=environment, capture_output=True,
                text=True, check=False,
            )  # fmt: skip
            assert done.returncode == 1  # without the token nobody gets in
        finally:
            engine.kill()
    done = subprocess.run(
        [*serve, "--socket", str(tmp_path / "s")], cwd=ROOT, env=environment, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "no Unix sockets" in done.stderr
