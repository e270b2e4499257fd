// SPDX-License-Identifier: GPL-3.0-or-later
// lars_hygiene: what hosts do to plugins. The window is opened and closed while audio runs, state
// comes and goes on another thread, every parameter is set to anything, rates and block sizes
// change without release, and instances are destroyed at any moment, also during a job. Says what
// is wrong and returns 1; made for the sanitizers.
#include <atomic>
#include <cmath>
#include <cstdio>
#include <random>
#include <thread>

#include "processor/PluginProcessor.h"

using namespace lars;

namespace {

std::atomic<int> failures{0};

void check(bool good, const char* what) {
    if (!good && ++failures < 20)
        std::fprintf(stderr, "wrong: %s\n", what);
}

bool playBlock(PluginProcessor& plugin, int size, float level) {
    juce::AudioBuffer<float> block(plugin.getTotalNumOutputChannels(), size);
    juce::MidiBuffer midi;
    for (int channel = 0; channel < block.getNumChannels(); ++channel)
        for (int i = 0; i < size; ++i)
            block.setSample(channel, i, level);
    plugin.processBlock(block, midi);
    for (int channel = 0; channel < block.getNumChannels(); ++channel)
        for (int i = 0; i < size; ++i)
            if (!std::isfinite(block.getSample(channel, i)))
                return false;
    return true;
}

void prepare(PluginProcessor& plugin, double rate, int block) {
    plugin.setRateAndBufferSizeDetails(rate, block);
    plugin.prepareToPlay(rate, block);
}

void windowStateAndParametersWhileAudioRuns() {
    PluginProcessor plugin;
    plugin.enableAllBuses();
    prepare(plugin, 44100.0, 256);
    std::atomic<bool> stop{false};
    std::thread audio([&] {
        while (!stop.load()) {
            check(playBlock(plugin, 256, 0.1f), "samples are finite");
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
    });
    std::thread saver([&] {
        std::mt19937 random(1);
        while (!stop.load()) {
            juce::MemoryBlock data;
            plugin.getStateInformation(data);
            check(data.getSize() > 0, "there is a state");
            if (random() % 2 == 0)
                data.setSize(random() % (data.getSize() + 1));
            plugin.setStateInformation(data.getData(), static_cast<int>(data.getSize()));
            std::this_thread::sleep_for(std::chrono::milliseconds(3));
        }
    });
    std::mt19937 random(2);
    for (int turn = 0; turn < 100; ++turn) {
        const std::unique_ptr<juce::AudioProcessorEditor> editor(plugin.createEditorIfNeeded());
        check(editor != nullptr && editor->getWidth() > 0, "the window opens");
        juce::Image picture(juce::Image::ARGB, 64, 64, true);
        juce::Graphics graphics(picture);
        editor->paintEntireComponent(graphics, true);
        editor->setSize(200 + static_cast<int>(random() % 800),
                        200 + static_cast<int>(random() % 800));
        for (auto* parameter : plugin.getParameters())
            parameter->setValueNotifyingHost(static_cast<float>(random() % 1001) / 1000.0f);
    }
    stop.store(true);
    audio.join();
    saver.join();
}

void ratesBlocksAndLayoutsWithoutRelease() {
    PluginProcessor plugin;
    std::mt19937 random(3);
    constexpr double rates[] = {8000.0, 44100.0, 48000.0, 96000.0, 192000.0};
    constexpr int blocks[] = {1, 16, 64, 333, 1024};
    for (int turn = 0; turn < 30; ++turn) {
        const int block = blocks[random() % std::size(blocks)];
        if (turn % 3 == 0)
            plugin.enableAllBuses();
        else
            plugin.disableNonMainBuses();
        prepare(plugin, rates[random() % std::size(rates)], block);
        check(plugin.getLatencySamples() >= 0, "a latency");
        for (const int size : {block, 0, 1, 2 * block, 17})
            check(playBlock(plugin, size, 0.2f), "samples are finite after a change");
        if (turn % 4 == 0)
            plugin.releaseResources();
        if (turn % 5 == 0)
            plugin.reset();
    }
    check(plugin.getNumPrograms() == 1 && plugin.getProgramName(0).isNotEmpty(), "the program");
}

void destroyedAtAnyMoment() {
    for (int turn = 0; turn < 10; ++turn) {
        auto plugin = std::make_unique<PluginProcessor>();
        FileJobRequest request;
        request.source = "/nowhere/in.wav";
        request.folder = "/nowhere/out";
        plugin->fileJob().start(request);
        if (turn % 2 == 0)
            prepare(*plugin, 48000.0, 128);
        if (turn % 3 == 0)
            check(playBlock(*plugin, 128, 0.1f), "one block");
        if (turn % 4 == 0)
            plugin->fileJob().cancel();
    }
}

} // namespace

int main() {
    const juce::ScopedJuceInitialiser_GUI juce;
    windowStateAndParametersWhileAudioRuns();
    ratesBlocksAndLayoutsWithoutRelease();
    destroyedAtAnyMoment();
    std::printf("%d failures\n", failures.load());
    return failures.load() > 0 ? 1 : 0;
}
