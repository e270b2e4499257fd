// SPDX-License-Identifier: GPL-3.0-or-later
// What is heard of a file, its stems and their faders, sample by sample; undo; presets.
#include <cstdlib>

#include "Listening.h"
#include "processor/Presets.h"
#include "ui/Ruler.h"
#include "ui/StemLane.h"
#include "ui/TimeView.h"

using namespace lars;

TEST_CASE("A loop of a part goes round without a gap, sample for sample") {
    PluginProcessor plugin;
    auto& player = plugin.filePlayer();
    const juce::TemporaryFile file("loop.wav");
    const auto audio = noise(3 * 44100, 1);
    writeWav(file.getFile(), audio);
    player.prepare(rate);
    REQUIRE(player.load(file.getFile()).wasOk());
    // Shorter than what is read ahead, and than a block of it; and one that ends with the file.
    const std::pair<int, int> regions[] = {
        {0, 44100}, {22050, 50000}, {30000, 31001}, {100000, 132300}};
    for (const auto& [start, end] : regions) {
        CAPTURE(start, end);
        player.stop();
        hear(player, 0);
        player.setLooping(true);
        player.setLoopRegion({start / rate, end / rate});
        CHECK(juce::roundToInt(player.loopRegion().getStart() * rate) == start);
        CHECK(juce::roundToInt(player.loopRegion().getEnd() * rate) == end);
        const int before = 500, length = end - start;
        player.setPosition((end - before) / rate);
        player.play();
        const int frames = before + 2 * length + 700;
        auto heard = hear(player, frames);
        juce::AudioBuffer<float> wanted(2, frames);
        for (int i = 0; i < frames; ++i)
            for (int side = 0; side < 2; ++side)
                wanted.setSample(side, i,
                                 audio.getSample(side, i < before ? end - before + i
                                                                  : start + (i - before) % length));
        // A fade begins the first of it.
        juce::AudioBuffer<float> behind(heard.getArrayOfWritePointers(), 2, 300, frames - 300),
            wantedBehind(wanted.getArrayOfWritePointers(), 2, 300, frames - 300);
        CHECK(difference(behind, wantedBehind) <= 0.0f);
        const double place = player.position() * rate;
        CHECK(place >= start);
        CHECK(place <= end);
        player.stop();
        hear(player, 600); // fades out
    }
}

TEST_CASE("Playing from behind the loop goes on to the file's end and then into the loop") {
    PluginProcessor plugin;
    auto& player = plugin.filePlayer();
    const juce::TemporaryFile file("behind.wav");
    const auto audio = noise(44100, 2);
    writeWav(file.getFile(), audio);
    player.prepare(rate);
    REQUIRE(player.load(file.getFile()).wasOk());
    player.setLooping(true);
    player.setLoopRegion({10000 / rate, 20000 / rate});
    player.setPosition(43000 / rate);
    player.play();
    const auto heard = hear(player, 3000);
    for (int i = 300; i < 3000; ++i)
        REQUIRE(heard.getSample(0, i) ==
                audio.getSample(0, i < 1100 ? 43000 + i : 10000 + i - 1100));
    player.setLoopRegion({0.5, 0.505}); // too short for one: none
    CHECK(player.loopRegion().isEmpty());
    player.setLoopRegion({std::nan(""), 0.5});
    CHECK(player.loopRegion().isEmpty());
}

TEST_CASE("A loop at another rate than the device's has the same period") {
    PluginProcessor plugin;
    auto& player = plugin.filePlayer();
    const juce::TemporaryFile file("other.wav");
    juce::AudioBuffer<float> audio(2, 96000);
    for (int i = 0; i < 96000; ++i)
        for (int side = 0; side < 2; ++side) // 480 Hz: whole periods in the loop
            audio.setSample(side, i, 0.5f * std::sin(0.0628318531f * static_cast<float>(i % 100)));
    writeWav(file.getFile(), audio, 48000.0);
    player.prepare(rate);
    REQUIRE(player.load(file.getFile()).wasOk());
    player.setLooping(true);
    player.setLoopRegion({0.5, 0.75});
    player.setPosition(0.5);
    player.play();
    const int period = 11025;
    const auto heard = hear(player, 4 * period, 4); // resampling takes longer
    for (int i = 2000; i < 3 * period; ++i)
        REQUIRE(heard.getSample(1, i) == Approx(heard.getSample(1, i + period)).margin(2e-4));
}

