# SPDX-License-Identifier: GPL-3.0-or-later
"""The menu of models, downloads, and what models cost here."""

from __future__ import annotations

import dataclasses
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from lars_plugin.files import sha256_of
from lars_plugin.model import WeightsFile
from lars_plugin.studio.costs import Costs
from lars_plugin.zoo.yaml_configs import dump_config
from tests.models import config, model_folder
from tests.studio.pages import Studio, choose, new_address
from tests.studio.servers import Client, Server, wait_for


def test_the_menu_says_what_models_are_for_and_whether_they_are_here(client: Client) -> None:
    models = {model["name"]: model for model in client.json("/api/state")["models"]}
    ours = [name for name in models if name.startswith("lars-")]
    assert list(models)[: len(ours)] == ours
    assert all(models[name]["here"] for name in ours)
    for model in models.values():
        assert model["stems"], model["name"]
        assert model["license"], model["name"]
        assert model["presets"][0]["name"] == ""
        assert all(preset["for"] for preset in model["presets"])
    away = models["htdemucs"]
    assert not away["here"]
    assert away["downloadable"]
    assert away["size"] > 1e6


def test_what_a_model_costs_is_measured_once(client: Client) -> None:
    def cost() -> float | None:
        models = client.json("/api/state")["models"]
        presets = next(model["presets"] for model in models if model["name"] == "tiny")
        found: float | None = next(p["cost"] for p in presets if p["name"] == "fast")
        return found

    assert cost() is None
    client.post("/api/models/tiny/measure?preset=fast")
    first = wait_for(cost, 180)
    assert first > 0
    client.post("/api/models/tiny/measure?preset=fast")
    assert cost() == first
    assert client.error("POST", "/api/models/nothing/measure", b"")[0] == 400
    assert client.error("POST", "/api/models/tiny/burn", b"")[0] == 404


def test_a_model_that_is_not_here_is_not_measured(client: Client) -> None:
    status, message = client.error("POST", "/api/models/htdemucs/measure", b"")
    assert (status, message) == (400, "the weights of htdemucs are not here; download them first")
    assert client.json("/api/state")["downloads"] == []


def test_costs_are_kept_and_short_jobs_do_not_count(tmp_path: Path) -> None:
    changes: list[int] = []
    costs = Costs(tmp_path / "costs.json", lambda: changes.append(1))
    costs.learn("a", "", seconds=5.0, elapsed=50.0)
    assert costs.ratio("a", "") is None
    costs.learn("a", "best", seconds=100.0, elapsed=50.0)
    assert changes == [1]
    assert Costs(tmp_path / "costs.json", lambda: None).ratio("a", "best") == 0.5
    (tmp_path / "costs.json").write_text("{broken")
    assert Costs(tmp_path / "costs.json", lambda: None).ratio("a", "best") is None


@pytest.fixture
def weights(tmp_path: Path) -> Iterator[tuple[str, threading.Event]]:
    """An address with weights, which come when the event is set."""
    folder = model_folder(tmp_path / "source", config(name="far", license="CC0"))
    body = (folder / "weights.safetensors").read_bytes()
    go_on = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2])
            go_on.wait(60)
            self.wfile.write(body[len(body) // 2 :])

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/weights", go_on
    go_on.set()
    server.shutdown()
    server.server_close()


def publish(name: str, models: Path, path: Path, url: str) -> WeightsFile:
    """Describe a model whose weights are elsewhere."""
    file = WeightsFile(
        f"{name}.safetensors", "safetensors", sha256=sha256_of(path), size=path.stat().st_size,
        urls=(url,),
    )  # fmt: skip
    described = dataclasses.replace(config(name=name, license="CC0"), weights=file)
    (models / name).mkdir()
    (models / name / "config.yaml").write_text(dump_config(described), encoding="utf-8")
    return file


def test_a_model_that_is_not_here_is_downloaded(
    server: Server, client: Client, models: Path, tmp_path: Path,
    weights: tuple[str, threading.Event],
) -> None:  # fmt: skip
    url, go_on = weights
    file = publish("far", models, tmp_path / "source" / "weights.safetensors", url)

    def far() -> dict[str, object]:
        found = client.json("/api/state")["models"]
        return next(model for model in found if model["name"] == "far")

    assert not far()["here"]
    assert far()["license"] == "CC0"
    assert far()["size"] == file.size
    client.post("/api/models/far/download")
    wait_for(lambda: any(d["total"] == file.size for d in client.json("/api/state")["downloads"]))
    go_on.set()

    def here() -> bool:
        downloads = client.json("/api/state")["downloads"]
        assert not any(item["error"] for item in downloads), downloads
        return bool(far()["here"])

    wait_for(here)
    assert client.error("POST", "/api/models/nothing/download", b"")[0] == 404


def test_the_page_downloads_a_model_shows_how_far_it_is_and_stops_when_told(
    chromium: Browser, server: Server, models: Path, tmp_path: Path,
    weights: tuple[str, threading.Event],
) -> None:  # fmt: skip
    url, go_on = weights
    publish("away", models, tmp_path / "source" / "weights.safetensors", url)
    studio = Studio(chromium, new_address(server))
    choose(studio.page, "away")
    settings = studio.page.get_by_role("region", name="Settings of the next recordings")
    expect(settings).to_contain_text("Licence of the weights: CC0")
    start = settings.get_by_role("button", name="Download 1 MB")
    bar = settings.get_by_role("progressbar", name="Download of away")
    start.click()
    expect(bar).to_be_visible()
    expect(settings).to_contain_text("0 MB of 1 MB")
    settings.get_by_role("button", name="Cancel").click()
    go_on.set()
    start.click()
    expect(settings.get_by_test_id("cost")).to_be_visible()  # it is here now
    expect(start).to_have_count(0)
    expect(studio.page.get_by_role("alert")).to_be_empty()
    studio.close()
