// SPDX-License-Identifier: GPL-3.0-or-later
#include <juce_audio_formats/juce_audio_formats.h>

#include "Catch.h"
#include "parameters/Parameters.h"
#include "player/Loudness.h"
#include "player/Remaining.h"
#include "processor/Presets.h"

using namespace lars;

namespace {

// Stereo, 48 kHz, float; both sides by one function of the sample's number.
template <typename Function>
void writeWav(const juce::File& file, int frames, Function value) {
    juce::AudioBuffer<float> audio(2, frames);
    for (int i = 0; i < frames; ++i)
        for (int side = 0; side < 2; ++side)
            audio.setSample(side, i, value(i, side));
    juce::WavAudioFormat wav;
    auto stream = file.createOutputStream();
    REQUIRE(stream != nullptr);
    const std::unique_ptr<juce::AudioFormatWriter> writer(
        wav.createWriterFor(stream.get(), 48000.0, 2, 32, {}, 0));
    REQUIRE(writer != nullptr);
    stream.release();
    REQUIRE(writer->writeFromAudioSampleBuffer(audio, 0, frames));
}

std::shared_ptr<const LoudnessTable> measured(LoudnessMeter& meter) {
    for (int turn = 0; turn < 6000 && meter.table() == nullptr; ++turn)
        juce::Thread::sleep(5);
    return meter.table();
}

} // namespace

TEST_CASE("A pan in the centre changes no bit, and turns only the other side down") {
    for (const float centre : {0.0f, -0.0f, 1e-6f, std::nanf("")})
        CHECK(balance(centre) == std::array<float, 2>{1.0f, 1.0f});
    CHECK(balance(-100.0f) == std::array<float, 2>{1.0f, 0.0f});
    CHECK(balance(100.0f) == std::array<float, 2>{0.0f, 1.0f});
    CHECK(balance(50.0f) == std::array<float, 2>{0.5f, 1.0f});
    CHECK(balance(-1e9f) == std::array<float, 2>{1.0f, 0.0f});
    for (int pan = -100; pan <= 100; ++pan)
        CHECK(panOf(panText(static_cast<float>(pan))) == static_cast<float>(pan));
    CHECK(panOf("nonsense") == 0.0f);
    CHECK(panOf("-30") == -30.0f);
    CHECK(panOf("l 1000") == -100.0f);
}

TEST_CASE("The time that is left is told as soon as it is known, and is right for even work") {
    Remaining remaining;
    remaining.start(100.0);
    CHECK_FALSE(remaining.seconds(104.0)); // the model is loading
    CHECK(remaining.text(104.0) == "for 4 s so far");
    for (int i = 1; i <= 9; ++i)
        remaining.at(0.1 * i, 104.0 + 2.0 * i); // 2 s each after 4 s of loading
    REQUIRE(remaining.seconds(122.0));
    CHECK(*remaining.seconds(122.0) == Approx(2.0));
    CHECK(*remaining.seconds(123.0) == Approx(1.0)); // counts down between two signs
    CHECK(*remaining.seconds(140.0) == Approx(0.0));
    CHECK(remaining.text(140.0) == "soon done");
    remaining.at(1.0, 124.0);
    CHECK(remaining.text(125.0) == "writing the stems");
    remaining.start(200.0); // another file knows nothing of the last
    CHECK_FALSE(remaining.seconds(201.0));
}

TEST_CASE("A short file of two parts is told a time after the first") {
    Remaining remaining;
    remaining.start(0.0);
    remaining.at(0.5, 3.0);
    REQUIRE(remaining.seconds(3.0));
    CHECK(*remaining.seconds(3.0) == Approx(3.0)); // at most: loading was part of it
    CHECK(remaining.text(3.0) == "about 3 s left");
}

