// SPDX-License-Identifier: GPL-3.0-or-later
// How loud something was since it was last looked at: the audio thread tells, the window takes.
#pragma once

#include <array>
#include <atomic>

#include <juce_audio_basics/juce_audio_basics.h>

namespace lars {

class PeakMeter {
public:
    // The audio thread. What it tells while the window takes may be lost; the next block tells.
    void tell(int channel, float peak) noexcept {
        auto& most = peaks[static_cast<std::size_t>(channel & 1)];
        if (peak > most.load(std::memory_order_relaxed))
            most.store(peak, std::memory_order_relaxed);
    }
    void tell(int channel, const float* samples, int count, float gain) noexcept {
        if (gain > 0.0f && count > 0) {
            const auto range = juce::FloatVectorOperations::findMinAndMax(samples, count);
            tell(channel, gain * juce::jmax(-range.getStart(), range.getEnd()));
        }
    }
    // The window: the highest since the last time, 1 being full scale.
    float take(int channel) noexcept {
        return peaks[static_cast<std::size_t>(channel & 1)].exchange(0.0f,
                                                                     std::memory_order_relaxed);
    }

private:
    std::array<std::atomic<float>, 2> peaks{};
    static_assert(std::atomic<float>::is_always_lock_free);
};

} // namespace lars
