// SPDX-License-Identifier: GPL-3.0-or-later
// What there is to show of the engine and its stream.
#pragma once

#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

namespace lars {

enum class LinkState {
    away,     // no engine; tries again by itself
    starting, // `lars serve` was started and is not ready yet
    opening,  // connected; the model is being loaded
    ready,    // stems come
    refused   // the engine is there, but does not do what is wanted; `message` says why
};

// A model that the engine offers, as its status tells (PROTOCOL.md, STATUS).
struct ModelOffer {
    std::string name, purpose;
    std::vector<std::string> stems;
    bool weights = true;     // are on the engine's machine
    bool live = false;       // made for live streams, and not for files
    double liveMs = 0.0;     // latency of its live stream; 0: not told
    std::uint64_t bytes = 0; // of its weights; 0: not told

    bool operator==(const ModelOffer& other) const {
        return std::tie(name, purpose, stems, weights, live, liveMs, bytes) ==
               std::tie(other.name, other.purpose, other.stems, other.weights, other.live,
                        other.liveMs, other.bytes);
    }
    bool operator!=(const ModelOffer& other) const { return !(*this == other); }
};

struct LinkStatus {
    LinkState state = LinkState::away;
    std::string message; // what is wrong and what to do; empty when nothing is
    std::string engine;  // name and version; empty when away
    std::vector<std::string> models;
    std::vector<ModelOffer> offers; // of these models; empty until they are told
    int protocol = 0;               // version that the engine and this plugin speak
    std::string model; // of the stream
    std::vector<std::string> stems;
    double rate = 0.0;
    int latency = 0; // samples, in all
    int modelLatency = 0, resamplingLatency = 0, bufferingLatency = 0, boardLatency = 0;
    double realTimeRatio = 0.0;              // seconds of computation per second of audio
    std::uint64_t missing = 0, late = 0;     // samples: replaced here, and come too late
    std::uint64_t unsent = 0;                // samples that could not be sent
    std::uint64_t replaced = 0, dropped = 0; // samples: by the engine
    std::uint64_t errors = 0;
    std::uint64_t connections = 0; // since the plugin was loaded
};

} // namespace lars
