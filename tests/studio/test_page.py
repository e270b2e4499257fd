# SPDX-License-Identifier: GPL-3.0-or-later
"""The page in a real browser: drop, watch, listen, take away."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from playwright.sync_api import Browser, Locator, Page, expect

from lars_plugin.cli import main
from tests.studio.pages import (
    ROOT,
    Studio,
    add,
    choose,
    new_address,
    ready,
    render,
    row,
    stems,
    until,
)
from tests.studio.servers import RATE, Server, recording, wait_for

expect.set_options(timeout=60_000)


def test_what_plays_is_the_sum_of_the_stems_to_the_sample(page: Page, server: Server) -> None:
    # Across the edge of a block, which is 65536 frames.
    start, length = 65536 - 4000, 9000
    expected = sum(wave[:, start : start + length] for wave in stems(server, page).values())
    assert np.abs(render(page, start, length) - expected).max() < 1e-6


def test_a_loop_is_exact_to_the_sample(page: Page, server: Server) -> None:
    page.evaluate("window.larsStudio.setLoop({start: 65000, end: 66001})")
    total = np.sum(list(stems(server, page).values()), axis=0)
    once = total[:, 65000:66001]
    expected = np.concatenate([once, once, once], axis=1)[:, :2500]
    assert np.abs(render(page, 65000, 2500) - expected).max() < 1e-6


def test_the_clock_advances_and_pauses(page: Page) -> None:
    page.get_by_role("button", name="Play").click()
    until(page, "window.larsStudio.position > 0.3 * 44100")
    assert page.evaluate("window.larsStudio.time") > 0
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="Play").wait_for()
    at = page.evaluate("window.larsStudio.position")
    page.wait_for_timeout(300)
    assert page.evaluate("window.larsStudio.position") == at
    expect(page.get_by_test_id("time")).to_have_text(f"0:{at / RATE:04.1f}")


def test_it_stops_at_the_end_and_begins_again(page: Page) -> None:
    page.evaluate("window.larsStudio.seek(window.larsStudio.frames - 9000)")
    page.keyboard.press("Space")
    until(page, "!window.larsStudio.playing")
    assert page.evaluate("window.larsStudio.position === window.larsStudio.frames")
    page.keyboard.press("Space")
    until(page, "window.larsStudio.playing && window.larsStudio.position > 4000")


def test_keys_mute_and_solo(page: Page, server: Server) -> None:
    waves = stems(server, page)
    page.keyboard.press("2")
    expect(page.get_by_role("button", name="Solo Snare")).to_have_attribute("aria-pressed", "true")
    assert np.abs(render(page, 0, 3000) - waves["snare"][:, :3000]).max() < 1e-6
    page.keyboard.press("2")
    page.keyboard.press("Shift+1")
    expect(page.get_by_role("button", name="Mute Kick")).to_have_attribute("aria-pressed", "true")
    rest = sum(wave[:, :3000] for name, wave in waves.items() if name != "kick")
    assert np.abs(render(page, 0, 3000) - rest).max() < 1e-6


def test_faders_change_gain_and_pan_as_the_remix_does(page: Page, server: Server) -> None:
    page.get_by_label("Gain of Kick").fill("-6")
    page.get_by_label("Pan of Snare").fill("-0.5")
    page.evaluate("window.larsStudio.seek(0)")
    heard = render(page, 0, 20000)
    with page.expect_download() as taken:
        page.get_by_role("combobox", name="Format").select_option("wav 32f")
        page.get_by_role("button", name="This remix").click()
    remix = soundfile.read(taken.value.path())[0].T
    assert np.abs(remix[:, :20000] - heard).max() < 1e-5
    assert np.abs(remix[:, :20000] - render(page, 0, 20000)).max() < 1e-5


def test_the_original_is_as_loud_as_the_stems(page: Page, studio: Studio) -> None:
    page.get_by_label("Gain of Kick").fill("-12")
    page.evaluate("window.larsStudio.loadLevels()")
    frames = page.evaluate("window.larsStudio.frames")
    both = []
    for name in ("Stems", "Original"):
        page.get_by_role("button", name=name, exact=True).click()
        both.append(render(page, 0, frames))
    from scipy.signal import sosfilt

    from lars_plugin.studio.levels import k_weighting

    power = [float((sosfilt(k_weighting(RATE), wave) ** 2).mean()) for wave in both]
    assert 10 * abs(np.log10(power[0] / power[1])) < 0.05
    assert np.abs(both[0] - both[1]).max() > 1e-3


def test_a_click_seeks_and_a_drag_on_the_ruler_loops(page: Page) -> None:
    box = page.locator(".lane[data-lane=kick] .wave").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + 10)
    frames = page.evaluate("window.larsStudio.frames")
    assert abs(page.evaluate("window.larsStudio.position") / frames - 0.5) < 0.01
    ruler = page.locator(".ruler").bounding_box()
    assert ruler is not None
    y = ruler["y"] + 10
    page.mouse.move(ruler["x"] + ruler["width"] * 0.25, y)
    page.mouse.down()
    page.mouse.move(ruler["x"] + ruler["width"] * 0.75, y, steps=4)
    page.mouse.up()
    loop = page.evaluate("window.larsStudio.loop")
    assert abs(loop["start"] / frames - 0.25) < 0.01
    assert abs(loop["end"] / frames - 0.75) < 0.01
    expect(page.get_by_role("button", name="Loop")).to_have_attribute("aria-pressed", "true")


def test_zoom_and_spectrogram_show_more(page: Page) -> None:
    lane = page.locator(".lane[data-lane=snare]")
    before = lane.locator("canvas").last.screenshot()
    for _ in range(6):
        page.get_by_role("button", name="Zoom in").click()
    wait_for(lambda: lane.locator("canvas").last.screenshot() != before)
    page.get_by_role("button", name="Spectrogram of Snare").click()
    expect(lane.locator("canvas.spectrogram")).to_be_visible()
    until(page, "document.querySelector('canvas.spectrogram').height === 96")
    page.get_by_role("button", name="Spectrogram of Snare").click()
    page.get_by_role("button", name="All", exact=True).click()


def test_a_button_that_the_keyboard_chose_is_pressed_by_space(page: Page) -> None:
    page.get_by_role("button", name="To the beginning").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert page.evaluate("window.larsStudio.loop !== null && !window.larsStudio.playing")


def test_meters_move_while_it_plays(page: Page) -> None:
    page.get_by_role("button", name="Original", exact=True).click()
    page.get_by_role("button", name="Loop").click()
    # The button that was clicked last has the focus, and is not pressed by this.
    page.keyboard.press("Space")
    until(page, "window.larsStudio.playing")
    assert page.evaluate("window.larsStudio.loop !== null")
    width = "parseFloat(document.querySelector('{} .meter i').style.width)"
    until(page, f"{width.format('.transport')} > 20")
    until(page, f"{width.format('.lane[data-lane=mixture]')} > 20")


def test_a_hit_tells_what_it_is(page: Page, studio: Studio) -> None:
    hits = page.evaluate(
        "fetch(`/api/jobs/${window.larsStudio.job.id}/hits`).then((r) => r.json())"
    )
    hit = hits[0]
    wave = page.locator(f".lane[data-lane={hit['stem']}] .wave")
    box = wave.bounding_box()
    assert box is not None
    part = hit["time"] * RATE / page.evaluate("window.larsStudio.frames")
    page.mouse.move(box["x"] + part * box["width"], box["y"] + 20)
    name = "Hi-hat" if hit["stem"] == "hihat" else hit["stem"].capitalize()
    text = f"{name}, {hit['articulation']}, velocity {hit['velocity']} at 0:0"
    expect(wave.locator(".tip")).to_contain_text(text)


def test_what_is_taken_away_is_what_the_command_line_writes(
    page: Page, song: Path, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LARS_MODELS_PATH", str(models))
    monkeypatch.setenv("LARS_BACKEND", "torch")
    assert main(["separate", str(song), "-o", str(tmp_path), "-m", "tiny", "-q"]) == 0
    out = tmp_path / "page.mid"
    assert main(["midi", str(song), "-m", "tiny", "-o", str(out), "-q"]) == 0
    page.get_by_role("combobox", name="Format").select_option("wav 24")
    with page.expect_download() as taken:
        page.get_by_role("button", name="All stems (zip)").click()
    archive = zipfile.ZipFile(io.BytesIO(Path(taken.value.path()).read_bytes()))
    for path in (tmp_path / "page").glob("*.wav"):
        assert archive.read(f"page/{path.name}") == path.read_bytes()
    with page.expect_download() as taken:
        page.get_by_role("button", name="MIDI").click()
    assert taken.value.suggested_filename == "page.mid"
    assert Path(taken.value.path()).read_bytes() == out.read_bytes()


def test_a_stem_can_be_dragged_out(page: Page) -> None:
    address = page.evaluate("""() => {
        const transfer = new DataTransfer();
        const link = document.querySelector(".lane[data-lane=kick] .drag");
        link.dispatchEvent(new DragEvent("dragstart", { dataTransfer: transfer, bubbles: true }));
        return transfer.getData("DownloadURL");
    }""")
    assert address.startswith("audio/wav:page kick.wav:http://127.0.0.1:")
    with page.expect_download() as taken:
        page.locator(".lane[data-lane=kick] .drag").click()
    assert Path(taken.value.path()).read_bytes().startswith(b"RIFF")


def test_a_job_is_seen_by_all_tabs_and_after_a_reload(
    chromium: Browser, server: Server, tmp_path: Path
) -> None:
    studio = Studio(chromium, new_address(server))
    page, other = studio.page, studio.open(server.address)
    choose(page, "slow")
    add(page, recording(tmp_path / "slow one.wav", 60.0))
    for shown in (page, other):
        bar = row(shown, "slow one.wav").get_by_role("progressbar")
        expect(bar).to_have_attribute("aria-valuenow", re.compile("[1-9]"))
    page.reload()
    expect(row(page, "slow one.wav")).to_contain_text(re.compile(r"\d %, .* left"))
    row(other, "slow one.wav").get_by_role("button", name="Cancel").click()
    expect(row(page, "slow one.wav")).to_contain_text("Cancelled")
    row(page, "slow one.wav").get_by_role("button", name="Remove").click()
    expect(row(other, "slow one.wav")).to_have_count(0)
    studio.close()


def test_an_open_page_goes_on_when_the_server_comes_back(
    chromium: Browser, models: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "LARS"
    server = Server(folder, models)
    try:
        studio = Studio(chromium, server.url)
        page = studio.page
        choose(page, "slow")
        add(page, recording(tmp_path / "long.wav", 60.0))
        expect(row(page, "long.wav")).to_contain_text("Separating")
        server.kill()
        expect(page.get_by_text("The studio does not answer")).to_be_visible()
        server.close()
        server = Server(folder, models)
        expect(row(page, "long.wav")).to_contain_text("Separating")
        row(page, "long.wav").get_by_role("button", name="Cancel").click()
        expect(row(page, "long.wav")).to_contain_text("Cancelled")
        studio.close()
    finally:
        server.close()


def test_a_folder_gives_its_recordings(page: Page, tmp_path: Path) -> None:
    (tmp_path / "takes" / "more").mkdir(parents=True)
    recording(tmp_path / "takes" / "first take.wav", 0.2)
    recording(tmp_path / "takes" / "more" / "second take.flac", 0.2)
    (tmp_path / "takes" / "notes.txt").write_text("no recording")
    page.locator("input[webkitdirectory]").set_input_files(tmp_path / "takes")
    expect(row(page, "first take.wav")).to_be_visible()
    expect(row(page, "second take.flac")).to_be_visible()
    expect(row(page, "notes.txt")).to_have_count(0)
    expect(page.get_by_role("alert")).to_be_empty()


def test_a_model_that_is_not_here_offers_its_download(page: Page) -> None:
    choose(page, "htdemucs")
    expect(page.get_by_role("button", name=re.compile(r"Download \d+ MB"))).to_be_visible()
    expect(page.get_by_text("Licence of the weights:")).to_be_visible()
    choose(page, "tiny")


def test_errors_are_one_line_in_the_page(page: Page, tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("not audio\n" * 50)
    add(page, tmp_path / "text.wav")
    expect(page.get_by_role("alert")).to_contain_text("text.wav")
    page.get_by_role("button", name="Close this message").click()


def test_a_file_of_two_gigabytes_is_refused_in_the_page(page: Page, tmp_path: Path) -> None:
    with (tmp_path / "huge.wav").open("wb") as handle:
        handle.truncate(2 << 30)
    add(page, tmp_path / "huge.wav")
    expect(page.get_by_role("alert")).to_contain_text("huge.wav is larger than 1024 MiB")
    page.get_by_role("button", name="Close this message").click()


def violations(page: Page) -> list[str]:
    """What axe-core finds; its script comes from node_modules, past the page's policy."""
    source = ROOT / "studio" / "node_modules" / "axe-core" / "axe.min.js"
    if not source.is_file():
        pytest.skip("no axe-core: npm ci in the folder studio")
    if not page.evaluate("'axe' in window"):
        page.evaluate(source.read_text(encoding="utf-8") + "; undefined")
    found: list[Any] = page.evaluate("axe.run().then((result) => result.violations)")
    return [f"{item['id']}: {[node['html'][:120] for node in item['nodes']]}" for item in found]


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844), (3840, 2160)])
def test_everyone_can_use_it(page: Page, theme: str, width: int, height: int) -> None:
    page.get_by_role("combobox", name="Colours").select_option(theme)
    page.set_viewport_size({"width": width, "height": height})
    try:
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        for lane in ("kick", "crash"):
            box = page.locator(f".lane[data-lane={lane}] .wave").bounding_box()
            assert box is not None
            assert box["width"] > 200
    finally:
        page.set_viewport_size({"width": 1400, "height": 900})


