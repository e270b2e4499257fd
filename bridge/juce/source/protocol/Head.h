// SPDX-License-Identifier: GPL-3.0-or-later
// What all messages have, and those that have nothing else.
#pragma once

#include <string>
#include <vector>

#include "protocol/Limits.h"

namespace lars::protocol {

using Names = std::vector<std::string>;
using Bytes = std::vector<std::uint8_t>;

// What lies in the header.
struct Head {
    static constexpr std::uint8_t since = oldest; // the version that has the message first
    std::uint64_t position = 0; // of the first sample, for audio and stems
    std::uint32_t epoch = 0;
    std::uint32_t request = 0; // an answer repeats that of its question
    std::uint16_t flags = 0;
};

// A message type without payload.
template <std::uint8_t number, bool engine>
struct Empty : Head {
    static constexpr std::uint8_t type = number;
    static constexpr std::uint16_t knownFlags = 0;
    static constexpr bool fromEngine = engine;
    template <typename Self, typename Visitor>
    static void fields(Self&, Visitor&) {}
};

} // namespace lars::protocol
