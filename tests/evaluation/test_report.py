# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import base64
import io
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import soundfile
from matplotlib import image
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from lars_plugin.errors import InputError
from lars_plugin.evaluation.clips import Clip
from lars_plugin.evaluation.datasets import find_clips
from lars_plugin.evaluation.ledger import Ledger
from lars_plugin.evaluation.listening import AudioKind, audio_uri, choose, make_excerpt
from lars_plugin.evaluation.plots import (
    figure_3,
    figure_bytes,
    save_figure,
    spectrogram_png,
    wave_path,
)
from lars_plugin.evaluation.report import report
from lars_plugin.evaluation.results import document, to_json
from lars_plugin.evaluation.run import Outcome, evaluate
from lars_plugin.evaluation.scoring import Row
from lars_plugin.evaluation.summary import Summary, summarise
from lars_plugin.evaluation.systems import BaselineSystem, ModelSystem, System
from lars_plugin.separation.separator import Separator
from lars_plugin.testing import IdentityModel

Wave = NDArray[np.float32]

NAME = '<six> & "more"'


@pytest.fixture(scope="module")
def systems() -> list[System]:
    return [
        ModelSystem(NAME, "", lambda: Separator(IdentityModel())),
        ModelSystem("five", "", lambda: Separator(IdentityModel(
            ("kick", "snare", "toms", "hihat", "cymbals")))),
        BaselineSystem("oracle"),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def clips(clip_tree: Path) -> list[Clip]:
    return find_clips(clip_tree)[1]


@pytest.fixture(scope="module")
def outcome(systems: list[System], clips: list[Clip]) -> Outcome:
    return evaluate(clips, systems, Ledger())


@pytest.fixture(scope="module")
def summary(outcome: Outcome, systems: list[System]) -> Summary:
    names = [system.name for system in systems]
    return summarise(outcome.rows, names, models=names[:2])


@pytest.fixture(scope="module")
def result(outcome: Outcome, summary: Summary) -> dict[str, Any]:
    return document(
        outcome,
        summary,
        command=["lars", "evaluate", "<x>"],
        entries={"folder": "a & b", "jobs": 1},
    )


@pytest.fixture(scope="module")
def page(
    outcome: Outcome,
    summary: Summary,
    result: Mapping[str, Any],
    systems: list[System],
    clips: list[Clip],
) -> str:
    excerpts = [make_excerpt(clips[2], "no toms", systems[:2], outcome.rows)]
    return report(outcome.rows, summary, excerpts, result)


class Reader(HTMLParser):
    """Collects elements, and checks that those opened are closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def sources(page: str, tag: str) -> list[bytes]:
    """What the elements of a page hold in their ``data:`` addresses."""
    found = [element["src"] or "" for element in Reader(page).all(tag)]
    return [base64.b64decode(source.partition("base64,")[2], validate=True) for source in found]


def test_the_page_is_well_formed(page: str) -> None:
    reader = Reader(page)
    assert reader.open == []
    assert len(reader.all("html")) == 1


def test_the_page_holds_everything_it_shows(page: str) -> None:
    for tag, attributes in Reader(page).found:
        for name in ("src", "href", "xlink:href", "srcset", "data", "poster", "action"):
            address = attributes.get(name)
            assert address is None or address.startswith(("data:", "#")), (tag, address)
    assert not re.search(r"@import|url\((?!#)", page)
    policies = [meta.get("content") or "" for meta in Reader(page).all("meta")]
    assert any(policy.startswith("default-src 'none'") for policy in policies)


def test_names_are_shown_and_not_run(page: str) -> None:
    assert "<six>" not in page
    assert "&lt;six&gt; &amp; &#34;more&#34;" in page
    assert "a &amp; b" in page
    assert "&lt;x&gt;" in page


def test_hostile_text_of_any_kind_is_text_in_the_page(
    outcome: Outcome, summary: Summary, result: Mapping[str, Any]
) -> None:
    bad = """</title></style></script>"'><img src="http://x" onerror=alert(1)>{{ 7 * 7 }}"""
    hostile = dict(result) | {
        "folder": bad,
        "date": bad,
        "command": [bad, bad],
        "versions": {bad: bad},
        "machine": dict.fromkeys(result["machine"], bad),
        "failures": [{"system": bad, "clip": bad, "reason": bad}],
    }
    rows = [replace(row, clip=bad, kit=bad) for row in outcome.rows]
    page = report(rows, summary, [], hostile)
    assert Reader(page).all("img") == []
    assert page.count("{{ 7 * 7 }}") >= 12
    assert bad in unescape(page)
    # The scripts, styles and titles are the template's (and the styles of the picture).
    plain = report(outcome.rows, summary, [], result)
    for tag in ("script", "style", "title"):
        assert len(Reader(page).all(tag)) == len(Reader(plain).all(tag))


def test_players_hold_mixture_references_and_estimates_at_their_length(page: str) -> None:
    players = sources(page, "audio")
    # Mixture; reference and estimate of six stems; of five stems four are compared here.
    assert len(players) == 1 + 6 + 6 + 4
    for player in players:
        wave, rate = soundfile.read(io.BytesIO(player))
        assert rate == 44100
        assert len(wave) == pytest.approx(0.5 * rate, abs=1)


def test_pictures_are_spectrograms_of_one_size(page: str) -> None:
    pictures = sources(page, "img")
    assert len(pictures) == 1 + 6 + 6 + 4
    for picture in pictures:
        assert image.imread(io.BytesIO(picture)).shape[:2] == (96, 360)


def test_the_page_tells_scores_leakage_and_what_made_it(page: str, outcome: Outcome) -> None:
    rows = {(row.system, row.stem): row for row in outcome.rows if row.clip == "clip2"}
    kick, toms = rows["five", "kick"], rows["five", "toms"]
    assert f"five: {kick.sdr_db:.1f} dB" in page
    assert f"five: silent; leakage {toms.leakage_db:.1f} dB" in page
    assert "numpy" in page
    assert page.count("<caption>") == 5


def chromium() -> str | None:
    return next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )


