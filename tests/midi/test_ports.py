# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports: refused ones, and a real one.

A machine without a sound card has no ALSA sequencer, but JACK runs there with its dummy driver:
MIDI goes from port to port through a real server. Debian: jackd2; pip: python-rtmidi.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lars_plugin import Separator
from lars_plugin.audio import read_audio, write_audio
from lars_plugin.errors import InputError
from lars_plugin.midi.hits import DrumHit
from lars_plugin.midi.live import live_hits
from lars_plugin.midi.live_heard import LiveHearing
from lars_plugin.midi.notemaps import NOTE_MAPS
from lars_plugin.midi.ports import open_port
from lars_plugin.midi.transcriber import load_transcriber
from lars_plugin.synthesis import SAMPLE_RATE

needs_jack = pytest.mark.skipif(
    shutil.which("jackd") is None or importlib.util.find_spec("rtmidi") is None,
    reason="no jackd (Debian: jackd2) or no python-rtmidi",
)


def test_a_machine_without_midi_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIDO_BACKEND", "no_such_backend")
    with pytest.raises(InputError, match="python-rtmidi"):
        open_port("LARS")


@pytest.fixture
def jack(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A JACK server of its own, without a sound card."""
    name = f"lars-{uuid.uuid4().hex[:8]}"
    monkeypatch.setenv("JACK_DEFAULT_SERVER", name)
    monkeypatch.setenv("JACK_NO_START_SERVER", "1")
    monkeypatch.setenv("JACK_NO_AUDIO_RESERVATION", "1")
    monkeypatch.setenv("MIDO_BACKEND", "mido.backends.rtmidi/UNIX_JACK")
    command = ["jackd", "--no-realtime", "--name", name, "-d", "dummy", "-p", "256"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with contextlib.suppress(InputError):
                open_port("probe", virtual=True).close()
                break
            assert server.poll() is None
            time.sleep(0.05)
        else:
            pytest.fail("jackd did not start")
        yield
    finally:
        server.terminate()
        server.wait(10)


@needs_jack
@pytest.mark.usefixtures("jack")
def test_a_port_that_is_not_there_is_refused_with_those_that_are() -> None:
    import mido

    with (
        mido.Backend().open_input("Synth 1", virtual=True) as synth,
        pytest.raises(InputError, match="Synth 1"),
    ):
        open_port("LARS", virtual=False)
    assert synth.closed


_LISTENER = """
import json, sys, time
import mido
backend = mido.Backend()
for _ in range(1200):
    found = [name for name in backend.get_input_names() if "LARS" in name]
    if found:
        break
    time.sleep(0.05)
got = []
with backend.open_input(found[0]) as port:
    print("listening", flush=True)
    sys.stdin.readline()
    got = [message.bytes() for message in port.iter_pending()]
print(json.dumps(got))
"""


@needs_jack
@pytest.mark.usefixtures("jack")
@pytest.mark.parametrize("heard", ["stems", "mixture"])
def test_lars_midi_plays_its_hits_to_whoever_listens_to_its_port(
    heard: str, play: object, groove: Sequence[DrumHit], tmp_path: Path
) -> None:
    stems = play(groove, 1, 3.0)  # type: ignore[operator]
    # Silence first: time for the listener to find the port.
    mixture = np.pad(np.sum(list(stems.values()), axis=0) * 0.5, ((0, 0), (3 * SAMPLE_RATE, 0)))
    write_audio(tmp_path / "drums.wav", mixture.astype(np.float32), SAMPLE_RATE)
    command = [sys.executable, "-m", "lars_plugin", "midi", str(tmp_path / "drums.wav")]
    command += ["--model", "lars-live", "--backend", "torch", "--precision", "float32"]
    with subprocess.Popen(
        [sys.executable, "-c", _LISTENER],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ,
    ) as listener:  # fmt: skip
        assert listener.stdin is not None
        assert listener.stdout is not None
        result = subprocess.run(
            [*command, "--live-port", "LARS", "--from", heard],
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert result.returncode == 0, result.stderr
        assert listener.stdout.readline() == "listening\n"
        listener.stdin.write("\n")
        listener.stdin.flush()
        got = json.loads(listener.stdout.readline())
    audio, rate = read_audio(tmp_path / "drums.wav")
    wanted = [NOTE_MAPS["gm"].note(hit) for hit in _streamed(audio, rate, heard)]
    begun = [note for status, note, velocity in got if status == 0x99 and velocity]
    assert begun == wanted
    assert len(begun) >= 10
    ended = [note for status, note, velocity in got if status == 0x89 or not velocity]
    assert sorted(ended) == sorted(begun)
    # Hop by hop with lars-live: the stems cost a network's window, not a batch of them.
    separation = round(0.024 * rate) if heard == "stems" else 1
    stated = re.search(
        r"latency (\d+) samples = [\d.]+ ms: separation (\d+), hits (\d+)", result.stdout
    )
    assert stated is not None, result.stdout
    total, stems_after, hits_after = map(int, stated.groups())
    assert total == stems_after + hits_after
    assert stems_after < separation
    assert hits_after < 0.05 * rate
    assert f"{len(begun)} hits sent" in result.stdout


def _streamed(audio: NDArray[np.float32], rate: float, heard: str) -> list[DrumHit]:
    """The same hits without a port."""
    blocks = [audio[:, k : k + 512] for k in range(0, audio.shape[1], 512)]
    names = None
    if heard == "stems":
        stream = Separator("lars-live").stream(rate, audio.shape[0])
        names = stream.stems
        blocks = [*map(stream.push, blocks), stream.flush()]
    transcriber = LiveHearing(
        load_transcriber("lars-transcriber-live"), rate, audio.shape[0], names
    )
    return [hit for hits, _ in live_hits(transcriber, blocks) for hit in hits]
