// SPDX-License-Identifier: GPL-3.0-or-later
// A greeted engine: messages out and in, on one thread, noticing when the peer is dead.
#pragma once

#include <chrono>

#include "engine/Socket.h"
#include "protocol/Wire.h"

namespace lars {

class Connection {
public:
    // Connects and greets. Throws EngineError.
    Connection(const Address& address, const std::string& clientName, Waker& waker);

    const protocol::Welcome& engine() const { return welcome; }
    // The version of the protocol that both speak; the oldest before the greeting.
    std::uint8_t version() const {
        return greeted || welcome.version != 0 ? static_cast<std::uint8_t>(welcome.version)
                                               : protocol::oldest;
    }

    // Queues a message under a request number of its own, which is returned.
    template <typename Kind>
    std::uint32_t ask(Kind message) {
        message.request = ++requests;
        send(message);
        return requests;
    }
    void send(const protocol::Message& message);
    void sendAudio(const float* const* channels, std::uint16_t channelCount, std::uint32_t frames,
                   std::uint64_t position, std::uint32_t epoch);

    // Bytes that the engine has not taken yet.
    std::size_t unsent() const { return out.size() - outStart; }

    // Sends and receives what is possible, after waiting for it at most so long. `read` false
    // leaves in the socket what comes. Throws EngineError or protocol::ProtocolError.
    void pump(int milliseconds, bool read = true);

    // Sends what the engine takes now.
    void flush() { write(); }

    // The next message, PONGs left out. A fatal ERROR is thrown as EngineError.
    std::optional<protocol::Message> next();

private:
    using Clock = std::chrono::steady_clock;
    void write();
    void receive();
    void askForLife();

    Waker& wakes;
    Socket socket;
    protocol::Decoder decoder;
    protocol::Welcome welcome;
    protocol::Bytes out, in;
    std::size_t outStart = 0;
    std::uint32_t requests = 0;
    Clock::time_point heard = Clock::now();
    bool greeted = false, pinged = false;
};

} // namespace lars
