// SPDX-License-Identifier: GPL-3.0-or-later
// The messages of PROTOCOL.md. Each says once, in `fields`, what its payload is made of; encoder,
// decoder and everything that looks at a message go through that.
#pragma once

#include <variant>

#include "protocol/Version2.h"
#include "protocol/Version3.h"

namespace lars::protocol {

struct Hello : Head {
    static constexpr std::uint8_t type = 1;
    static constexpr std::uint16_t knownFlags = 0;
    static constexpr bool fromEngine = false;
    std::uint16_t minVersion = oldest, maxVersion = newest;
    std::string client, token;
    template <typename Self, typename Visitor>
    static void fields(Self& self, Visitor& see) {
        see.number("min_version", self.minVersion);
        see.number("max_version", self.maxVersion);
        see.text("client", self.client, maxName);
        see.text("token", self.token, maxToken);
    }
};

struct Welcome : Head {
    static constexpr std::uint8_t type = 2;
    static constexpr std::uint16_t knownFlags = 0;
    static constexpr bool fromEngine = true;
    std::uint16_t version = 0, reserved = 0;
    std::uint32_t pid = 0, maxBlock = 0, maxSessions = 0;
    std::string engine;
    Names models;
    template <typename Self, typename Visitor>
    static void fields(Self& self, Visitor& see) {
        see.number("version", self.version);
        see.number("reserved", self.reserved, 0);
        see.number("pid", self.pid);
        see.number("max_block", self.maxBlock);
        see.number("max_sessions", self.maxSessions);
        see.text("engine", self.engine, maxName);
        see.names("models", self.models);
    }
};

struct Error : Head {
    static constexpr std::uint8_t type = 3;
    static constexpr std::uint16_t knownFlags = 0;
    static constexpr bool fromEngine = true;
    std::uint16_t code = 0, fatal = 0;
    std::string message;
    template <typename Self, typename Visitor>
    static void fields(Self& self, Visitor& see) {
        see.number("code", self.code);
        see.number("fatal", self.fatal, 1);
        see.text("message", self.message, maxText);
    }
};

template <std::uint8_t number, bool engine>
struct Alive : Head {
    static constexpr std::uint8_t type = number;
    static constexpr std::uint16_t knownFlags = 0;
    static constexpr bool fromEngine = engine;
    Bytes payload;
    template <typename Self, typename Visitor>
    static void fields(Self& self, Visitor& see) {
        see.rest("payload", self.payload, maxPing);
    }
};
using Ping = Alive<4, false>;
using Pong = Alive<5, true>;

struct Open : Head {
    static constexpr std::uint8_t type = 16;
    static constexpr std::uint16_t knownFlags = 0;
    static constexpr bool fromEngine = false;
    static constexpr std::uint16_t live = 0, offline = 1, dry = 0, silence = 1;
    std::uint16_t mode = live, fallback = dry, channels = 2, reserved = 0;
    std::uint32_t maxBlock = 1024, buffering = engineChoice, step = engineChoice;
    std::uint32_t lookahead = engineChoice, batch = engineChoice;
    double sampleRate = 44100.0, overlap = 0.0;
    std::string model, preset, board;
    Names stems;
    template <typename Self, typename Visitor>
    static void fields(Self& self, Visitor& see) {
        see.number("mode", self.mode, 1);
        see.number("fallback", self.fallback, 1);
        see.number("channels", self.channels, maxChannels);
        see.number("reserved", self.reserved, 0);
        see.number("max_block", self.maxBlock);
        see.number("buffering", self.buffering);
        see.number("step", self.step);
        see.number("lookahead", self.lookahead);
        see.number("batch", self.batch);
        see.number("sample_rate", self.sampleRate);
        see.number("overlap", self.overlap);
        see.text("model", self.model, maxName);
        see.text("preset", self.preset, maxName);
        see.text("board", self.board, maxPath);
        see.names("stems", self.stems);
    }
};

struct Opened : Head {
    static constexpr std::uint8_t type = 17;
    static constexpr std::uint16_t knownFlags = 0;
    static constexpr bool fromEngine = true;
    std::uint32_t session = 0, modelRate = 0, latency = 0, modelLatency = 0;
    std::uint32_t resamplingLatency = 0, bufferingLatency = 0, boardLatency = 0;
    std::uint16_t channels = 2, reserved = 0;
    Names stems;
    template <typename Self, typename Visitor>
    static void fields(Self& self, Visitor& see) {
        see.number("session", self.session);
        see.number("model_rate", self.modelRate);
        see.number("latency", self.latency);
        see.number("model_latency", self.modelLatency);
        see.number("resampling_latency", self.resamplingLatency);
        see.number("buffering_latency", self.bufferingLatency);
        see.number("board_latency", self.boardLatency);
        see.number("channels", self.channels, maxChannels);
        see.number("reserved", self.reserved, 0);
        see.names("stems", self.stems);
    }
};

using Close = Empty<18, false>;
using Closed = Empty<19, true>;
using Reset = Empty<20, false>;
using ResetDone = Empty<21, true>;

// float32, planar: stream by stream, channel by channel.
template <std::uint8_t number, bool engine, std::uint16_t flagBits>
struct Samples : Head {
    static constexpr std::uint8_t type = number;
    static constexpr std::uint16_t knownFlags = flagBits;
    static constexpr bool fromEngine = engine;
    static constexpr std::uint16_t replaced = 1; // a flag of STEMS: some of it is the fallback
    std::uint16_t streams = 1, channels = 2;
    std::uint32_t frames = 0;
    std::vector<float> samples;
    template <typename Self, typename Visitor>
    static void fields(Self& self, Visitor& see) {
        see.number("streams", self.streams);
        see.number("channels", self.channels);
        see.number("frames", self.frames);
        see.audio("data", self.samples, self.streams, self.channels, self.frames);
    }
};
using Audio = Samples<22, false, 0>;
using Stems = Samples<23, true, 1>;

using Flush = Empty<24, false>;
using Flushed = Empty<25, true>;

template <std::uint8_t number_, bool engine>
struct Setting : Head {
    static constexpr std::uint8_t type = number_;
    static constexpr std::uint16_t knownFlags = 0;
    static constexpr bool fromEngine = engine;
    double value = 0.0;
    std::string name;
    template <typename Self, typename Visitor>
    static void fields(Self& self, Visitor& see) {
        see.number("value", self.value);
        see.text("name", self.name, maxText);
    }
};
using Parameter = Setting<26, false>;
using ParameterSet = Setting<27, true>;

using Stats = Empty<28, false>;

struct Statistics : Head {
    static constexpr std::uint8_t type = 29;
    static constexpr std::uint16_t knownFlags = 0;
    static constexpr bool fromEngine = true;
    std::uint64_t taken = 0, given = 0, replaced = 0, dropped = 0;
    std::uint32_t errors = 0, queued = 0;
    double realTimeRatio = 0.0;
    template <typename Self, typename Visitor>
    static void fields(Self& self, Visitor& see) {
        see.number("taken", self.taken);
        see.number("given", self.given);
        see.number("replaced", self.replaced);
        see.number("dropped", self.dropped);
        see.number("errors", self.errors);
        see.number("queued", self.queued);
        see.number("real_time_ratio", self.realTimeRatio);
    }
};

struct Job : Head {
    static constexpr std::uint8_t type = 48;
    static constexpr std::uint16_t knownFlags = 0;
    static constexpr bool fromEngine = false;
    std::uint16_t overwrite = 0, reserved = 0;
    double overlap = 0.0;
    std::string model, preset, bits, source, folder;
    Names stems;
    template <typename Self, typename Visitor>
    static void fields(Self& self, Visitor& see) {
        see.number("overwrite", self.overwrite, 1);
        see.number("reserved", self.reserved, 0);
        see.number("overlap", self.overlap);
        see.text("model", self.model, maxName);
        see.text("preset", self.preset, maxName);
        see.text("bits", self.bits, maxName);
        see.text("source", self.source, maxPath);
        see.text("folder", self.folder, maxPath);
        see.names("stems", self.stems);
    }
};

struct JobProgress : Head {
    static constexpr std::uint8_t type = 49;
    static constexpr std::uint16_t knownFlags = 0;
    static constexpr bool fromEngine = true;
    std::uint64_t done = 0, total = 0;
    template <typename Self, typename Visitor>
    static void fields(Self& self, Visitor& see) {
        see.number("done", self.done);
        see.number("total", self.total);
    }
};

using JobCancel = Empty<50, false>;

struct JobDone : Head {
    static constexpr std::uint8_t type = 51;
    static constexpr std::uint16_t knownFlags = 0;
    static constexpr bool fromEngine = true;
    std::string folder;
    Names files;
    template <typename Self, typename Visitor>
    static void fields(Self& self, Visitor& see) {
        see.text("folder", self.folder, maxPath);
        see.names("files", self.files);
    }
};

using Status = Empty<64, false>;

struct StatusReport : Head {
    static constexpr std::uint8_t type = 65;
    static constexpr std::uint16_t knownFlags = 0;
    static constexpr bool fromEngine = true;
    Bytes report;
    template <typename Self, typename Visitor>
    static void fields(Self& self, Visitor& see) {
        see.rest("report", self.report, maxJson);
    }
};

using Message =
    std::variant<Hello, Welcome, Error, Ping, Pong, Open, Opened, Close, Closed, Reset, ResetDone,
                 Audio, Stems, Flush, Flushed, Parameter, ParameterSet, Stats, Statistics, Job,
                 JobProgress, JobCancel, JobDone, Fetch, Fetched, Convert, Converted, Transcribe,
                 Transcribed, Hear, Hearing, Hit, Heard, Chain, ChainState, Effects,
                 EffectsReport, Status, StatusReport>;

} // namespace lars::protocol
