# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs: from a file to stems, across cancelling, reloading and restarting."""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lars_plugin.errors import LarsError
from lars_plugin.studio.costs import Costs
from lars_plugin.studio.folders import Folders
from lars_plugin.studio.ledger import Job, Ledger
from lars_plugin.studio.settings import JobSettings
from lars_plugin.studio.worker import Worker
from tests.studio.servers import Client, Server, recording, wait_for


def test_a_job_tells_its_progress_and_its_end(client: Client, tmp_path: Path) -> None:
    events = client.events()
    kind, snapshot = next(events)
    assert kind == "snapshot"
    assert "tiny" in [model["name"] for model in snapshot["models"]]
    job = client.upload(recording(tmp_path / "drums.wav", 4.0), model="tiny")
    seen = []
    for kind, data in events:
        if kind == "job" and data["id"] == job["id"]:
            seen.append((data["status"], data["stage"], data["hits"]))
            if data["hits"] == "done":
                break
    events.close()
    assert ("running", "separating", "none") in seen
    assert seen[-1] == ("done", "", "done")
    assert data["stems"] == ["kick", "snare", "toms", "hihat", "ride", "crash"]
    assert data["frames"] == 4 * 44100


def test_jobs_are_cancelled_retried_and_removed(client: Client, server: Server,
    tmp_path: Path) -> None:  # fmt: skip
    first = client.upload(recording(tmp_path / "long.wav", 20.0), model="slow")
    second = client.upload(recording(tmp_path / "waits.wav", 0.5), model="tiny")
    wait_for(lambda: client.wait(first["id"], "running")["stage"] == "separating")
    assert (client.job(second["id"]) or {})["status"] == "waiting"
    client.post(f"/api/jobs/{first['id']}/cancel")
    client.wait(first["id"], "cancelled")
    assert not list((server.folder / first["folder"]).glob("*"))
    client.wait(second["id"], "done", hits="done")
    # With other settings.
    client.post(f"/api/jobs/{first['id']}/retry", {"settings": {"model": "tiny"}})
    done = client.wait(first["id"], "done")
    assert done["settings"]["model"] == "tiny"
    status, message = client.error("POST", f"/api/jobs/{'0' * 16}/retry", b"")
    assert (status, message) == (404, "no such job; it may have been removed")
    client.wait(first["id"], hits="done")
    assert client.request("DELETE", f"/api/jobs/{first['id']}")[0] == 200
    assert client.job(first["id"]) is None
    assert (server.folder / first["folder"] / "kick.wav").is_file()
    assert not Path(first["source"]).exists()
    assert client.request("DELETE", f"/api/jobs/{second['id']}?stems=1")[0] == 200
    assert not (server.folder / second["folder"]).exists()


def test_stems_that_cannot_be_deleted_keep_their_job_and_the_page_says_why(
    client: Client, server: Server, tmp_path: Path
) -> None:
    job = client.upload(recording(tmp_path / "held.wav", 0.2), model="tiny")
    client.wait(job["id"], hits="done")
    stem = server.folder / job["folder"] / "kick.wav"
    stem.unlink()
    stem.mkdir()  # which no `unlink` removes, as no file that is open on Windows
    status, message = client.error("DELETE", f"/api/jobs/{job['id']}?stems=1")
    assert status == 500
    assert message == f"{stem}: Is a directory"
    assert client.job(job["id"]) is not None
    assert Path(job["source"]).is_file()
    stem.rmdir()
    assert client.request("DELETE", f"/api/jobs/{job['id']}?stems=1")[0] == 200
    assert client.job(job["id"]) is None
    assert not stem.parent.exists()


def test_the_list_takes_a_thousand_jobs_and_no_more(tmp_path: Path) -> None:
    jobs = [Job(f"{n}.wav", f"/{n}.wav", str(n), JobSettings()) for n in range(1001)]
    text = json.dumps({"format": 1, "jobs": [job.to_json() for job in jobs[:999]]})
    (tmp_path / "jobs.json").write_text(text)
    ledger = Ledger(tmp_path / "jobs.json", lambda _: None)
    ledger.add(jobs[999])
    with pytest.raises(LarsError, match="1000 jobs already; remove some"):
        ledger.add(jobs[1000])
    assert len(list(ledger)) == 1000


def test_a_job_of_the_same_name_gets_a_folder_of_its_own(client: Client, tmp_path: Path) -> None:
    path = recording(tmp_path / "same.wav", 0.2)
    folders = {client.upload(path, model="tiny")["folder"] for _ in range(3)}
    assert folders == {"same", "same 2", "same 3"}


