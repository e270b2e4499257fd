// SPDX-License-Identifier: GPL-3.0-or-later
// The mix, of a file and of the live stream: its stems by faders and pans, and what none of them has.
#include "Listening.h"

using namespace lars;

TEST_CASE("A file's mix at default faders is the file to the bit, and a pan is its stem's alone") {
    PluginProcessor plugin;
    auto& player = plugin.filePlayer();
    const juce::TemporaryFile file("track.wav"), kick("kick.wav"), more("more.wav");
    auto track = noise(20000, 8);
    const auto one = noise(20000, 9), two = noise(20000, 10);
    track.applyGain(3.0f);
    writeWav(file.getFile(), track);
    writeWav(kick.getFile(), one);
    writeWav(more.getFile(), two);
    player.prepare(rate);
    REQUIRE(player.load(file.getFile()).wasOk());
    REQUIRE(player.setStems({{"kick", kick.getFile()}, {"more", more.getFile()}}).wasOk());
    const auto listen = [&] {
        player.setPosition(0.0);
        player.play();
        auto heard = hear(player, 4000);
        player.stop();
        hear(player, 600);
        return heard;
    };
    const auto compare = [&](const juce::AudioBuffer<float>& heard, auto wanted) {
        float most = 0.0f;
        for (int side = 0; side < 2; ++side)
            for (int i = 0; i < 4000; ++i)
                most = juce::jmax(most, std::abs(heard.getSample(side, i) - wanted(side, i)));
        return most;
    };
    CHECK(compare(listen(), [&](int side, int i) { return track.getSample(side, i); }) <= 0.0f);
    CHECK(player.meter(0).take(0) == Approx(0.25f).margin(0.01)); // the stem's, and not the file's
    set(plugin, ids::pan("kick"), 100.0f);
    CHECK(compare(listen(), [&](int side, int i) {
              return track.getSample(side, i) - (side == 0 ? one.getSample(0, i) : 0.0f);
          }) <= 1e-6f);
    player.meter(0).take(0);
    listen();
    CHECK(player.meter(0).take(0) <= 0.0f);
    // What no stem has, alone: it stays where it is.
    set(plugin, ids::solo(residualName), 1.0f);
    CHECK(compare(listen(), [&](int side, int i) {
              return track.getSample(side, i) - one.getSample(side, i) - two.getSample(side, i);
          }) <= 1e-6f);
}

TEST_CASE("The live mix at default pans is its stems' sum to the bit, and a pan is a balance") {
    PluginProcessor plugin;
    Mixer mixer(plugin.parameters());
    const auto one = noise(512, 5), two = noise(512, 6), dry = noise(512, 7), rest = noise(512, 8);
    const float* stems[] = {one.getReadPointer(0), one.getReadPointer(1), two.getReadPointer(0),
                            two.getReadPointer(1)};
    const auto mix = [&] {
        juce::AudioBuffer<float> main(2, 512);
        mixer.snap();
        mixer.process(stems, {0, -1}, 2, rest.getArrayOfReadPointers(),
                      dry.getArrayOfReadPointers(), main.getArrayOfWritePointers(), 2, 512);
        return main;
    };
    juce::AudioBuffer<float> wanted(2, 512);
    for (int side = 0; side < 2; ++side)
        for (int i = 0; i < 512; ++i)
            wanted.setSample(side, i, one.getSample(side, i) + two.getSample(side, i));
    set(plugin, ids::mute(residualName), 1.0f);
    CHECK(difference(mix(), wanted) <= 0.0f);
    CHECK(mixer.meter(0).take(1) == Approx(one.getMagnitude(1, 0, 512)));
    CHECK(mixer.meter(0).take(1) <= 0.0f); // it was taken
    set(plugin, ids::pan("kick"), 25.0f);
    const auto panned = mix();
    for (int i = 0; i < 512; ++i) {
        REQUIRE(panned.getSample(1, i) == wanted.getSample(1, i));
        REQUIRE(panned.getSample(0, i) ==
                Approx(0.75f * one.getSample(0, i) + two.getSample(0, i)).margin(1e-6));
    }
    set(plugin, ids::mute(residualName), 0.0f); // in the centre, whatever the pans are
    const auto whole = mix();
    for (int side = 0; side < 2; ++side)
        for (int i = 0; i < 512; ++i)
            wanted.setSample(side, i, panned.getSample(side, i) + rest.getSample(side, i));
    CHECK(difference(whole, wanted) <= 0.0f);
}
