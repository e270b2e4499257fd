// SPDX-License-Identifier: GPL-3.0-or-later
#include "Catch.h"
#include "ui/RenderSection.h"

using namespace lars;

TEST_CASE("The window says in one line what a render is at") {
    RenderStatus status;
    status.rate = 48000.0;
    CHECK(renderText(status).startsWith("Nothing is captured"));
    status.capturing = true;
    CHECK(renderText(status) == "Waiting for the transport");
    status.captured = {{-48000, 0}, {96000, 48000 * 75}};
    CHECK(renderText(status) == "Capturing, -0:01.0 to 1:15.0, without 2.0 s of it");
    status.lost = 24000;
    CHECK(renderText(status).endsWith("; 0.5 s were lost: capture once more"));
    status.capturing = false;
    CHECK(renderText(status) ==
          "Captured, not separated: -0:01.0 to 1:15.0, without 2.0 s of it");
    status.work = RenderStatus::Work::separating;
    CHECK(renderText(status) == "Separating");
    status.progress = 0.43;
    status.remaining = 12.3;
    CHECK(renderText(status) == "Separating, 43 %, about 10 s left");
    status = {};
    status.record = RenderRecord{};
    status.record->frames = 44100 * 60;
    status.record->spans = {{0, 44100 * 60}};
    status.record->start = 48000; // at another rate than the stems'
    status.record->startRate = 48000.0;
    status.record->model = "lars-mini";
    status.record->preset = "balanced";
    CHECK(renderText(status) == "Rendered: 0:01.0 to 1:01.0, by lars-mini, balanced");
    status.record->source = "drums.mp3";
    status.record->preset = "";
    CHECK(renderText(status) == "Rendered: 0:01.0 to 1:01.0, of drums.mp3, by lars-mini");
}