def test_a_recording_with_six_channels_says_what_to_choose(client: Client, tmp_path: Path) -> None:
    path = recording(tmp_path / "six.wav", 0.5, channels=6)
    job = client.upload(path, model="tiny")
    failed = client.wait(job["id"], "failed")
    assert "six.wav has 6 channels" in failed["error"]
    client.post(
        f"/api/jobs/{job['id']}/retry", {"settings": {"model": "tiny", "channels": "front"}}
    )
    assert client.wait(job["id"])["channels"] == 2


def test_two_pages_see_the_same(client: Client, tmp_path: Path) -> None:
    streams = [client.events(), client.events()]
    for stream in streams:
        next(stream)
    job = client.upload(recording(tmp_path / "two.wav", 0.5), model="tiny")
    for stream in streams:
        for kind, data in stream:
            if kind == "job" and data["id"] == job["id"] and data["status"] == "done":
                break
        stream.close()


def test_a_second_interrupt_does_not_disturb_the_first(models: Path, tmp_path: Path) -> None:
    with contextlib.closing(Server(tmp_path / "LARS", models)) as server:
        events = Client(server).events()
        next(events)
        assert server.interrupt(times=2) == 0
        assert server.said[1:] == ["stopped; waiting jobs go on with the next lars studio\n"]
        state = json.loads((tmp_path / "LARS" / ".studio" / "server.json").read_text())
        assert state["control"] == ""


def test_a_job_whose_hits_are_being_found_is_done_again(client: Client, tmp_path: Path) -> None:
    events = client.events()
    job = client.upload(recording(tmp_path / "again.wav", 20.0), model="tiny")
    for kind, data in events:
        if kind == "job" and data["id"] == job["id"] and data["hits"] == "running":
            break
    client.post(f"/api/jobs/{job['id']}/retry", {"settings": {"model": "tiny", "residual": True}})
    events.close()
    done = client.wait(job["id"], hits="done")
    assert done["stems"][-1] == "residual"


def test_an_error_that_keeps_coming_back_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[int] = []

    def broken(_worker: Worker) -> bool:
        tries.append(1)
        raise ZeroDivisionError("one\ntwo")

    monkeypatch.setattr(Worker, "_next", broken)
    folders = Folders(tmp_path / "LARS")
    ledger = Ledger(folders.jobs, lambda _: None)
    worker = Worker(ledger, folders, Costs(tmp_path / "costs.json", lambda: None))

    def tried(count: int) -> bool:
        return len(tries) >= count

    worker.start()
    try:
        for count in range(1, 4):
            wait_for(functools.partial(tried, count))
            worker.wake()
    finally:
        worker.stop()
    (record,) = [item for item in caplog.records if item.levelno >= logging.WARNING]
    assert "ZeroDivisionError" in record.getMessage()
    assert record.exc_info is None


@pytest.mark.parametrize("how", ["kill", "interrupt"])
def test_a_job_goes_on_when_the_server_comes_back(models: Path, tmp_path: Path, how: str) -> None:
    folder = tmp_path / "LARS"
    path = recording(tmp_path / "long.wav", 20.0)
    server = Server(folder, models)
    try:
        client = Client(server)
        job = client.upload(path, model="slow")
        later = client.upload(recording(tmp_path / "later.wav", 0.2), model="tiny")
        wait_for(lambda: client.wait(job["id"], "running")["stage"] == "separating")
        if how == "kill":
            server.kill()
        else:
            assert server.interrupt() == 0
            assert "stopped" in server.said[-1]
            state = json.loads((folder / ".studio" / "server.json").read_text())
            assert state["control"] == ""
    finally:
        server.close()
    server = Server(folder, models)
    try:
        # The same port, and the cookie still opens: an open page goes on by itself.
        assert server.address == client.address
        client.wait(job["id"], "running")
        client.post(f"/api/jobs/{job['id']}/cancel")
        client.wait(job["id"], "cancelled")
        client.wait(later["id"], "done")
        assert [item["id"] for item in client.json("/api/state")["jobs"]] == [
            job["id"],
            later["id"],
        ]
        assert not list(folder.rglob("*.part"))
    finally:
        server.close()


