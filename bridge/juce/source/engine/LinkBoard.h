// SPDX-License-Identifier: GPL-3.0-or-later
// The board: which stream is ordered, and what has come of it.
//
// Owns the newest order, the status, the latencies that are known, and the plans until the audio
// thread adopts them. One mutex guards all of it. Any thread but the audio thread puts orders here;
// the engine's thread takes them and reports.
#pragma once

#include <map>
#include <optional>

#include "engine/Exchange.h"
#include "engine/LinkStatus.h"
#include "protocol/Messages.h"

namespace lars {

class LinkBoard {
public:
    explicit LinkBoard(Exchange& exchange) : shared(exchange) {}
    ~LinkBoard();
    LinkBoard(const LinkBoard&) = delete;
    LinkBoard& operator=(const LinkBoard&) = delete;

    // Any thread but the audio thread.

    // Orders a stream, unless it is open already. There is a plan at once, dry if need be.
    void order(const StreamSettings& settings);
    // Orders the same stream again.
    void orderAgain();
    // Waits until the newest order is answered or cannot be, at most so long. Whether it is open.
    bool waitUntilReady(int milliseconds);
    LinkStatus status() const;
    // The latency of the newest plan, in samples.
    int latency() const { return newestLatency.load(); }
    std::map<std::string, int> latencies() const;
    void addLatencies(const std::map<std::string, int>& more);
    // Whether there is no engine.
    bool isAway() const;
    // Its message is taken away while there is no engine: it is about to change.
    void expectNews();
    // Has the engine tell of its models again.
    void askForOffers() { offersWanted.store(true); }
    // The newest order's number; 0 before the first.
    std::uint32_t newest() const;
    // Whether the newest order is for a stream, and not for none.
    bool wantsStream() const;

    // The engine's thread.

    struct Order {
        std::uint32_t number = 0;
        StreamSettings settings;
    };
    // The newest order if it is not this one.
    std::optional<Order> newerThan(std::uint32_t number) const;
    // The fallback that is wanted; it may change within an order.
    bool wantsSilence() const;

    void connected(const protocol::Welcome& engine);
    // Whether somebody has asked since the last call.
    bool takeOffersWanted() { return offersWanted.exchange(false); }
    void offers(std::vector<ModelOffer> models);
    // The order is lost with the connection: it counts as a new one.
    void lost();
    void opening(const std::string& model, double rate);
    // The number of the plan that the open stream follows; 0 if another stream is ordered by now.
    // `hearing`: samples from a stroke in the input until it is known; 0 where nobody listens.
    // `total`: the sum of the stems before their effects comes with them.
    std::uint32_t opened(const Order& order, const protocol::Opened& message,
                         std::uint32_t hearing = 0, bool total = false);
    void refused(const Order& order, const std::string& why);
    // The open stream has told of an error; `stopped`: it goes on only after a RESET.
    void failed(bool stopped, const std::string& why);
    void tell(LinkState state, const std::string& message);
    void add(const protocol::Statistics& figures);
    void addUnsent(std::uint32_t frames);
    // Frees the plans that the audio thread has handed back.
    void freeRetired();

private:
    void publish(int latency, const StreamSettings& settings, std::vector<std::string> stems,
                 bool hears = false, bool total = false);
    int guessLatency(const StreamSettings& settings) const;
    void orderNone(const StreamSettings& settings, bool fits);

    Exchange& shared;
    mutable std::mutex mutex; // of all that follows
    std::condition_variable changed;
    LinkStatus shown;
    StreamSettings ordered;
    std::uint32_t number = 0;   // of the newest order
    std::uint32_t answered = 0; // the order that was answered last: its stream is open or refused
    std::uint32_t plans = 0;    // how many were made, which is the newest one's number
    std::vector<std::string> planStems;
    StreamSettings planSettings;
    bool planHears = false, planTotal = false;
    std::map<std::string, int> known; // latencies

    std::atomic<int> newestLatency{0}; // any thread
    std::atomic<bool> offersWanted{false};
};

} // namespace lars
