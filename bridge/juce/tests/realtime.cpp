// SPDX-License-Identifier: GPL-3.0-or-later
// lars_realtime <seconds> [control | <model> | start:<command>]: the processor plays in real time,
// all buses enabled, blocks of many sizes, while interpose.c (preloaded) counts what the audio
// thread does. Prints the counts. With `control` the thread does on purpose what it must not.
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "Watch.h"
#include "processor/PluginProcessor.h"

using namespace lars;

int main(int count, char** arguments) {
    const double seconds = count > 1 ? std::atof(arguments[1]) : 1.0;
    const bool control = count > 2 && std::strcmp(arguments[2], "control") == 0;
    const Watch watch;
    if (!watch.there()) {
        std::fprintf(stderr, "preload liblars_interpose.so\n");
        return 2;
    }
    constexpr double rate = 44100.0;
    constexpr int prepared = 512;
    const juce::ScopedJuceInitialiser_GUI juce;
    PluginProcessor plugin;
    plugin.enableAllBuses();
    const juce::String what = count > 2 ? arguments[2] : "";
    if (what.startsWith("start:")) {
        plugin.setEngineCommand(what.fromFirstOccurrenceOf(":", false, false), true);
        plugin.engine().waitUntilReady(180000);
    } else if (!control) {
        plugin.setModel(what);
    }
    plugin.setRateAndBufferSizeDetails(rate, prepared);
    plugin.prepareToPlay(rate, prepared);
    juce::AudioBuffer<float> whole(plugin.getTotalNumOutputChannels(), 2 * prepared);
    juce::MidiBuffer midi;
    std::thread audio([&] {
        constexpr int sizes[] = {prepared, 0, 1, 17, prepared, 2 * prepared, 333};
        const auto start = std::chrono::steady_clock::now();
        std::int64_t done = 0;
        float phase = 0.0f;
        for (std::size_t turn = 0; static_cast<double>(done) < seconds * rate; ++turn) {
            const int size = sizes[turn % std::size(sizes)];
            juce::AudioBuffer<float> block(whole.getArrayOfWritePointers(), whole.getNumChannels(),
                                           size);
            for (int i = 0; i < size; ++i, phase += 0.01f) {
                block.setSample(0, i, std::sin(phase));
                block.setSample(1, i, turn == 20 ? std::nanf("") : std::cos(phase));
            }
            watch.arm(true);
            plugin.processBlock(block, midi);
            if (control) {
                void* volatile memory = std::malloc(8);
                std::free(memory);
                std::mutex mutex;
                mutex.lock();
            }
            watch.arm(false);
            if (turn % 50 == 49)
                plugin.reset(); // hosts may do that on this thread
            for (int channel = 0; channel < block.getNumChannels(); ++channel)
                for (int i = 0; i < size; ++i)
                    if (!std::isfinite(block.getSample(channel, i)))
                        std::abort();
            done += size;
            std::this_thread::sleep_until(
                start + std::chrono::duration_cast<std::chrono::steady_clock::duration>(
                            std::chrono::duration<double>(static_cast<double>(done) / rate)));
        }
        watch.print();
        const auto status = plugin.engine().status();
        std::printf("state %d missing %llu latency %d\n", static_cast<int>(status.state),
                    static_cast<unsigned long long>(status.missing), status.latency);
        std::printf("calls %d\n", watch.calls());
    });
    audio.join();
    return 0;
}
