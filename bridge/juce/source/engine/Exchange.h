// SPDX-License-Identifier: GPL-3.0-or-later
// All that the audio thread and the engine's thread share.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>

#include "engine/Fifo.h"
#include "engine/Plan.h"
#include "engine/Socket.h"

namespace lars {

// Audio or stems in a queue: this, and its samples beside it in another queue.
struct Piece {
    std::uint32_t plan = 0;
    std::uint32_t life = 0; // of the stream; the audio thread starts a new one at each reset
    std::int64_t position = 0;
    std::uint32_t frames = 0;
    std::uint32_t lines = 0; // channels, or stems times channels
};

struct Exchange {
    static constexpr std::size_t pieces = 4096;
    static constexpr std::size_t upSamples = 1 << 19;
    static constexpr std::size_t downSamples = 1 << 21;
    static constexpr int pieceFrames = 2048; // the longest piece

    // To the engine: written by the audio thread.
    Fifo<Piece> up{pieces};
    Fifo<float> upAudio{upSamples};
    // From the engine: read by the audio thread.
    Fifo<Piece> down{pieces};
    Fifo<float> downAudio{downSamples};

    // A plan that waits to be adopted, and plans that nobody needs any more.
    std::atomic<Plan*> pending{nullptr};
    Fifo<Plan*> retired{64};

    // Counts the streams opened: after a change, what was sent before is lost.
    std::atomic<std::uint32_t> generation{0};
    // Whether waiting for stems makes sense: the engine is there, or may be back in a moment.
    std::atomic<bool> hopeful{false};

    // Figures of the audio thread, in samples.
    std::atomic<std::uint64_t> missing{0}, late{0}, unsent{0};
    std::atomic<std::uint64_t> blocks{0};

    // Only for renderers that wait.
    std::atomic<bool> waiting{false};
    Waker link;

    // The audio thread of a renderer: until something has come, or a while has passed.
    void waitForStems() {
        link.wake();
        std::unique_lock<std::mutex> lock(mutex);
        arrived.wait_for(lock, std::chrono::milliseconds(5),
                         [this] { return down.available() > 0 || !hopeful.load(); });
    }
    void tellRenderer() {
        if (!waiting.load())
            return;
        const std::lock_guard<std::mutex> lock(mutex);
        arrived.notify_all();
    }

private:
    std::mutex mutex;
    std::condition_variable arrived;
};

} // namespace lars
