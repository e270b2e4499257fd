// SPDX-License-Identifier: GPL-3.0-or-later
// The messages that version 3 of the protocol adds; see Messages.h, which has them all.
#pragma once

#include "protocol/Head.h"

namespace lars::protocol {

struct Chain : Head {
    static constexpr std::uint8_t type = 34;
    static constexpr std::uint8_t since = 3;
    static constexpr std::uint16_t knownFlags = 0;
    static constexpr bool fromEngine = false;
    std::uint16_t total = 0, states = 0;
    Bytes chains;
    template <typename Self, typename Visitor>
    static void fields(Self& self, Visitor& see) {
        see.number("total", self.total, 1);
        see.number("states", self.states, 1);
        see.rest("chains", self.chains, maxChain);
    }
};

struct ChainState : Head {
    static constexpr std::uint8_t type = 35;
    static constexpr std::uint8_t since = 3;
    static constexpr std::uint16_t knownFlags = 0;
    static constexpr bool fromEngine = true;
    std::uint32_t latency = 0, boardLatency = 0;
    std::uint16_t anew = 0, total = 0;
    Bytes chains;
    template <typename Self, typename Visitor>
    static void fields(Self& self, Visitor& see) {
        see.number("latency", self.latency);
        see.number("board_latency", self.boardLatency);
        see.number("anew", self.anew, 1);
        see.number("total", self.total, 1);
        see.rest("chains", self.chains, maxChain);
    }
};

struct Effects : Head {
    static constexpr std::uint8_t type = 58;
    static constexpr std::uint8_t since = 3;
    static constexpr std::uint16_t knownFlags = 0;
    static constexpr bool fromEngine = false;
    template <typename Self, typename Visitor>
    static void fields(Self&, Visitor&) {}
};

struct EffectsReport : Head {
    static constexpr std::uint8_t type = 59;
    static constexpr std::uint8_t since = 3;
    static constexpr std::uint16_t knownFlags = 0;
    static constexpr bool fromEngine = true;
    Bytes report;
    template <typename Self, typename Visitor>
    static void fields(Self& self, Visitor& see) {
        see.rest("report", self.report, maxChain);
    }
};

} // namespace lars::protocol
