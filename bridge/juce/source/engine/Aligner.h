// SPDX-License-Identifier: GPL-3.0-or-later
// Puts stems back where they belong, whenever they come (PROTOCOL.md, "AUDIO and STEMS").
//
// Output sample n is stream position n - latency, always. What stems have come by then is played;
// what has not is replaced by the fallback; what comes later is thrown away.
#pragma once

#include <cstdint>
#include <vector>

namespace lars {

class Aligner {
public:
    // `largest`: samples of the longest `take` and `give`. `total`: with the stems comes, as one
    // more, their sum before the effects behind them.
    Aligner(int stems, int channels, int latency, int largest, bool total = false);

    int stems() const { return stemCount; }
    int channels() const { return channelCount; }
    int lines() const { return (stemCount + (withTotal ? 1 : 0)) * channelCount; } // of `store`
    int latency() const { return delay; }
    int largest() const { return most; }

    // Forgets all audio and goes on at position 0.
    void restart();

    // The next samples of the mixture; `give` of as many must follow.
    void take(const float* const* mixture, int count);

    // Stems that have come: planar, stem by stem, channel by channel. `replaced`: some of them are
    // the engine's fallback.
    void store(std::int64_t position, const float* samples, int count, bool replaced = false);

    // Whether nothing that is still to come would change the next `count` samples. An engine
    // sends stems in order.
    bool complete(int count) const { return next + count <= settled; }

    // The next samples of each stem's channels and, if wanted, of the delayed mixture. Returns how
    // many were replaced: by an equal share of the mixture if `dry`, else by silence.
    int give(float* const* out, float* const* mixtureOut, int count, bool dry);

    // What the stems do not have of the mixture, per channel, for the `count` samples that `give`
    // gave last. Where stems were replaced there is none: they are the mixture then, or silence.
    // With a total, this is what that does not have.
    void residual(const float* const* stems, const float* const* mixture, int count, bool dry,
                  float* const* out) const;

    // A run of the mixture that is still in the ring, from `position` on, at most `count` samples:
    // sets a pointer per channel and returns its length.
    int mixtureAt(std::int64_t position, int count, const float** channelsOut) const;

    // Position of the sample that `give` returns next; negative before the stream's start.
    std::int64_t position() const { return next; }
    std::int64_t begin() const { return next > 0 ? next : 0; } // first position still needed
    std::int64_t end() const { return taken; }                 // end of the mixture taken
    std::uint64_t late() const { return lateSamples; }

private:
    float* stemRing(int stem, int channel) {
        return ring.data() + static_cast<std::size_t>(stem * channelCount + channel) * size;
    }
    std::size_t at(std::int64_t position) const {
        return static_cast<std::size_t>(position) & (size - 1);
    }

    int stemCount, channelCount, delay, most;
    bool withTotal;
    std::size_t size; // of each ring; a power of two
    std::vector<float> ring, mixtureRing;
    std::vector<std::uint8_t> have; // 1: the stems of this place have come; 2: partly replaced
    std::int64_t next = 0;          // position to give next; negative before the stream's start
    std::int64_t taken = 0;
    std::int64_t settled = 0;
    std::uint64_t lateSamples = 0;
};

} // namespace lars
