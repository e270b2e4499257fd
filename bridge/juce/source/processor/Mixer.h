// SPDX-License-Identifier: GPL-3.0-or-later
// The main output: the stems by their gains, pans, mutes and solos, and some of the mixture.
#pragma once

#include <array>
#include <atomic>

#include "parameters/Parameters.h"
#include "player/PeakMeter.h"

namespace lars {

class Mixer {
public:
    explicit Mixer(const juce::AudioProcessorValueTreeState& state);

    // From the next block on without a fade to what the parameters say.
    void snap() { snapping = true; }

    // Adds up `count` samples. `stems` are the plan's, channel by channel; `bus` says whose gain
    // each has, -1 for none. `main` is overwritten. Between blocks gains move in a line.
    void process(const float* const* stems, const std::vector<int>& bus, int channels,
                 const float* const* mixture, float* const* main, int mainChannels, int count);

    // Of a bus, behind its fader.
    PeakMeter& meter(int bus) { return meters[static_cast<std::size_t>(bus)]; }

private:
    struct Fader {
        const std::atomic<float>* gain;
        const std::atomic<float>* mute;
        const std::atomic<float>* solo;
        const std::atomic<float>* pan;
    };
    using Sides = std::array<float, 2>;
    std::array<Fader, busCount> faders{};
    const std::atomic<float>* mix;
    std::array<PeakMeter, busCount> meters;
    std::array<Sides, busCount + 1> wet{}; // the last is for stems without a bus
    float dry = 0.0f;
    bool snapping = true;
};

} // namespace lars
