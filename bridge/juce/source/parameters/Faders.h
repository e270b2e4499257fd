// SPDX-License-Identifier: GPL-3.0-or-later
// The faders of the main output, as any thread reads them.
#pragma once

#include <array>
#include <atomic>

#include "parameters/Parameters.h"

namespace lars {

struct Fader {
    const std::atomic<float>* gain; // dB
    const std::atomic<float>* mute;
    const std::atomic<float>* solo;
    const std::atomic<float>* pan; // -100 to 100; none: always in the centre

    bool isSolo() const noexcept { return solo->load() > 0.5f; }
    // The factor that it stands for, where some fader is solo, or none is.
    float factor(bool anySolo) const noexcept {
        const bool heard = mute->load() < 0.5f && (!anySolo || isSolo());
        return heard ? gainFactor(gain->load()) : 0.0f;
    }
    // Likewise on the left and on the right.
    std::array<float, 2> sides(bool anySolo) const noexcept {
        const auto shares = balance(pan == nullptr ? 0.0f : pan->load());
        const float both = factor(anySolo);
        return {both * shares[0], both * shares[1]};
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
                     state.getRawParameterValue(ids::solo(name)),
                     i == residualFader ? nullptr : state.getRawParameterValue(ids::pan(name))};
    }
    return result;
}

} // namespace lars
