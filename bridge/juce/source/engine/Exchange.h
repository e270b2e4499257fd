// SPDX-License-Identifier: GPL-3.0-or-later
// All that the audio thread and the engine's thread share.
//
// The numbers by which each side knows what is out of date:
//
//   number   who counts        one more with                  what is out of date then
//   order    LinkBoard         another stream ordered, the    the session opens the order anew; a
//                              same one again, a connection   wait for the order goes on until
//                              that is lost                   `answered` is its number
//   plan     LinkBoard         other latency, stems,          the session throws away audio that
//                              channels or block              was taken under another plan
//   life     StemPlayer        a restart: a reset by the      the session sends RESET; the player
//                              host, or another plan          throws away stems of other lives
//   epoch    StreamSession     OPEN and RESET                 the session throws away STEMS and
//                              (PROTOCOL.md)                  errors of other epochs
//   request  Connection        a message that is answered     the session ignores an OPENED that
//                              (PROTOCOL.md)                  answers an earlier OPEN
//
// `opened` below does not count anything: it is the order whose stream was opened last.
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
struct AudioPiece {
    std::uint32_t plan = 0;
    std::uint32_t life = 0;
    std::int64_t position = 0;
    std::uint32_t frames = 0;
    std::uint32_t channels = 0;
};
struct StemsPiece {
    std::uint32_t life = 0; // of the audio that they come from; a life has one plan only
    std::int64_t position = 0;
    std::uint32_t frames = 0;
    std::uint32_t lines = 0; // stems times channels
    bool replaced = false;   // by the engine's fallback, in part or all of it
};

// A hit in the input; or, with stem -1, that all hits before this position have come.
struct HitPiece {
    std::uint32_t life = 0;
    std::int64_t position = 0;
    int stem = -1;       // as Plan::busOf
    int shift = 0;       // in half-tones from the stem's note, for its articulation
    float velocity = 0;  // 1 to 127
    float certainty = 0; // 0 to 1
};

struct Exchange {
    static constexpr std::size_t pieces = 4096;
    static constexpr std::size_t upSamples = 1 << 19;
    static constexpr std::size_t downSamples = 1 << 21;
    static constexpr int pieceFrames = 2048; // the longest piece

    // To the engine: written by the audio thread.
    Fifo<AudioPiece> up{pieces};
    Fifo<float> upAudio{upSamples};
    // From the engine: read by the audio thread.
    Fifo<StemsPiece> down{pieces};
    Fifo<float> downAudio{downSamples};

    Fifo<HitPiece> hits{4096};

    // A plan that waits to be adopted, and plans that nobody needs any more.
    std::atomic<Plan*> pending{nullptr};
    Fifo<Plan*> retired{64};

    // The order whose stream was opened last: after a change, what was sent before is lost.
    std::atomic<std::uint32_t> opened{0};
    // Whether waiting for stems makes sense: the engine is there, or may be back in a moment.
    std::atomic<bool> hopeful{false};

    // Whether the engine is there and does not open this stream, for want of the model's weights for
    // one. What is played then is silence, so that nobody takes it for stems.
    std::atomic<bool> refused{false};

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
