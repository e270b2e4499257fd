// SPDX-License-Identifier: GPL-3.0-or-later
// The hits that have come and are not played yet, in order. The audio thread's; nothing allocates.
#pragma once

#include <algorithm>
#include <array>

#include "engine/Exchange.h"

namespace lars {

class HitQueue {
public:
    // Forgets all; a new life begins at position 0.
    void restart() {
        count = 0;
        heard = 0;
    }

    void take(const HitPiece& piece) {
        if (piece.stem < 0) {
            heard = std::max(heard, piece.position);
        } else if (count < waiting.size()) {
            auto at = count++;
            for (; at > 0 && waiting[at - 1].position > piece.position; --at)
                waiting[at] = waiting[at - 1];
            waiting[at] = piece;
        }
    }

    // Whether no hit before this position is still to come.
    bool complete(std::int64_t end) const { return heard >= end; }

    // Hands on the hits before this position, first to last, and forgets them.
    template <typename Visitor>
    void give(std::int64_t end, Visitor&& visit) {
        std::size_t due = 0;
        while (due < count && waiting[due].position < end)
            visit(waiting[due++]);
        std::copy(waiting.begin() + static_cast<std::ptrdiff_t>(due),
                  waiting.begin() + static_cast<std::ptrdiff_t>(count), waiting.begin());
        count -= due;
    }

private:
    std::array<HitPiece, 1024> waiting;
    std::size_t count = 0;
    std::int64_t heard = 0;
};

} // namespace lars