TEST_CASE("Stems in the centre add up to the bit, and a pan turns one side down") {
    PluginProcessor plugin;
    auto& player = plugin.filePlayer();
    const juce::TemporaryFile file("whole.wav"), kick("kick.wav"), more("more.wav");
    const auto one = noise(20000, 3), two = noise(20000, 4);
    writeWav(file.getFile(), one);
    writeWav(kick.getFile(), one);
    writeWav(more.getFile(), two);
    player.prepare(rate);
    REQUIRE(player.load(file.getFile()).wasOk());
    REQUIRE(player.setStems({{"kick", kick.getFile()}, {"more", more.getFile()}}).wasOk());
    const auto compare = [&](std::array<float, 2> first, std::array<float, 2> second) {
        player.setPosition(0.0);
        player.play();
        const auto heard = hear(player, 4000);
        player.stop();
        hear(player, 600);
        juce::AudioBuffer<float> wanted(2, 4000);
        for (int side = 0; side < 2; ++side)
            for (int i = 0; i < 4000; ++i) {
                const auto which = static_cast<std::size_t>(side);
                float sum = 0.0f;
                sum += first[which] * one.getSample(side, i);
                sum += second[which] * two.getSample(side, i);
                wanted.setSample(side, i, sum);
            }
        return difference(heard, wanted);
    };
    set(plugin, ids::mute(residualName), 1.0f); // the stems alone
    CHECK(compare({1.0f, 1.0f}, {1.0f, 1.0f}) <= 0.0f);
    CHECK(player.meter(0).take(0) > 0.2f);
    CHECK(player.meter(0).take(1) > 0.2f);
    set(plugin, ids::pan("kick"), -100.0f);
    player.ownFader(1).pan.store(50.0f);
    CHECK(compare({1.0f, 0.0f}, {0.5f, 1.0f}) <= 1e-7f);
    CHECK(player.meter(0).take(0) > 0.2f);
    CHECK(player.meter(0).take(1) <= 0.0f); // behind the pan
    set(plugin, ids::pan("kick"), 0.0f);
    player.ownFader(1).pan.store(0.0f);
    CHECK(compare({1.0f, 1.0f}, {1.0f, 1.0f}) <= 0.0f);
}

TEST_CASE("Original and stems are trimmed by the factors that make them equally loud") {
    PluginProcessor plugin;
    auto& player = plugin.filePlayer();
    const juce::TemporaryFile file("trim.wav");
    const auto audio = noise(10000, 8);
    writeWav(file.getFile(), audio);
    player.prepare(rate);
    REQUIRE(player.load(file.getFile()).wasOk());
    REQUIRE(player.setStems({{"kick", file.getFile()}}).wasOk());
    player.setTrims(0.5f, 0.25f);
    for (const bool stems : {true, false}) {
        player.hearStems(stems);
        player.setPosition(0.0);
        player.play();
        const auto heard = hear(player, 2000);
        player.stop();
        hear(player, 600);
        for (int i = 0; i < 2000; ++i)
            REQUIRE(heard.getSample(0, i) ==
                    Approx((stems ? 0.25f : 0.5f) * audio.getSample(0, i)).margin(1e-7));
    }
}

