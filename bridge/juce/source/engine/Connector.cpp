// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/Connector.h"

#include <algorithm>

#include "engine/StreamSession.h"

namespace lars {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr int backOff[] = {20, 50, 100, 200, 500, 1000, 2000};
constexpr int longestSleep = 20; // so that the queues do not fill up

} // namespace

Connector::Connector(std::string clientName, Exchange& exchange, LinkBoard& orders,
                     ChainDesk& effects, LaunchPolicy& policy)
    : name(std::move(clientName)), shared(exchange), board(orders), chains(effects),
      launch(policy) {
    thread = std::thread([this] { run(); }); // when all else is made
}

Connector::~Connector() {
    quit.store(true);
    shared.hopeful.store(false);
    shared.link.wake();
    thread.join();
}

void Connector::run() {
    for (std::size_t tries = 0; !quit.load();) {
        try {
            Connection connection(findEngine(), name, shared.link);
            tries = 0;
            board.connected(connection.engine());
            serve(connection);
            return;
        } catch (const EngineError& error) {
            const auto now = Clock::now();
            const auto decision = launch.decide(board.wantsStream(), error.what(), now);
            shared.hopeful.store(launch.isHopeful(now));
            board.tell(decision.starting ? LinkState::starting : LinkState::away, decision.problem);
        } catch (const protocol::ProtocolError& error) {
            shared.hopeful.store(launch.isHopeful(Clock::now()));
            board.tell(LinkState::away, std::string("the engine speaks another language (") +
                                            error.what() + "); update the older of the two");
        }
        pause(backOff[std::min(tries++, std::size(backOff) - 1)]);
    }
}

// Until the plugin ends; throws when the connection does.
void Connector::serve(Connection& connection) {
    StreamSession session(connection, shared, board, chains);
    try {
        while (!quit.load()) {
            launch.found();
            session.step();
            board.freeRetired();
        }
    } catch (...) {
        if (session.isOpen())
            launch.lost(Clock::now());
        board.lost();
        throw;
    }
}

// So long, or until there is something new to do.
void Connector::pause(int limit) {
    const auto until = Clock::now() + milliseconds(limit);
    const auto before = board.newest();
    for (auto now = Clock::now(); now < until; now = Clock::now()) {
        discardUp();
        board.freeRetired();
        const auto left = std::chrono::duration_cast<milliseconds>(until - now).count() + 1;
        shared.link.sleep(static_cast<int>(std::min<long long>(left, longestSleep)));
        if (quit.load() || launch.requested() || board.newest() != before)
            return;
    }
}

void Connector::discardUp() {
    AudioPiece head;
    while (shared.up.read(head))
        shared.upAudio.read(nullptr, std::size_t{head.frames} * head.channels);
}

} // namespace lars
