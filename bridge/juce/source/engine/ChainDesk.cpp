// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/ChainDesk.h"

namespace lars {
namespace {
using Guard = std::lock_guard<std::mutex>;
} // namespace

Chains ChainDesk::wanted() const {
    const Guard lock(mutex);
    return wish.chains;
}

void ChainDesk::want(Chains chains) {
    const Guard lock(mutex);
    for (auto chain = chains.begin(); chain != chains.end();)
        chain = chain->second.empty() ? chains.erase(chain) : std::next(chain);
    if (!sameEffects(chains, wish.chains))
        ++wish.effects;
    wish.chains = std::move(chains);
    ++wish.version;
    ++shown.news;
}

ChainDesk::View ChainDesk::view() const {
    const Guard lock(mutex);
    return shown;
}

std::uint32_t ChainDesk::news() const {
    const Guard lock(mutex);
    return shown.news;
}

std::optional<ChainDesk::Wish> ChainDesk::newerThan(std::uint32_t version) const {
    const Guard lock(mutex);
    return wish.version == version ? std::nullopt : std::optional<Wish>(wish);
}

void ChainDesk::effects(std::vector<EffectOffer> offers) {
    const Guard lock(mutex);
    shown.effects = std::move(offers);
    ++shown.news;
}

// What a plugin keeps beside its parameters goes into the session.
void ChainDesk::answered(ChainReport report) {
    const Guard lock(mutex);
    for (auto& [stem, chain] : wish.chains)
        for (auto& entry : chain)
            for (const auto& one : report[stem])
                if (one.id == entry.id && !one.state.empty())
                    entry.state = one.state;
    shown.report = std::move(report);
    shown.problem.clear();
    ++shown.news;
}

void ChainDesk::failed(std::string why) {
    const Guard lock(mutex);
    shown.problem = std::move(why);
    ++shown.news;
}

} // namespace lars