TEST_CASE("Zoom keeps its place, ends at the file's ends, and goes with a shorter file") {
    PluginProcessor plugin;
    auto& player = plugin.filePlayer();
    const juce::TemporaryFile file("zoom.wav"), shorter("shorter.wav");
    writeWav(file.getFile(), noise(4 * 44100, 9));
    writeWav(shorter.getFile(), noise(22050, 9));
    player.prepare(rate);
    TimeView view(player);
    view.zoom(2.0, 1.0); // there is no file yet
    CHECK(view.shown().isEmpty());
    REQUIRE(player.load(file.getFile()).wasOk());
    CHECK(view.shown() == juce::Range<double>(0.0, 4.0));
    view.zoom(2.0, 1.0);
    CHECK(view.shown() == juce::Range<double>(0.5, 2.5));
    CHECK(view.x(1.0, 400) == Approx(100.0)); // where it was before
    CHECK(view.at(100.0, 400) == Approx(1.0));
    view.scroll(10.0);
    CHECK(view.shown() == juce::Range<double>(2.0, 4.0));
    for (int i = 0; i < 50; ++i)
        view.zoom(2.0, 3.0);
    CHECK(view.shown().getLength() == Approx(TimeView::closest));
    view.loopOver({1.0, 2.0}); // plays from its beginning, as it was elsewhere
    CHECK(player.isLooping());
    CHECK(player.position() == Approx(1.0));
    REQUIRE(player.load(shorter.getFile()).wasOk());
    CHECK(view.shown() == juce::Range<double>(0.0, 0.5));
    CHECK(player.loopRegion().isEmpty());
    for (const double seconds : {0.1, 1.0, 12.0, 300.0, 7200.0})
        CHECK(seconds / rulerStep(seconds, 10) <= 10.0);
}

TEST_CASE("Gains are read as they are written") {
    for (const double gain : {-59.9, -6.0, -0.1, 0.0, 0.1, 12.0})
        CHECK(decibelsOf(decibelText(gain)) == Approx(gain).margin(1e-9));
    CHECK(decibelText(-60.0) == "-inf dB");
    CHECK(decibelsOf("-inf dB") == Approx(-60.0));
    CHECK(decibelText(3.0) == "+3.0 dB");
}

TEST_CASE("A state keeps the pans, and one from before there were pans has them in the centre") {
    PluginProcessor plugin, other;
    set(plugin, ids::pan("toms"), -37.0f);
    juce::MemoryBlock data;
    plugin.getStateInformation(data);
    set(other, ids::pan("kick"), 80.0f);
    other.setStateInformation(data.getData(), static_cast<int>(data.getSize()));
    CHECK(get(other, ids::pan("toms")) == Approx(-37.0f));
    CHECK(get(other, ids::pan("kick")) == 0.0f);
    constexpr char old[] = R"(<LARS version="1" model="" filesModel=""><parameters><lars>)"
                           R"(<PARAM id="kick_gain" value="-6.0"/></lars></parameters></LARS>)";
    other.setStateInformation(old, sizeof old - 1);
    CHECK(get(other, ids::gain("kick")) == Approx(-6.0f));
    CHECK(get(other, ids::pan("toms")) == 0.0f);
    CHECK(get(other, ids::mute(residualName)) == 1.0f); // there was none, either
}

TEST_CASE("Undo goes back gesture by gesture, redo goes on, and automation is not a step") {
    PluginProcessor plugin;
    auto& history = plugin.history();
    const auto gain = ids::gain("kick"), pan = ids::pan("kick");
    CHECK_FALSE(history.canUndo());
    auto* parameter = plugin.parameters().getParameter(gain);
    parameter->beginChangeGesture(); // a drag is one step
    for (const float value : {-1.0f, -2.0f, -3.0f})
        parameter->setValueNotifyingHost(parameter->convertTo0to1(value));
    parameter->endChangeGesture();
    set(plugin, pan, 40.0f);
    set(plugin, ids::mute("kick"), 1.0f);
    set(plugin, ids::mute("kick"), 0.0f); // switches are steps each, however fast
    plugin.parameters().getParameter(ids::mix)->setValueNotifyingHost(0.3f); // the host's
    set(plugin, ids::capture, 1.0f); // does something, which no undo takes back
    CHECK(history.undoName() == "Kick mute");
    history.undo();
    CHECK(get(plugin, ids::mute("kick")) == 1.0f);
    history.undo();
    history.undo();
    CHECK(get(plugin, pan) == 0.0f);
    CHECK(get(plugin, gain) == Approx(-3.0f));
    history.undo();
    CHECK(get(plugin, gain) == 0.0f);
    CHECK_FALSE(history.canUndo());
    history.undo(); // nothing
    CHECK(get(plugin, ids::mix) == Approx(30.0f));
    history.redo();
    history.redo();
    CHECK(get(plugin, gain) == Approx(-3.0f));
    CHECK(get(plugin, pan) == Approx(40.0f));
    set(plugin, ids::gain("ride"), 2.0f); // another way from here
    CHECK_FALSE(history.canRedo());
    set(plugin, ids::gain("ride"), 3.0f); // of wheel or keys, soon after: the same step
    history.undo();
    CHECK(get(plugin, ids::gain("ride")) == 0.0f);
    juce::MemoryBlock data;
    plugin.getStateInformation(data);
    plugin.setStateInformation(data.getData(), static_cast<int>(data.getSize()));
    CHECK_FALSE(history.canUndo()); // a session that was loaded has no past
    CHECK_FALSE(history.canRedo());
    for (int i = 0; i < 500; ++i)
        set(plugin, ids::mute("kick"), static_cast<float>(i % 2 == 0));
    int steps = 0;
    for (; history.canUndo(); ++steps)
        history.undo();
    CHECK(steps == static_cast<int>(History::mostSteps));
}

