// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/LinkBoard.h"

#include <algorithm>

namespace lars {
namespace {

// What is believed of latencies that a session says.
constexpr double mostLatencySeconds = 60.0;
constexpr std::size_t mostKnown = 4096;
constexpr std::int64_t mostLatency = 1 << 26;
// So long may a hit be on its way from the engine, and wait for its turn there.
constexpr double hearSeconds = 0.015;

using Guard = std::lock_guard<std::mutex>;

} // namespace

LinkBoard::~LinkBoard() {
    freeRetired();
    delete shared.pending.exchange(nullptr);
}

void LinkBoard::order(const StreamSettings& settings) {
    const Guard lock(mutex);
    if (number != 0 && settings == ordered && answered == number &&
        shown.state == LinkState::ready) {
        ordered.silence = settings.silence;
        return;
    }
    ordered = settings;
    ++number;
    const bool fits = plans != 0 && planSettings.channels == settings.channels &&
                      planSettings.block == settings.block &&
                      planSettings.idle == settings.idle;
    if (settings.idle)
        return orderNone(settings, fits);
    const int guess = guessLatency(settings);
    if (shown.state == LinkState::away)
        shown.message.clear(); // it looks again
    if (!fits || guess != newestLatency.load())
        publish(guess, settings,
                planStems.empty() ? std::vector<std::string>(busStems.begin(), busStems.end())
                                  : planStems);
}

// With the mutex held. Nobody has to answer this: there is no latency, and nothing to wait for.
void LinkBoard::orderNone(const StreamSettings& settings, bool fits) {
    answered = number;
    shared.refused.store(false);
    if (!fits || newestLatency.load() != 0)
        publish(0, settings, std::vector<std::string>(busStems.begin(), busStems.end()));
    if (shown.state == LinkState::opening || shown.state == LinkState::refused) {
        shown.state = LinkState::ready;
        shown.message.clear();
    }
    changed.notify_all();
}

void LinkBoard::orderAgain() {
    const Guard lock(mutex);
    if (number != 0)
        ++number;
    if (ordered.idle)
        answered = number;
}

bool LinkBoard::wantsStream() const {
    const Guard lock(mutex);
    return number != 0 && !ordered.idle;
}

bool LinkBoard::waitUntilReady(int limit) {
    std::unique_lock<std::mutex> lock(mutex);
    // The thread's first look around must have happened: until then it is away without a reason.
    changed.wait_for(lock, std::chrono::milliseconds(limit), [this] {
        if (answered == number)
            return true;
        return shown.state == LinkState::away && !shared.hopeful.load() && !shown.message.empty();
    });
    return answered == number && (shown.state == LinkState::ready || ordered.idle);
}

LinkStatus LinkBoard::status() const {
    const Guard lock(mutex);
    auto now = shown;
    now.latency = newestLatency.load();
    now.missing = shared.missing.load();
    now.late = shared.late.load();
    now.unsent += shared.unsent.load();
    return now;
}

std::map<std::string, int> LinkBoard::latencies() const {
    const Guard lock(mutex);
    return known;
}

void LinkBoard::addLatencies(const std::map<std::string, int>& more) {
    const Guard lock(mutex);
    if (known.size() + more.size() <= mostKnown)
        known.insert(more.begin(), more.end());
}

bool LinkBoard::isAway() const {
    const Guard lock(mutex);
    return shown.state == LinkState::away;
}

void LinkBoard::expectNews() {
    const Guard lock(mutex);
    if (shown.state == LinkState::away)
        shown.message.clear();
}

std::uint32_t LinkBoard::newest() const {
    const Guard lock(mutex);
    return number;
}

std::optional<LinkBoard::Order> LinkBoard::newerThan(std::uint32_t last) const {
    const Guard lock(mutex);
    if (number == 0 || number == last)
        return std::nullopt;
    return Order{number, ordered};
}

bool LinkBoard::wantsSilence() const {
    const Guard lock(mutex);
    return ordered.silence;
}

void LinkBoard::connected(const protocol::Welcome& engine) {
    shared.hopeful.store(true);
    const Guard lock(mutex);
    shown.engine = engine.engine;
    shown.models = engine.models;
    shown.protocol = engine.version;
    offersWanted.store(true);
    ++shown.connections;
}

void LinkBoard::offers(std::vector<ModelOffer> models) {
    const Guard lock(mutex);
    shown.offers = std::move(models);
}

void LinkBoard::lost() {
    shared.refused.store(false);
    orderAgain();
}

void LinkBoard::opening(const std::string& model, double rate) {
    shared.hopeful.store(true);
    shared.refused.store(false);
    {
        const Guard lock(mutex);
        shown.model = model;
        shown.rate = rate;
        shown.realTimeRatio = 0.0;
        shown.replaced = shown.dropped = 0;
    }
    tell(LinkState::opening, "the engine is loading " + model);
}

std::uint32_t LinkBoard::opened(const Order& order, const protocol::Opened& message,
                                std::uint32_t hearing, bool total) {
    // Offline, the engine has no time for its work in its latency. Where nobody waits for it, and
    // so that playing and rendering have the same delay, it gets half of the model's own here.
    const auto& settings = order.settings;
    auto extra = settings.offline ? std::max<std::int64_t>(settings.block, message.modelLatency / 2)
                                  : std::int64_t{0};
    // A hit is played with its sample, so that must wait until the hit is known and has come.
    if (hearing > 0) {
        const auto way = static_cast<std::int64_t>(hearSeconds * settings.rate);
        const auto needed = std::int64_t{hearing} + message.bufferingLatency + settings.block + way;
        extra = std::max(extra, needed - message.latency);
    }
    const auto latency =
        static_cast<int>(std::min<std::int64_t>(message.latency + extra, mostLatency));
    std::uint32_t plan = 0;
    {
        const Guard lock(mutex);
        known[settings.latencyKey()] = latency;
        if (order.number != number)
            return 0;
        if (latency != newestLatency.load() || message.stems != planStems ||
            planSettings.channels != settings.channels || planSettings.block != settings.block ||
            planHears != (hearing > 0) || planTotal != total)
            publish(latency, settings, message.stems, hearing > 0, total);
        shown.stems = message.stems;
        shown.modelLatency = static_cast<int>(message.modelLatency);
        shown.resamplingLatency = static_cast<int>(message.resamplingLatency);
        shown.boardLatency = static_cast<int>(message.boardLatency);
        shown.bufferingLatency = static_cast<int>(message.bufferingLatency + extra);
        answered = order.number;
        plan = plans;
    }
    shared.hopeful.store(true);
    shared.opened.store(order.number);
    tell(LinkState::ready, "");
    return plan;
}

void LinkBoard::refused(const Order& order, const std::string& why) {
    {
        const Guard lock(mutex);
        answered = order.number;
    }
    shared.refused.store(true);
    shared.hopeful.store(false);
    tell(LinkState::refused, why);
}

void LinkBoard::failed(bool stopped, const std::string& why) {
    if (stopped)
        shared.hopeful.store(false);
    {
        const Guard lock(mutex);
        ++shown.errors;
    }
    tell(stopped ? LinkState::refused : LinkState::ready, why);
}

void LinkBoard::tell(LinkState state, const std::string& message) {
    {
        const Guard lock(mutex);
        shown.state = state;
        shown.message = message;
        if (state == LinkState::away || state == LinkState::starting)
            shown.engine.clear();
    }
    changed.notify_all();
    shared.tellRenderer();
}

void LinkBoard::add(const protocol::Statistics& figures) {
    const Guard lock(mutex);
    shown.realTimeRatio = figures.realTimeRatio;
    shown.replaced = figures.replaced;
    shown.dropped = figures.dropped;
}

void LinkBoard::addUnsent(std::uint32_t frames) {
    const Guard lock(mutex);
    shown.unsent += frames;
}

void LinkBoard::freeRetired() {
    Plan* old = nullptr;
    while (shared.retired.read(old))
        delete old;
}

// With the mutex held.
void LinkBoard::publish(int latency, const StreamSettings& settings,
                        std::vector<std::string> stems, bool hears, bool total) {
    planHears = hears;
    planTotal = total;
    planStems = stems;
    planSettings = settings;
    auto result = std::make_unique<Plan>(++plans, latency, settings.channels,
                                       std::max(settings.block, 1), std::move(stems), total);
    result->hears = hears;
    result->idle = settings.idle;
    newestLatency.store(latency);
    delete shared.pending.exchange(result.release()); // one that nobody has adopted
}

// With the mutex held.
int LinkBoard::guessLatency(const StreamSettings& settings) const {
    const auto found = known.find(settings.latencyKey());
    // A session may say anything, and so much memory is taken.
    return found != known.end() && found->second <= mostLatencySeconds * settings.rate
               ? found->second
               : newestLatency.load();
}

} // namespace lars
