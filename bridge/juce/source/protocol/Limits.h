// SPDX-License-Identifier: GPL-3.0-or-later
// The constants of PROTOCOL.md, by the names it gives them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lars::protocol {

constexpr std::size_t headerBytes = 32;
constexpr std::uint8_t oldest = 1; // version; the greeting is in it for ever
constexpr std::uint8_t newest = 3;
constexpr std::uint32_t maxBlock = 65536; // samples per channel in one frame
constexpr std::uint32_t maxChannels = 8;
constexpr std::uint32_t maxStreams = 16;       // stems in one frame
constexpr std::uint32_t maxSamples = 1u << 20; // floats in one frame
constexpr std::uint64_t maxPosition = std::uint64_t{1} << 62;
constexpr std::size_t maxName = 128; // bytes of UTF-8
constexpr std::size_t maxToken = 64;
constexpr std::size_t maxText = 1024;
constexpr std::size_t maxPath = 4096;
constexpr std::size_t maxJson = 1u << 16;
constexpr std::size_t maxChain = 1u << 20; // bytes of JSON that tell of effects
constexpr std::size_t maxNames = 64; // entries of a list
constexpr std::size_t maxPing = 64;
constexpr std::uint32_t engineChoice = 0xFFFFFFFF;

} // namespace lars::protocol