// The data folder is the caller's, who throws it away: tests/host sets XDG_DATA_HOME.
TEST_CASE("Presets are saved whole, listed, applied in one step, and deleted") {
    PluginProcessor plugin;
    auto& state = plugin.parameters();
    const auto before = presets::user().size();
    set(plugin, ids::gain("snare"), -6.0f);
    set(plugin, ids::pan("ride"), 55.0f);
    set(plugin, ids::mute("toms"), 1.0f);
    set(plugin, ids::gain(residualName), -20.0f);
    const juce::String name("../Evening: 1/2 ");
    REQUIRE(presets::save(presets::now(state, name)).wasOk());
    REQUIRE(presets::save(presets::now(state, name)).wasOk()); // again: replaced
    auto all = presets::user();
    REQUIRE(all.size() == before + 1);
    const auto saved = std::find_if(all.begin(), all.end(),
                                    [](const auto& one) { return one.name.contains("Evening"); });
    REQUIRE(saved != all.end());
    CHECK(presets::isNow(*saved, state));
    for (const auto& file : presets::folder().findChildFiles(juce::File::findFiles, true))
        CHECK(file.getParentDirectory() == presets::folder());

    presets::apply(presets::factory()[1], state, plugin.history()); // mix-minus: no kick
    CHECK(get(plugin, ids::mute("kick")) == 1.0f);
    CHECK(get(plugin, ids::gain("snare")) == 0.0f);
    CHECK(get(plugin, ids::gain(residualName)) == 0.0f);
    CHECK(presets::isNow(presets::factory()[1], state));
    CHECK(plugin.history().undoName() == presets::factory()[1].name);
    plugin.history().undo();
    CHECK(presets::isNow(*saved, state));
    plugin.history().redo();
    presets::apply(*saved, state, plugin.history());
    CHECK(get(plugin, ids::pan("ride")) == Approx(55.0f));
    CHECK(get(plugin, ids::gain(residualName)) == Approx(-20.0f));
    CHECK(get(plugin, ids::mute("kick")) == 0.0f);
    Preset wild{"wild", {{ids::gain("kick"), 1e30f}, {ids::pan("kick"), std::nanf("")}}};
    presets::apply(wild, state, plugin.history());
    CHECK(get(plugin, ids::gain("kick")) == Approx(mostGainDb));
    CHECK(get(plugin, ids::pan("kick")) == 0.0f);
    CHECK(presets::folder().getChildFile("damaged.xml").replaceWithText("<LARS-PRESET"));
    CHECK(presets::user().size() == before + 1); // is left out
    CHECK(presets::remove(saved->name).wasOk());
    CHECK(presets::user().size() == before);
    CHECK(presets::save({" . ", {}}).failed());
    presets::folder().getChildFile("damaged.xml").deleteFile();
}
