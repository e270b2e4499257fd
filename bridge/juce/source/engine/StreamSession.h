// SPDX-License-Identifier: GPL-3.0-or-later
// The stream in one connection.
//
// Owns what is known of the stream that is open: its order, its place in the audio, the stems that
// are on their way. Opens the stream that is ordered and moves audio between the connection and the
// queues of the audio thread. On the engine's thread only; it ends with the connection.
#pragma once

#include <chrono>

#include "engine/ChainDesk.h"
#include "engine/Connection.h"
#include "engine/LinkBoard.h"

namespace lars {

class StreamSession {
public:
    StreamSession(Connection& connection, Exchange& exchange, LinkBoard& board,
                  ChainDesk& chains);

    // One turn: what is to be sent and what has come, after a wait for it. Throws as Connection.
    void step();

    bool isOpen() const { return plan != 0; }

private:
    using Clock = std::chrono::steady_clock;
    void open();
    void close();
    void handle(protocol::Message& message);
    void opened(const protocol::Opened& message);
    void askToHear();
    void openedAndHears(std::uint32_t latency);
    bool askForChains();
    void chained(const protocol::ChainState& state);
    void hit(const protocol::Hit& message);
    void failed(const protocol::Error& error);
    void moveUp();
    void send(const AudioPiece& head);
    bool moveDown();
    void dropStems();
    int waitTime();

    Connection& connection;
    Exchange& shared;
    LinkBoard& board;
    ChainDesk& chains;

    LinkBoard::Order order;        // that this stream carries out
    std::uint32_t openRequest = 0; // of its OPEN
    bool asked = false;            // OPEN was sent, and no CLOSE
    std::uint32_t hearRequest = 0; // of its HEAR; 0: none is on its way
    protocol::Opened answer;       // to OPEN, with the latencies of the effects behind the stems
    std::uint32_t hearLatency = 0; // of the hits; 0: none come
    std::uint32_t chainRequest = 0;               // of a CHAIN; 0: none is on its way
    std::uint32_t chainVersion = 0, chainEffects = 0; // of the wish that was sent last
    bool total = false;            // the sum of the stems comes with them
    bool halted = false;           // the engine waits for RESET
    std::uint32_t plan = 0;        // 0: not open
    std::uint32_t epoch = 0;       // of the wire
    std::uint32_t life = 0;        // of the audio thread; 0: nothing was sent yet
    std::int64_t expected = 0;     // position of the next audio
    bool stopped = false;          // an offline stream that failed waits for the next life
    protocol::Stems coming;        // on its way into the queue
    std::uint32_t given = 0;       // frames of it that are
    std::uint64_t blocks = 0;      // that the audio thread had processed at the last look
    Clock::time_point active = Clock::now(), requested = Clock::now();
    std::vector<float> piece;
};

} // namespace lars