def test_a_second_call_hands_its_files_to_the_first(server: Server, client: Client,
    tmp_path: Path) -> None:  # fmt: skip
    (tmp_path / "takes").mkdir()
    for name in ("one.wav", "two.wav"):
        recording(tmp_path / "takes" / name, 0.2)
    command = [sys.executable, "-m", "lars_plugin", "studio", "takes", "--no-browser"]
    command += ["--model", "lars-mini", "--folder", str(server.folder)]
    done = subprocess.run(command, cwd=tmp_path, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "running already" in done.stdout
    names = [job["name"] for job in client.json("/api/state")["jobs"]]
    assert names[-2:] == ["one.wav", "two.wav"]
    other = Client(server, cookie=False)
    address = done.stdout.split("open ")[1].strip()
    assert other.request("GET", address.removeprefix(server.address))[0] == 303
    for job in client.json("/api/state")["jobs"][-2:]:
        client.post(f"/api/jobs/{job['id']}/cancel")


def test_a_second_call_says_what_the_first_does_not_take(server: Server, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "lars_plugin", "studio", str(tmp_path), "--no-browser"]
    command += ["--folder", str(server.folder)]
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    assert done.returncode == 1
    assert "holds no audio file" in done.stderr


def test_a_broken_ledger_is_left_out_with_a_warning(models: Path, tmp_path: Path) -> None:
    folder = tmp_path / "LARS"
    (folder / ".studio").mkdir(parents=True)
    (folder / ".studio" / "jobs.json").write_text('{"jobs": [{"id": "../x"}, 3]}')
    server = Server(folder, models)
    try:
        assert Client(server).json("/api/state")["jobs"] == []
        assert any("left out" in line for line in server.said)
    finally:
        server.close()


def test_jobs_of_a_model_that_is_gone_lose_neither_entry_nor_recording(models: Path,
    tmp_path: Path) -> None:  # fmt: skip
    folder = tmp_path / "LARS"
    server = Server(folder, models)
    try:
        client = Client(server)
        job = client.upload(recording(tmp_path / "kept.wav", 0.2), model="tiny")
        client.wait(job["id"], hits="done")
        before = (folder / ".studio" / "jobs.json").read_bytes()
    finally:
        server.close()
    server = Server(folder, tmp_path)  # without its model
    try:
        assert Client(server).json("/api/state")["jobs"] == []
    finally:
        server.close()
    assert Path(job["source"]).is_file()
    (copy,) = (folder / ".studio").glob("jobs-*.json")
    assert copy.read_bytes() == before
    server = Server(folder, models)
    try:
        assert [found["id"] for found in Client(server).json("/api/state")["jobs"]] == [job["id"]]
    finally:
        server.close()


@pytest.mark.skipif(sys.platform != "linux", reason="names need not be Unicode on Linux only")
def test_a_name_that_is_not_unicode_is_a_job_too(client: Client, server: Server,
    tmp_path: Path) -> None:  # fmt: skip
    path = tmp_path / os.fsdecode(b"caf\xe9.wav")
    recording(tmp_path / "a.wav", 0.1).rename(path)
    command = [sys.executable, "-m", "lars_plugin", "studio", str(path), "--no-browser"]
    command += ["--folder", str(server.folder)]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    job = client.json("/api/state")["jobs"][-1]
    assert job["source"] == str(path)
    client.post(f"/api/jobs/{job['id']}/cancel")
    assert client.request("DELETE", f"/api/jobs/{job['id']}")[0] == 200


def test_a_second_call_hands_over_hundreds_of_names(client: Client, server: Server,
    tmp_path: Path) -> None:  # fmt: skip
    path = str(recording(tmp_path / f"{'long name ' * 18}.wav", 0.01))
    names = [path] * (1 + (1 << 17) // len(path))  # the same file counts once
    command = [sys.executable, "-m", "lars_plugin", "studio", *names, "--no-browser"]
    command += ["--folder", str(server.folder)]
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    job = client.json("/api/state")["jobs"][-1]
    assert job["source"] == path
    client.request("DELETE", f"/api/jobs/{job['id']}?stems=1")


def test_a_list_that_cannot_be_saved_stops_no_job_and_takes_no_new_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[Job | str] = []
    ledger = Ledger(tmp_path / "below" / "jobs.json", told.append)
    job = Job("a.wav", "/a.wav", "a", JobSettings())
    ledger.add(job)
    (tmp_path / "below" / "jobs.json").unlink()
    (tmp_path / "below").rmdir()
    (tmp_path / "below").write_text("a file: nothing can be written below, as on a full disk")
    ledger.update(job, status="failed", error="the disk is full")
    assert told[-1] is job
    assert "is not saved" in caplog.text
    with pytest.raises(LarsError):
        ledger.add(Job("b.wav", "/b.wav", "b", JobSettings()))
    assert list(ledger) == [job]
    ledger.remove(job)
    assert told.pop() == job.id
