// SPDX-License-Identifier: GPL-3.0-or-later
// The messages that version 2 of the protocol adds; see Messages.h, which has them all.
#pragma once

#include "protocol/Head.h"

namespace lars::protocol {

struct Hear : Head {
    static constexpr std::uint8_t type = 30;
    static constexpr std::uint8_t since = 2;
    static constexpr std::uint16_t knownFlags = 0;
    static constexpr bool fromEngine = false;
    std::uint16_t on = 0, reserved = 0;
    template <typename Self, typename Visitor>
    static void fields(Self& self, Visitor& see) {
        see.number("on", self.on, 1);
        see.number("reserved", self.reserved, 0);
    }
};

struct Hearing : Head {
    static constexpr std::uint8_t type = 31;
    static constexpr std::uint8_t since = 2;
    static constexpr std::uint16_t knownFlags = 0;
    static constexpr bool fromEngine = true;
    std::uint32_t latency = 0;
    template <typename Self, typename Visitor>
    static void fields(Self& self, Visitor& see) {
        see.number("latency", self.latency);
    }
};

struct Hit : Head {
    static constexpr std::uint8_t type = 32;
    static constexpr std::uint8_t since = 2;
    static constexpr std::uint16_t knownFlags = 0;
    static constexpr bool fromEngine = true;
    std::uint16_t velocity = 100, reserved = 0;
    double confidence = 0.0;
    std::string stem, articulation;
    template <typename Self, typename Visitor>
    static void fields(Self& self, Visitor& see) {
        see.number("velocity", self.velocity, 127);
        see.number("reserved", self.reserved, 0);
        see.number("confidence", self.confidence);
        see.text("stem", self.stem, maxName);
        see.text("articulation", self.articulation, maxName);
    }
};

struct Heard : Head {
    static constexpr std::uint8_t type = 33;
    static constexpr std::uint8_t since = 2;
    static constexpr std::uint16_t knownFlags = 0;
    static constexpr bool fromEngine = true;
    template <typename Self, typename Visitor>
    static void fields(Self&, Visitor&) {}
};

struct Fetch : Head {
    static constexpr std::uint8_t type = 52;
    static constexpr std::uint8_t since = 2;
    static constexpr std::uint16_t knownFlags = 0;
    static constexpr bool fromEngine = false;
    std::string model;
    template <typename Self, typename Visitor>
    static void fields(Self& self, Visitor& see) {
        see.text("model", self.model, maxName);
    }
};

struct Fetched : Head {
    static constexpr std::uint8_t type = 53;
    static constexpr std::uint8_t since = 2;
    static constexpr std::uint16_t knownFlags = 0;
    static constexpr bool fromEngine = true;
    std::string file;
    template <typename Self, typename Visitor>
    static void fields(Self& self, Visitor& see) {
        see.text("file", self.file, maxPath);
    }
};

struct Convert : Head {
    static constexpr std::uint8_t type = 54;
    static constexpr std::uint8_t since = 2;
    static constexpr std::uint16_t knownFlags = 0;
    static constexpr bool fromEngine = false;
    double sampleRate = 0.0;
    std::string bits, source, target;
    template <typename Self, typename Visitor>
    static void fields(Self& self, Visitor& see) {
        see.number("sample_rate", self.sampleRate);
        see.text("bits", self.bits, maxName);
        see.text("source", self.source, maxPath);
        see.text("target", self.target, maxPath);
    }
};

struct Converted : Head {
    static constexpr std::uint8_t type = 55;
    static constexpr std::uint8_t since = 2;
    static constexpr std::uint16_t knownFlags = 0;
    static constexpr bool fromEngine = true;
    std::uint32_t sampleRate = 0;
    std::uint16_t channels = 2, reserved = 0;
    std::uint64_t frames = 0;
    template <typename Self, typename Visitor>
    static void fields(Self& self, Visitor& see) {
        see.number("sample_rate", self.sampleRate);
        see.number("channels", self.channels, maxChannels);
        see.number("reserved", self.reserved, 0);
        see.number("frames", self.frames);
    }
};

struct Transcribe : Head {
    static constexpr std::uint8_t type = 56;
    static constexpr std::uint8_t since = 2;
    static constexpr std::uint16_t knownFlags = 0;
    static constexpr bool fromEngine = false;
    double tempo = 0.0;
    std::string source, folder;
    std::vector<std::string> stems;
    template <typename Self, typename Visitor>
    static void fields(Self& self, Visitor& see) {
        see.number("tempo", self.tempo);
        see.text("source", self.source, maxPath);
        see.text("folder", self.folder, maxPath);
        see.names("stems", self.stems);
    }
};

struct Transcribed : Head {
    static constexpr std::uint8_t type = 57;
    static constexpr std::uint8_t since = 2;
    static constexpr std::uint16_t knownFlags = 0;
    static constexpr bool fromEngine = true;
    std::uint32_t hits = 0;
    std::string folder;
    std::vector<std::string> files;
    template <typename Self, typename Visitor>
    static void fields(Self& self, Visitor& see) {
        see.number("hits", self.hits);
        see.text("folder", self.folder, maxPath);
        see.names("files", self.files);
    }
};

} // namespace lars::protocol
