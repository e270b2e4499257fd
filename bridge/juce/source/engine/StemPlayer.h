// SPDX-License-Identifier: GPL-3.0-or-later
// The audio thread's side of a stream. Nothing here waits, locks, allocates or calls the system,
// unless the host renders and `wait` is asked for.
#pragma once

#include "engine/Exchange.h"
#include "engine/HitQueue.h"

namespace lars {

class StemPlayer {
public:
    explicit StemPlayer(Exchange& exchange);
    ~StemPlayer();
    StemPlayer(const StemPlayer&) = delete;
    StemPlayer& operator=(const StemPlayer&) = delete;

    // Takes over a new plan if there is one; whether there was. First of all in a block.
    bool adopt();

    // The plan in force; nullptr before the first.
    const Plan* plan() const { return current; }

    // Forgets all audio: the next sample is the first of a new stream.
    void restart();

    // `count` samples in, as many of each stem's channels and of the delayed mixture out; at most
    // the plan's largest.
    void process(const float* const* in, int count, float* const* stems, float* const* mixture,
                 bool dry, bool wait);

    // The hits in the input that belong to the samples which `process` gave last, `count` of
    // them: `visit(hit, sample)`.
    template <typename Visitor>
    void hits(int count, Visitor&& visit) {
        queue.give(began + count, [&](const HitPiece& hit) {
            visit(hit, static_cast<int>(std::max<std::int64_t>(0, hit.position - began)));
        });
    }

private:
    void send(bool wait);
    void receive();

    Exchange& shared;
    Plan* current = nullptr;
    std::vector<float> piece; // one, on its way from the queue into the aligner
    std::uint32_t life = 0;   // restarts
    std::uint32_t opened = 0; // the order that the audio is sent for
    std::int64_t sent = 0;    // end of what went into the queue
    std::int64_t began = 0;   // position of the first sample that was given last
    HitQueue queue;
};

} // namespace lars
