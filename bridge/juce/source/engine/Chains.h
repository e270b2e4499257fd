// SPDX-License-Identifier: GPL-3.0-or-later
// The effects behind the stems: what is wanted, and what the engine tells of them (PROTOCOL.md,
// "EFFECTS and CHAIN"). Sessions come from anywhere, so nothing here names a path.
#pragma once

#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "protocol/Head.h"

namespace lars {

struct ChainEntry {
    std::string id;     // ours, once in its chain
    std::string effect; // as the engine names it
    std::string name;   // of a plugin in a file that holds several
    std::string state;  // of a plugin on disk, in base64
    bool bypass = false;
    std::map<std::string, double> values; // of the parameters that were changed

    bool sameEffect(const ChainEntry& other) const {
        return std::tie(id, effect, name) == std::tie(other.id, other.effect, other.name);
    }
    bool operator==(const ChainEntry& other) const {
        return sameEffect(other) && std::tie(state, bypass, values) ==
                                        std::tie(other.state, other.bypass, other.values);
    }
};
using Chain = std::vector<ChainEntry>;
using Chains = std::map<std::string, Chain>; // by stem; none is empty

constexpr std::size_t mostEffects = 16; // per stem

// Whether both have the same effects in the same order.
bool sameEffects(const Chains& one, const Chains& other);

// The JSON of a CHAIN, and of a session; without the states of plugins where they are not needed.
std::string writeChains(const Chains& chains, bool withStates);
// What is not as it should be is left out.
Chains readChains(const std::string& text);

struct EffectParameter {
    std::string name, title, unit;
    std::string text; // what the value means; empty: the number says it
    std::vector<std::string> choices;
    double low = 0.0, high = 1.0, standard = 0.0, value = 0.0;
    bool logarithmic = false;
};

// An effect as it is in the engine.
struct EffectReport {
    std::string id, error, state;
    std::vector<std::string> names; // of the plugins in its file, one of which is to be chosen
    std::vector<EffectParameter> parameters;
    int latency = 0; // samples
};
using ChainReport = std::map<std::string, std::vector<EffectReport>>;

ChainReport readChainReport(const protocol::Bytes& report);

// An effect that can be added.
struct EffectOffer {
    std::string effect, title;
    bool onDisk = false;
    std::vector<EffectParameter> parameters;
};

std::vector<EffectOffer> readEffects(const protocol::Bytes& report);

} // namespace lars
