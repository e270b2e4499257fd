// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/EngineLink.h"

namespace lars {

EngineLink::EngineLink(std::string clientName)
    : connector(std::move(clientName), shared, board, desk, launch) {}

void EngineLink::configure(const StreamSettings& settings) {
    board.order(settings);
    shared.link.wake();
}

bool EngineLink::waitUntilReady(int milliseconds) {
    shared.link.wake();
    return board.waitUntilReady(milliseconds);
}

void EngineLink::setChains(Chains wanted, bool restored) {
    const bool same = wanted == desk.wanted();
    desk.want(std::move(wanted));
    if (restored && !same)
        board.orderAgain();
    shared.link.wake();
}

void EngineLink::askForEffects() {
    desk.askForEffects();
    shared.link.wake();
}

void EngineLink::setCommand(const std::string& command, bool automatic) {
    if (launch.set(command, automatic, board.isAway())) {
        if (launch.requested())
            board.expectNews();
        shared.link.wake();
    }
}

void EngineLink::startEngine() {
    launch.ask();
    shared.link.wake();
}

void EngineLink::modelsChanged() {
    board.askForOffers();
    if (board.status().state == LinkState::refused)
        board.orderAgain();
    shared.link.wake();
}

void EngineLink::retry() {
    board.orderAgain();
    shared.link.wake();
}

} // namespace lars