TEST_CASE("Loudness is BS.1770's, and a mix's follows from its stems'") {
    const juce::TemporaryFile one("one.wav"), other("other.wav"), both("both.wav");
    constexpr int frames = 96000;
    const auto sine = [](int i, int side) { // 997 Hz on the left at full scale
        return side == 0 ? std::sin(0.13050622f * static_cast<float>(i)) : 0.0f;
    };
    juce::Random random(5);
    std::vector<float> noise(2 * frames);
    for (auto& value : noise)
        value = 0.2f * random.nextFloat() - 0.1f;
    const auto rest = [&](int i, int side) {
        return noise[static_cast<std::size_t>(2 * i + side)]; };
    writeWav(one.getFile(), frames, sine);
    writeWav(other.getFile(), frames, rest);
    writeWav(both.getFile(), frames,
             [&](int i, int side) { return sine(i, side) + rest(i, side); });

    LoudnessMeter meter;
    meter.start(one.getFile(), {one.getFile()});
    const auto reference = measured(meter);
    REQUIRE(reference);
    // The standard's own reference: -3.01 LKFS, its offset of -0.691 taken off.
    CHECK(10.0 * std::log10(reference->original) == Approx(-3.01 + 0.691).margin(0.03));

    meter.start(both.getFile(), {one.getFile(), other.getFile()});
    const auto table = measured(meter);
    REQUIRE(table);
    CHECK(table->mix({{1.0f, 1.0f}, {1.0f, 1.0f}}) == Approx(table->original).epsilon(1e-6));
    const auto same = table->trims({{1.0f, 1.0f}, {1.0f, 1.0f}});
    CHECK(same[0] == Approx(1.0f).margin(1e-5));
    CHECK(same[1] == Approx(1.0f).margin(1e-5));
    const auto softer = table->trims({{0.5f, 0.5f}, {0.5f, 0.5f}});
    CHECK(softer[0] == Approx(0.5f).margin(1e-5)); // the original comes down, the stems stay
    CHECK(softer[1] == 1.0f);
    const auto louder = table->trims({{2.0f, 2.0f}, {2.0f, 2.0f}});
    CHECK(louder[0] == 1.0f);
    CHECK(louder[1] == Approx(0.5f).margin(1e-5));
    CHECK(table->trims({{0.0f, 0.0f}, {0.0f, 0.0f}}) == std::array<float, 2>{1.0f, 1.0f});
    CHECK(table->trims({{0.0f, 0.001f}, {0.0f, 0.001f}})[0] == LoudnessTable::least);
    // With the file in it, for what no stem has: the file less a stem is the rest.
    CHECK(table->mix({{0.0f, 0.0f}, {0.0f, 0.0f}, {1.0f, 1.0f}}) == Approx(table->original));
    CHECK(table->trims({{0.0f, 0.0f}, {0.0f, 0.0f}, {1.0f, 1.0f}}) ==
          std::array<float, 2>{1.0f, 1.0f});
    CHECK(table->mix({{-1.0f, -1.0f}, {0.0f, 0.0f}, {1.0f, 1.0f}}) ==
          Approx(table->mix({{0.0f, 0.0f}, {1.0f, 1.0f}})).epsilon(1e-4));
    // The sine is on the left alone: a mix of the right sides has none of it.
    CHECK(table->mix({{0.0f, 1.0f}, {0.0f, 0.0f}}) == Approx(0.0).margin(1e-9));
}

TEST_CASE("Loudness of files that are not there is none, and the next is measured all the same") {
    LoudnessMeter meter;
    meter.start(juce::File("/nowhere/a.wav"), {juce::File("/nowhere/b.wav")});
    juce::Thread::sleep(50);
    CHECK(meter.table() == nullptr);
    const juce::TemporaryFile file("tone.wav");
    writeWav(file.getFile(), 4800, [](int i, int) { return i % 2 == 0 ? 0.5f : -0.5f; });
    meter.start(file.getFile(), {file.getFile()});
    CHECK(measured(meter) != nullptr);
}

TEST_CASE("A preset comes back as it was written") {
    const Preset preset{"mine", {{ids::gain("kick"), -6.5f}, {ids::pan("ride"), 30.0f}}};
    const auto again = presets::read(presets::write(preset), "mine");
    REQUIRE(again);
    CHECK(again->values == preset.values);
    for (const auto& one : presets::factory())
        CHECK(presets::read(presets::write(one), one.name)->values == one.values);
}

TEST_CASE("Of a preset from anywhere only numbers of the mix count") {
    CHECK_FALSE(presets::read("", "x"));
    CHECK_FALSE(presets::read("<LARS version=\"1\"/>", "x"));
    CHECK_FALSE(presets::read("<LARS-PRESET version=\"1\"/>", "x"));
    CHECK_FALSE(presets::read("<LARS-PRESET version=\"0\"><mix/></LARS-PRESET>", "x"));
    CHECK_FALSE(presets::read("<!DOCTYPE x [<!ENTITY a \"&a;\">]><LARS-PRESET version=\"1\">"
                              "<mix/></LARS-PRESET>",
                              "x"));
    juce::String deep("<LARS-PRESET version=\"1\">");
    for (int i = 0; i < 100000; ++i)
        deep << "<mix>";
    CHECK_FALSE(presets::read(deep, "x"));
    const auto odd = presets::read(
        R"(<LARS-PRESET version="7" command="rm"><mix file="/etc/passwd">)"
        R"(<PARAM id="mode" value="1"/><PARAM id="bypass" value="1"/><PARAM id="model" value="3"/>)"
        R"(<PARAM id="kick_gain" value="nan"/><PARAM id="snare_gain" value="1e30"/><RUN what="x"/>)"
        R"(<PARAM id="kick_mute" value="1"/></mix></LARS-PRESET>)",
        "odd");
    REQUIRE(odd);
    CHECK(odd->values.size() == 2);
    CHECK(odd->values.at("kick_mute") == 1.0f);
    CHECK(odd->values.at("snare_gain") > 1e29f); // applying it stays within the range
}
