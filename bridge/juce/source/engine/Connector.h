// SPDX-License-Identifier: GPL-3.0-or-later
// The engine's thread: finds the engine, connects, runs a stream session, and comes back after
// whatever goes wrong.
//
// Owns the thread and the time between two tries. Everything private runs on that thread.
#pragma once

#include <thread>

#include "engine/ChainDesk.h"
#include "engine/Connection.h"
#include "engine/LaunchPolicy.h"
#include "engine/LinkBoard.h"

namespace lars {

class Connector {
public:
    Connector(std::string clientName, Exchange& exchange, LinkBoard& board, ChainDesk& chains,
              LaunchPolicy& launch);
    ~Connector(); // ends the thread
    Connector(const Connector&) = delete;
    Connector& operator=(const Connector&) = delete;

private:
    void run();
    void serve(Connection& connection);
    void pause(int milliseconds);
    void discardUp();

    const std::string name;
    Exchange& shared;
    LinkBoard& board;
    ChainDesk& chains;
    LaunchPolicy& launch;
    std::atomic<bool> quit{false};
    std::thread thread;
};

} // namespace lars
