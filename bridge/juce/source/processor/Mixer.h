// SPDX-License-Identifier: GPL-3.0-or-later
// The main output: the stems and what none of them has by their gains, pans, mutes and solos, and
// some of the mixture.
#pragma once

#include "parameters/Faders.h"
#include "player/PeakMeter.h"

namespace lars {

class Mixer {
public:
    explicit Mixer(const juce::AudioProcessorValueTreeState& state);

    // From the next block on without a fade to what the parameters say.
    void snap() { snapping = true; }

    // Adds up `count` samples. `stems` are the plan's, channel by channel; `bus` says whose gain
    // each has, -1 for none; `residual` is what no stem has. `main` is overwritten. Between blocks
    // gains move in a line.
    void process(const float* const* stems, const std::vector<int>& bus, int channels,
                 const float* const* residual, const float* const* mixture, float* const* main,
                 int mainChannels, int count);

    // Of a bus, behind its fader.
    PeakMeter& meter(int bus) { return meters[static_cast<std::size_t>(bus)]; }

private:
    static constexpr std::size_t noFader = busCount + 1;
    using Sides = std::array<float, 2>;

    const Faders faders;
    const std::atomic<float>* mix;
    std::array<PeakMeter, busCount> meters;
    std::array<Sides, busCount + 2> wet{}; // the last is for stems without a bus
    float dry = 0.0f;
    bool snapping = true;
};

} // namespace lars
