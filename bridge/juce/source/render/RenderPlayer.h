// SPDX-License-Identifier: GPL-3.0-or-later
// Plays a render's stems where the host is. The audio thread reads them from memory; it allocates
// nothing, waits for nobody and calls nothing of the system.
#pragma once

#include <atomic>
#include <optional>

#include "engine/Fifo.h"
#include "engine/Plan.h"
#include "render/MappedWav.h"
#include "render/Spans.h"

namespace lars {

// A render in memory, at the host's rate. It never changes.
struct Rendering {
    std::vector<int> bus{0, 1, 2, 3, 4, 5}; // of each stem, as Plan::busOf
    std::vector<std::unique_ptr<MappedWav>> stems; // none: only the fallback is heard
    std::int64_t start = 0;                 // where they begin on the timeline
    std::vector<Span> spans;                // what of them is to be heard, from their start on
};

class RenderPlayer {
public:
    RenderPlayer() : current(new Rendering) {}
    ~RenderPlayer();
    RenderPlayer(const RenderPlayer&) = delete;
    RenderPlayer& operator=(const RenderPlayer&) = delete;

    // One thread at a time, and never the audio thread.

    void publish(std::unique_ptr<Rendering> next);
    // Frees what the audio thread has handed back; whether it has taken over what was published.
    bool freeRetired();
    // Has what is to be heard soon in memory, in case the system has put it away.
    void tend(const Rendering& rendering) const;

    // Any thread.

    // Where the host is, in samples; the second is whether it plays.
    std::int64_t hostPosition() const { return position.load(); }
    bool hostPlays() const { return playing.load(); }
    // Samples that were played and that no stem was there for.
    std::uint64_t missing() const { return missingSamples.load(); }

    // The audio thread.

    // Takes over another render if there is one. First of all in a block.
    void adopt() noexcept;
    const std::vector<int>& bus() const { return current->bus; }
    // Where the host is, before its block.
    void follow(std::int64_t hostPosition, bool plays) noexcept {
        position.store(hostPosition);
        playing.store(plays);
    }
    // `count` samples of each stem's channels, from this place on the timeline; nothing: the host
    // stands still. Where there are no stems, each is an equal share of the input if `dry`, else
    // silence.
    void give(const float* const* in, int channels, std::optional<std::int64_t> at, int count,
              float* const* stems, bool dry) noexcept;

private:
    void giveShares(const float* const* in, int channels, int from, int count,
                    float* const* stems, bool dry) noexcept;
    void giveStems(int channels, std::int64_t frame, int from, int count,
                   float* const* stems) noexcept;

    Rendering* current; // the audio thread's
    std::atomic<Rendering*> pending{nullptr};
    Fifo<Rendering*> retired{64};
    std::atomic<std::int64_t> position{0};
    std::atomic<bool> playing{false};
    std::atomic<std::uint64_t> missingSamples{0};
};

} // namespace lars
