// SPDX-License-Identifier: GPL-3.0-or-later
// Where the window and the session leave which effects are wanted, and the engine's thread what has
// come of them. One mutex guards all of it; the audio thread has nothing to do with it.
#pragma once

#include <atomic>
#include <mutex>
#include <optional>

#include "engine/Chains.h"

namespace lars {

class ChainDesk {
public:
    struct View {
        ChainReport report;               // of what the engine has; empty before it has told
        std::vector<EffectOffer> effects; // that can be added
        std::string problem;              // why the engine does not do what is wanted
        std::uint32_t news = 0;           // counts what has changed here
    };

    // Any thread but the audio thread.

    Chains wanted() const;
    void want(Chains chains);
    View view() const;
    std::uint32_t news() const;
    // Has the engine tell which effects there are.
    void askForEffects() { effectsWanted.store(true); }

    // The engine's thread.

    struct Wish {
        std::uint32_t version = 0, effects = 0; // one more with any change; with other effects
        Chains chains;
    };
    // What is wanted, if it is not this any more.
    std::optional<Wish> newerThan(std::uint32_t version) const;
    // Whether somebody has asked since the last call.
    bool takeEffectsWanted() { return effectsWanted.exchange(false); }
    void effects(std::vector<EffectOffer> offers);
    void answered(ChainReport report);
    void failed(std::string why);

private:
    mutable std::mutex mutex; // of all that follows
    Wish wish{1, 1, {}};
    View shown;

    std::atomic<bool> effectsWanted{false};
};

} // namespace lars