def swipe(page: Page, over: Locator, right: int, down: int) -> None:
    """A finger that goes down in the middle of something and is lifted elsewhere."""
    over.scroll_into_view_if_needed()
    box = over.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    session = page.context.new_cdp_session(page)
    for step in range(11):
        place = {"x": x + right * step / 10, "y": y + down * step / 10}
        kind = "touchMove" if step else "touchStart"
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [place]})
    # It rests first: one lifted in motion is a fling, and Chromium takes a tap soon after it as
    # the end of that, not as a click.
    page.wait_for_timeout(200)
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    session.detach()


def test_a_phone_chooses_listens_and_takes_away(
    chromium: Browser, server: Server, tmp_path: Path
) -> None:
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    studio = Studio(chromium, new_address(server), **phone)
    page = studio.page
    choose(page, "tiny")
    with page.expect_file_chooser() as asked:
        page.get_by_role("button", name="Choose files").tap()
    asked.value.set_files(recording(tmp_path / "phone.wav", 10.0))
    ready(page, "phone.wav")
    row(page, "phone.wav").get_by_role("button", name="phone.wav").first.tap()
    page.get_by_role("button", name="Play").tap()
    until(page, "window.larsStudio.position > 9000")
    page.get_by_role("button", name="Pause").tap()
    at = page.evaluate("window.larsStudio.position")
    wave = page.locator(".lane[data-lane=kick] .wave")
    # A finger that scrolls the page over a lane moves nothing else; one that taps seeks.
    swipe(page, wave, 0, -300)
    wait_for(lambda: page.evaluate("window.scrollY") > 100)
    assert page.evaluate("window.larsStudio.position") == at
    wave.tap()
    assert abs(page.evaluate("window.larsStudio.position / window.larsStudio.frames") - 0.5) < 0.02
    swipe(page, wave, 80, 0)
    assert page.evaluate("window.larsStudio.position / window.larsStudio.frames") > 0.6
    solo = page.get_by_role("button", name="Solo Snare")
    solo.tap()
    expect(solo).to_have_attribute("aria-pressed", "true")
    with page.expect_download() as taken:
        page.get_by_role("button", name="All stems (zip)").tap()
    assert "phone/snare.wav" in zipfile.ZipFile(taken.value.path()).namelist()
    # Once more, as the settings say now.
    page.get_by_text("More", exact=True).tap()
    page.get_by_role("checkbox", name="Add a lane with what the stems leave over").check()
    row(page, "phone.wav").get_by_role("button", name="Again").tap()
    page.get_by_role("group", name="Residual", exact=True).wait_for()
    studio.close()
