// SPDX-License-Identifier: GPL-3.0-or-later
// Captures the track while it plays: the audio thread puts it into a queue with its place on the
// timeline, a thread of its own takes it from there into a Take.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <thread>

#include "engine/Fifo.h"
#include "render/Take.h"

namespace lars {

class Capture {
public:
    Capture() = default;
    ~Capture() { end(); }
    Capture(const Capture&) = delete;
    Capture& operator=(const Capture&) = delete;

    // One thread at a time, and never the audio thread of a live host.

    // Begins anew, with nothing.
    void begin(const juce::File& scratch, double rate, int channels);
    // What was captured; nothing where it had not begun.
    std::unique_ptr<Take> end();

    // Any thread.

    bool isOn() const { return active.load() != 0; }
    // In samples: what was captured so far, and how much of what was played could not be.
    std::vector<Span> spans() const;
    std::uint64_t lost() const { return lostSamples.load(); }

    // The audio thread: `count` samples of a track of so many channels, from this place on. Only a
    // renderer may `wait` until there is room. `yields`: what was captured before stays.
    void add(const float* const* in, int channels, int count, std::int64_t position, bool wait,
             bool yields = false) noexcept;

private:
    struct Piece {
        std::uint32_t take = 0;
        std::int64_t position = 0;
        int frames = 0, channels = 0;
        bool yields = false;
    };
    static constexpr int pieceFrames = 2048;
    static constexpr std::size_t pieces = 4096, samples = 1 << 21;
    struct Queue {
        Fifo<Piece> heads{pieces};
        Fifo<float> audio{samples};
    };

    void run();
    void drain();

    std::unique_ptr<Queue> made; // when it is needed first; then it stays
    std::atomic<Queue*> queue{nullptr};
    std::atomic<std::uint32_t> active{0}; // number of the take; 0: none
    std::uint32_t takes = 0;
    std::atomic<std::uint64_t> lostSamples{0};
    std::atomic<bool> quit{false};
    std::thread thread;
    std::vector<float> planes, frames; // the draining thread's

    mutable std::mutex mutex; // of the take, while the thread runs
    std::unique_ptr<Take> take;
};

} // namespace lars
