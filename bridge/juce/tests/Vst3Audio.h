// SPDX-License-Identifier: GPL-3.0-or-later
// What the hosts that send a file of audio through the plugin have in common.
#pragma once

#include <cstdio>
#include <fstream>
#include <string>

#include "Vst3Plugin.h"

namespace lars {

inline std::string titleOf(const Vst::ParameterInfo& info) {
    std::string title;
    for (const auto* letter = info.title; *letter != 0; ++letter)
        title += static_cast<char>(*letter);
    return title;
}

inline Point valueOf(Plugin& plugin, const std::string& title, double value) {
    for (int32 i = 0; i < plugin.controller->getParameterCount(); ++i) {
        Vst::ParameterInfo info{};
        plugin.controller->getParameterInfo(i, info);
        if (titleOf(info) == title) {
            Point point;
            point.id = info.id;
            point.value = value;
            return point;
        }
    }
    throw std::runtime_error("no parameter " + title);
}

// "<parameter title>=<value>".
inline Point valueOf(Plugin& plugin, const std::string& pair) {
    const auto at = pair.find('=');
    return valueOf(plugin, pair.substr(0, at), std::stod(pair.substr(at + 1)));
}

inline std::vector<char> readBytes(const std::string& file) {
    std::ifstream stream(file, std::ios::binary);
    if (!stream)
        throw std::runtime_error("cannot read " + file);
    return {std::istreambuf_iterator<char>(stream), {}};
}

// Stereo, interleaved.
inline std::vector<float> readFloats(const std::string& file) {
    const auto bytes = readBytes(file);
    std::vector<float> result(bytes.size() / sizeof(float));
    std::memcpy(result.data(), bytes.data(), result.size() * sizeof(float));
    return result;
}

// A block of it from a frame on, with silence before the beginning and behind the end.
inline void fillFrom(Buses& in, const std::vector<float>& audio, long from, int32 block) {
    const auto frames = static_cast<long>(audio.size() / 2);
    for (std::size_t channel = 0; channel < 2; ++channel)
        for (int32 i = 0; i < block; ++i)
            in.samples[channel][static_cast<std::size_t>(i)] =
                from + i >= 0 && from + i < frames
                    ? audio[static_cast<std::size_t>(2 * (from + i)) + channel]
                    : 0.0f;
}

// A block of silence in a render, which settles what was changed, and so the latency.
inline bool settle(Plugin& plugin, Buses& in, Vst::ProcessData& data, Changes& changes, double rate,
                   int32 block) {
    if (!plugin.prepare(rate, block, Vst::kOffline) ||
        plugin.component->setActive(true) != kResultOk)
        return false;
    plugin.processor->setProcessing(true);
    data.processMode = Vst::kOffline;
    data.inputParameterChanges = &changes;
    in.fill(0.0f);
    plugin.processor->process(data);
    plugin.processor->setProcessing(false);
    plugin.component->setActive(false);
    data.inputParameterChanges = nullptr;
    return true;
}

// A program's exit status: the work's, or 3 where it throws.
template <typename Work>
int run(const Work& work) {
    try {
        return work();
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 3;
    }
}

} // namespace lars