@pytest.mark.skipif(chromium() is None, reason="chromium is not installed")
def test_a_browser_shows_the_page_and_can_play_it(page: str, tmp_path: Path) -> None:
    probe = """<script>
      const broken = [];
      addEventListener('securitypolicyviolation', event => broken.push(event.blockedURI));
      const players = [...document.querySelectorAll('audio')];
      const ready = player => player.readyState ? null
        : new Promise(done => { player.onloadedmetadata = player.onerror = done; });
      Promise.all(players.map(ready)).then(() => {
        document.body.dataset.probe = JSON.stringify({
          durations: players.map(player => player.duration),
          images: [...document.images].filter(picture => picture.naturalWidth === 360).length,
          wide: document.documentElement.scrollWidth <= innerWidth,
          broken,
        });
      });
    </script></body>"""
    file = tmp_path / "page.html"
    file.write_text(page.replace("</body>", probe), encoding="utf-8")
    done = subprocess.run(
        [
            *(str(chromium()), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"),
            *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
            *(
                "--disable-sync",
                f"--user-data-dir={tmp_path / 'profile'}",
                "--window-size=1280,900",
            ),
            *("--virtual-time-budget=10000", "--dump-dom", file.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    found = re.search(r'data-probe="([^"]*)"', done.stdout)
    assert found is not None, done.stderr
    seen = json.loads(found[1].replace("&quot;", '"'))
    assert seen["durations"] == pytest.approx([0.5] * 17, abs=0.01)
    assert seen["images"] == 17
    assert seen["wide"]
    assert seen["broken"] == []


def test_bars_are_the_means(summary: Summary) -> None:
    (axes,) = figure_3(summary, "title").axes
    assert axes.get_title() == "title"
    bars = [patch.get_height() for patch in axes.patches if isinstance(patch, Rectangle)]
    wanted = [
        summary.cell(system, stem).mean
        for system in summary.systems
        for stem in summary.stems
        if summary.cell(system, stem).mean is not None
    ]
    assert bars == pytest.approx(wanted)
    assert [label.get_text() for label in axes.get_xticklabels()] == list(summary.stems)


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_a_picture_is_the_same_bytes_for_the_same_figures(kind: str, summary: Summary) -> None:
    once, again = (figure_bytes(figure_3(summary), kind) for _ in range(2))
    assert once == again


def test_the_name_says_what_a_picture_is(summary: Summary, tmp_path: Path) -> None:
    save_figure(figure_3(summary), tmp_path / "f.PNG")
    assert image.imread(tmp_path / "f.PNG", format="png").shape[1] > 600
    with pytest.raises(InputError, match=r"\.jpg"):
        save_figure(figure_3(summary), tmp_path / "f.jpg")


@pytest.mark.parametrize("samples", [1, 500, 20000, 500000])
def test_a_tone_is_a_line_in_its_spectrogram_at_any_length(samples: int) -> None:
    t = np.arange(samples) / 44100
    tone = np.sin(2 * np.pi * 1000 * t).astype(np.float32)[np.newaxis]
    picture = image.imread(io.BytesIO(spectrogram_png(tone, 44100, 100, 50)))
    assert picture.shape[:2] == (50, 100)
    if samples >= 20000:
        # 40 Hz to 21.6 kHz by octaves, the lowest at the bottom.
        wanted = 49 - int(50 * np.log(1000 / 40) / np.log(0.49 * 44100 / 40))
        assert abs(int(picture[:, 50, :3].sum(axis=1).argmax()) - wanted) <= 1


@pytest.mark.parametrize("samples", [0, 1, 7, 360, 5000])
def test_the_outline_of_a_wave_stays_in_its_box(samples: int) -> None:
    wave = np.random.default_rng(0).uniform(-2, 2, (2, samples)).astype(np.float32)
    path = wave_path(wave, 360, 56)
    heights = [float(y) for y in re.findall(r",([-\d.]+)", path)]
    assert all(0 <= y <= 56.5 for y in heights)
    ET.fromstring(f'<path d="{path}"/>')


@pytest.mark.parametrize("kind", ["ogg", "flac"])
def test_audio_in_the_page_is_the_wave(kind: AudioKind) -> None:
    t = np.arange(70000) / 44100
    wave = np.stack([0.5 * np.sin(2 * np.pi * f * t) for f in (220, 330)]).astype(np.float32)
    uri = audio_uri(wave, 44100, kind, 0.5)
    assert uri.startswith(f"data:audio/{kind};base64,")
    read, rate = soundfile.read(io.BytesIO(base64.b64decode(uri.partition(",")[2])))
    assert (rate, read.shape) == (44100, (70000, 2))
    np.testing.assert_allclose(read.T, 0.5 * wave, atol=2**-15 if kind == "flac" else 0.05)


def ranked(count: int) -> tuple[list[Row], Summary]:
    rows = [
        Row(f"c{index}", "", "m", "", "kick", 1, -3.0, float(value), -3.0, 1.0, 1.0)
        for index, value in enumerate(np.random.default_rng(0).permutation(count))
    ]
    return rows, summarise(rows, ["m"], models=["m"])


@pytest.mark.parametrize(("count", "wanted"), [(0, []), (1, [5]), (3, [0, 4, 9]), (99, range(10))])
def test_clips_to_hear_reach_from_the_worst_to_the_best(count: int, wanted: list[int]) -> None:
    rows, summary = ranked(10)
    values = {row.clip: row.sdr_db for row in rows}
    chosen = choose(rows, summary, count)
    assert [values[clip] for clip, _ in chosen] == list(wanted)
    assert all("mean SDR of m" in why for _, why in chosen)


def test_an_excerpt_is_the_middle_of_a_long_clip(
    tmp_path: Path, write: Callable[..., Path]
) -> None:
    rng = np.random.default_rng(0)
    waves = {
        name: rng.uniform(-0.1, 0.1, (1, 3000)).astype(np.float32) for name in ("kick", "snare")
    }
    for name, wave in waves.items():
        write(tmp_path / "a" / f"{name}.wav", wave, 100)
    excerpt = make_excerpt(find_clips(tmp_path)[1][0], "", [BaselineSystem("oracle")], [])
    assert excerpt.start == 9.0
    np.testing.assert_array_equal(excerpt.recording.references["kick"], waves["kick"][:, 900:2100])
    assert excerpt.pairs["oracle"]["kick"][1].shape == (1, 1200)


def test_the_document_is_strict_json_with_every_row(
    result: dict[str, Any], outcome: Outcome, summary: Summary
) -> None:
    again = json.loads(to_json(result), parse_constant=lambda word: pytest.fail(word))
    assert len(again["rows"]) == len(outcome.rows)
    kick = again["systems"]["five"]["stems"]["kick"]
    assert kick["mean"] == pytest.approx(summary.cell("five", "kick").mean)
    assert again["systems"]["five"]["stems"]["toms"]["silent_clips"] == 1
    assert again["systems"]["five"]["mean"]["mean"] is None
    assert again["systems"]["oracle"]["model"] is False
    assert again["silence_db"] == -60
    assert {"python", "numpy", "lars-plugin"} <= again["versions"].keys()
    assert again["machine"]["cores"] >= 1
    assert again["command"] == ["lars", "evaluate", "<x>"]
