// SPDX-License-Identifier: GPL-3.0-or-later
// The faders of the main output, as any thread reads them.
#pragma once

#include <array>
#include <atomic>
#include <cmath>

#include "parameters/Parameters.h"

namespace lars {

struct Fader {
    const std::atomic<float>* gain; // dB
    const std::atomic<float>* mute;
    const std::atomic<float>* solo;

    bool isSolo() const noexcept { return solo->load() > 0.5f; }
    // The factor that it stands for, where some fader is solo, or none is.
    float factor(bool anySolo) const noexcept {
        const float decibels = gain->load();
        // 0 for NaN, which hosts can set as well; exactly 1 at 0 dB, where a
        // parameter's own arithmetic may be a little off.
        if (!(mute->load() < 0.5f) || (anySolo && !isSolo()) || !(decibels > leastGainDb))
            return 0.0f;
        return std::abs(decibels) < 0.01f ? 1.0f : std::pow(10.0f, decibels / 20.0f);
    }
};

// Those of the buses, and behind them that of what no stem has.
using Faders = std::array<Fader, busCount + 1>;
inline constexpr std::size_t residualFader = busCount;

inline Faders fadersOf(const juce::AudioProcessorValueTreeState& state) {
    Faders result{};
    for (std::size_t i = 0; i < result.size(); ++i) {
        const juce::String name = i == residualFader ? residualName : busStems[i];
        result[i] = {state.getRawParameterValue(ids::gain(name)),
                     state.getRawParameterValue(ids::mute(name)),
                     state.getRawParameterValue(ids::solo(name))};
    }
    return result;
}

} // namespace lars
