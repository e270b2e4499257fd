// SPDX-License-Identifier: GPL-3.0-or-later
// What a stream is asked to be, and what it turned out to be.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "engine/Aligner.h"

namespace lars {

constexpr int busCount = 6;
constexpr std::array<const char*, busCount> busStems = {"kick",  "snare", "toms",
                                                        "hihat", "ride",  "crash"};

// The bus of what no stem has, behind those of the stems.
constexpr auto residualName = "residual";

// The model where nobody has chosen one: what the engine brings with it for this purpose, for
// others may not be downloaded; else its first. Empty where there is none.
inline std::string defaultModel(const std::vector<std::string>& models, bool live) {
    const auto* const wanted = live ? "lars-live" : "lars-mini";
    if (std::find(models.begin(), models.end(), wanted) != models.end())
        return wanted;
    return models.empty() ? std::string() : models.front();
}

// What a stream should be; two that are equal are the same stream.
struct StreamSettings {
    std::string model;  // empty: the default
    std::string preset; // offline: fast, balanced, best; empty: the model's own
    bool offline = false;
    bool idle = false;    // no stream is wanted
    bool silence = false; // the engine's fallback; may change while the stream goes on
    bool hears = false;   // the hits in the input are wanted
    bool waits = false;   // the host renders: nothing may be replaced
    int channels = 2;
    int block = 1024; // samples
    double rate = 44100.0;

    bool operator==(const StreamSettings& other) const {
        return std::tie(model, preset, offline, idle, hears, waits, channels, block, rate) ==
               std::tie(other.model, other.preset, other.offline, other.idle, other.hears,
                        other.waits, other.channels, other.block, other.rate);
    }
    bool operator!=(const StreamSettings& other) const { return !(*this == other); }

    // What the latency depends on, as a line of text.
    std::string latencyKey() const {
        return model + "|" + preset + (offline ? "|offline|" : "|live|") + (hears ? "midi|" : "") +
               std::to_string(channels) + "|" + std::to_string(block) + "|" + std::to_string(rate);
    }
};

// A stream as the audio thread plays it. Made elsewhere, handed over whole.
struct Plan {
    Plan(std::uint32_t number, int latency, int channels, int largest,
         std::vector<std::string> names, bool total = false)
        : id(number), stems(std::move(names)),
          aligner(static_cast<int>(stems.size()), channels, latency, largest, total) {
        for (const auto& stem : stems)
            bus.push_back(busOf(stem));
    }

    // The bus of a stem; -1 for one that only the main output has. A model that has both cymbals in
    // one stem gives it to the crash.
    static int busOf(const std::string& stem) {
        for (int i = 0; i < busCount; ++i)
            if (stem == busStems[static_cast<std::size_t>(i)])
                return i;
        return stem == "cymbals" ? busCount - 1 : -1;
    }

    std::uint32_t id;
    std::vector<std::string> stems;
    std::vector<int> bus;
    bool hears = false; // hits come, in time for this latency
    bool idle = false;  // no stems come: there is no stream
    Aligner aligner;
};

} // namespace lars
