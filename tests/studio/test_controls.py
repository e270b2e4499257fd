# SPDX-License-Identifier: GPL-3.0-or-later
"""What is on the page can be seen, reached by the keyboard, and does what it says."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Literal

import pytest
import soundfile
from playwright.sync_api import Browser, Page, expect

from tests.studio.pages import ROOT, Studio, add, choose, new_address, row
from tests.studio.servers import RATE, Client, Server, recording

NAMES = ("Kick", "Snare", "Toms", "Hi-hat", "Ride", "Crash")


def pressed(page: Page, what: str) -> list[str]:
    buttons = {name: page.get_by_role("button", name=f"{what} {name}") for name in NAMES}
    return [name for name, item in buttons.items() if item.get_attribute("aria-pressed") == "true"]


def test_every_stem_has_a_key_for_solo_and_one_for_mute(page: Page) -> None:
    for number, name in enumerate(NAMES, 1):
        for key, what in ((f"{number}", "Solo"), (f"Shift+{number}", "Mute")):
            page.keyboard.press(key)
            expect(page.get_by_role("button", name=f"{what} {name}")).to_have_attribute(
                "aria-pressed", "true"
            )
            assert pressed(page, what) == [name]
            page.keyboard.press(key)
            expect(page.get_by_role("button", name=f"{what} {name}")).to_have_attribute(
                "aria-pressed", "false"
            )


def test_the_other_keys_do_what_the_list_of_keys_says(page: Page) -> None:
    def at() -> float:
        return float(page.evaluate("window.larsStudio.position")) / RATE

    page.evaluate("window.larsStudio.seek(44100 * 1.5)")
    page.keyboard.press("ArrowLeft")
    assert at() == 0.5
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert at() == 2.5
    page.keyboard.press("Home")
    assert at() == 0
    page.keyboard.press("End")
    assert at() == 3
    page.keyboard.press("a")
    expect(page.get_by_role("button", name="Original", exact=True)).to_have_class("on")
    page.keyboard.press("a")
    expect(page.get_by_role("button", name="Stems", exact=True)).to_have_class("on")
    page.keyboard.press("l")
    assert page.evaluate("window.larsStudio.loop") == {"start": 0, "end": 3 * RATE}
    page.keyboard.press("l")
    assert page.evaluate("window.larsStudio.loop") is None
    for frame, key in ((1, "i"), (2, "o")):
        page.evaluate(f"window.larsStudio.seek({frame} * 44100)")
        page.keyboard.press(key)
    assert page.evaluate("window.larsStudio.loop") == {"start": RATE, "end": 2 * RATE}
    ticks = page.locator(".ruler span")
    before = ticks.all_inner_texts()
    for _ in range(4):
        page.keyboard.press("ArrowUp")
    expect(ticks).not_to_have_text(before)
    closer = ticks.all_inner_texts()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(ticks).not_to_have_text(closer)
    page.keyboard.press("0")
    expect(ticks).to_have_text(before)


def test_a_drag_over_a_lane_seeks(page: Page) -> None:
    box = page.locator(".lane[data-lane=kick] .wave").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.1, box["y"] + 10)
    page.mouse.down()
    for part in (0.4, 0.8):
        page.mouse.move(box["x"] + box["width"] * part, box["y"] + 10)
        assert abs(page.evaluate("window.larsStudio.position") / RATE / 3 - part) < 0.01
    page.mouse.up()


@pytest.mark.parametrize("width", [1280, 1400, 3840, 1000, 390])
def test_faders_have_captions_that_can_be_seen(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    try:
        lane = page.locator(".lane[data-lane=snare] .head").bounding_box()
        assert lane is not None
        for kind, text in (("gain", "Gain"), ("pan", "Pan")):
            label = page.locator(f".lane[data-lane=snare] .{kind}")
            expect(label).to_contain_text(f"{text} of Snare")
            caption = label.get_by_text(text, exact=False).first.bounding_box()
            slider = label.get_by_role("slider").bounding_box()
            assert caption is not None
            assert slider is not None
            assert caption["y"] >= lane["y"]
            assert caption["height"] >= 10
            assert caption["y"] + caption["height"] <= slider["y"] + 1
            assert slider["y"] + slider["height"] <= lane["y"] + lane["height"] + 1
            assert slider["width"] >= 40
    finally:
        page.set_viewport_size({"width": 1400, "height": 900})


def test_a_screen_reader_is_told_what_everything_is(page: Page) -> None:
    for name in NAMES:
        lane = page.get_by_role("group", name=name, exact=True)
        for what in ("Mute", "Solo", "Spectrogram of"):
            expect(lane.get_by_role("button", name=f"{what} {name}")).to_have_count(1)
        expect(lane.get_by_role("slider", name=f"Gain of {name}")).to_have_attribute(
            "aria-valuetext", "0.0 dB"
        )
        expect(lane.get_by_role("slider", name=f"Pan of {name}")).to_have_attribute(
            "aria-valuetext", "middle"
        )
        expect(lane.get_by_role("img", name=f"Waveform of {name}")).to_have_count(1)
        expect(lane.get_by_role("img", name=f"Level of {name}")).to_have_count(1)
        expect(lane.get_by_role("link", name=f"{name} as WAV, 24 bits")).to_have_count(1)
    parts: tuple[tuple[Literal["region", "group", "slider", "combobox"], str], ...] = (
        ("region", "Add recordings"),
        ("region", "Recordings"),
        ("region", "Player of page.wav"),
        ("region", "Take away"),
        ("group", "Transport"),
        ("group", "MIDI"),
        ("slider", "Volume"),
        ("combobox", "Model"),
        ("combobox", "Preset"),
        ("combobox", "Format"),
    )
    for role, name in parts:
        expect(page.get_by_role(role, name=name, exact=True)).to_have_count(1)


@pytest.mark.parametrize(("value", "kind", "subtype"), [
    ("wav 16", "WAV", "PCM_16"), ("wav 24", "WAV", "PCM_24"), ("wav 32f", "WAV", "FLOAT"),
    ("flac 16", "FLAC", "PCM_16"), ("flac 24", "FLAC", "PCM_24"),
])  # fmt: skip
def test_a_stem_comes_in_the_chosen_format(page: Page, value: str, kind: str, subtype: str) -> None:
    page.get_by_role("combobox", name="Format").select_option(value)
    with page.expect_download() as taken:
        page.get_by_role("region", name="Take away").get_by_role("button", name="Kick").click()
    extension = value.split()[0]
    assert taken.value.suggested_filename == f"page kick.{extension}"
    data = Path(taken.value.path()).read_bytes()
    found = soundfile.info(io.BytesIO(data))
    assert (found.format.replace("WAVEX", "WAV"), found.subtype) == (kind, subtype)
    assert found.frames == 3 * RATE


def test_midi_and_picture_are_taken_as_the_menus_say(page: Page, client: Client) -> None:
    midi = page.get_by_role("group", name="MIDI")
    midi.get_by_role("combobox", name="Notes").select_option("superior")
    midi.get_by_role("spinbutton", name="Tempo").fill("97.5")
    midi.get_by_role("combobox", name="Quantise").select_option("1/16")
    midi.get_by_role("spinbutton", name="Strength").fill("50")
    base = f"/api/jobs/{page.evaluate('window.larsStudio.job.id')}"
    with page.expect_download() as taken:
        midi.get_by_role("button", name="MIDI").click()
    expected = client.get(f"{base}/hits.mid?map=superior&bpm=97.5&quantise=1/16&strength=0.5")
    assert Path(taken.value.path()).read_bytes() == expected
    midi.get_by_role("checkbox", name="Follow the hits").check()
    with page.expect_download() as taken:
        midi.get_by_role("button", name="MIDI").click()
    expected = client.get(f"{base}/hits.mid?map=superior&bpm=auto&quantise=1/16&strength=0.5")
    assert Path(taken.value.path()).read_bytes() == expected
    with page.expect_download() as taken:
        page.get_by_role("button", name="Picture").click()
    assert taken.value.suggested_filename == "page.png"
    assert Path(taken.value.path()).read_bytes().startswith(b"\x89PNG")


def test_a_recording_that_waits_offers_another_to_listen_to(
    chromium: Browser, server: Server, page: Page, tmp_path: Path
) -> None:
    studio = Studio(chromium, new_address(server))
    shown = studio.page
    row(shown, "page.wav").get_by_role("button", name="page.wav").first.click()
    choose(shown, "slow")
    for name in ("first.wav", "second.wav"):
        add(shown, recording(tmp_path / name, 60.0))
        row(shown, name).wait_for()
    # What is played stays, and what waits says what else there is.
    expect(shown.get_by_role("region", name="Player of page.wav")).to_be_visible()
    row(shown, "second.wav").get_by_role("button", name="second.wav").first.click()
    player = shown.get_by_role("region", name="Player", exact=True)
    expect(player).to_contain_text("second.wav: Waiting")
    player.get_by_role("button", name="Listen to").click()
    expect(shown.get_by_role("region", name="Player of")).to_be_visible()
    for name in ("second.wav", "first.wav"):
        row(shown, name).get_by_role("button", name="Cancel").click()
        expect(row(shown, name)).to_contain_text("Cancelled")
        row(shown, name).get_by_role("button", name="Remove").click()
        expect(row(page, name)).to_have_count(0)
    studio.close()


def test_the_page_follows_the_system_from_light_to_dark(page: Page) -> None:
    page.get_by_role("combobox", name="Colours").select_option("auto")
    grounds: dict[Literal["light", "dark"], str] = {
        "light": "rgb(238, 241, 244)",
        "dark": "rgb(20, 23, 28)",
    }
    for scheme, ground in grounds.items():
        page.emulate_media(color_scheme=scheme)
        expect(page.locator("body")).to_have_css("background-color", ground)


def test_drums_have_the_colours_of_the_plugin(page: Page) -> None:
    page.get_by_role("combobox", name="Colours").select_option("dark")
    source = (ROOT / "bridge/juce/source/ui/Look.cpp").read_text(encoding="utf-8")
    colours = dict(re.findall(r'\{"(\w+)", 0xff([0-9a-f]{6})\}', source))
    assert len(colours) == 7
    for lane in ("kick", "snare", "toms", "hihat", "ride", "crash"):
        style = f"getComputedStyle(document.querySelector('.lane[data-lane={lane}]'))"
        assert page.evaluate(f"{style}.getPropertyValue('--lane').trim()") == f"#{colours[lane]}"
