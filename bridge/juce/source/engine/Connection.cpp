// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/Connection.h"

namespace lars {
namespace {

constexpr std::size_t readBytes = 1 << 18;
constexpr auto pingAfter = std::chrono::seconds(1);
constexpr auto lostAfter = std::chrono::seconds(10);
constexpr auto greetWithin = std::chrono::seconds(5);

} // namespace

Connection::Connection(const Address& address, const std::string& clientName, Waker& waker)
    : wakes(waker), socket(address), in(readBytes) {
    protocol::Hello hello;
    hello.client = clientName.substr(0, protocol::maxName);
    hello.token = address.token;
    ask(hello);
    const auto deadline = Clock::now() + greetWithin;
    while (!greeted) {
        if (Clock::now() > deadline)
            throw EngineError(connectionLost,
                              "the engine does not answer; see: lars serve --status");
        pump(50);
        auto message = next();
        if (!message)
            continue;
        if (const auto* error = std::get_if<protocol::Error>(&*message))
            throw EngineError(error->code, error->message);
        auto* answer = std::get_if<protocol::Welcome>(&*message);
        if (answer == nullptr)
            throw protocol::ProtocolError("expected WELCOME");
        if (answer->version < protocol::oldest || answer->version > protocol::newest)
            throw protocol::ProtocolError("WELCOME names version " +
                                          std::to_string(answer->version));
        welcome = std::move(*answer);
        decoder.expect(version());
        greeted = true;
    }
}

void Connection::send(const protocol::Message& message) {
    protocol::encode(message, out, version());
}

void Connection::sendAudio(const float* const* channels, std::uint16_t channelCount,
                           std::uint32_t frames, std::uint64_t position, std::uint32_t epoch) {
    protocol::encodeAudio(channels, channelCount, frames, position, epoch, out, version());
}

void Connection::pump(int milliseconds, bool read) {
    write();
    if (milliseconds > 0)
        socket.wait(read, unsent() > 0, wakes, milliseconds);
    write();
    if (read) {
        receive();
        askForLife();
    } else {
        heard = Clock::now(); // nobody listens: silence says nothing
    }
}

void Connection::write() {
    while (unsent() > 0) {
        std::size_t sent = 0;
        try {
            sent = socket.send(out.data() + outStart, unsent());
        } catch (const EngineError&) {
            receive(); // an engine that closes says why before: that is the better error
            while (next())
                ;
            throw;
        }
        if (sent == 0)
            break;
        outStart += sent;
    }
    if (unsent() == 0) {
        out.clear();
        outStart = 0;
    } else if (outStart > (std::size_t{1} << 20)) {
        out.erase(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(outStart));
        outStart = 0;
    }
}

void Connection::receive() {
    const auto got = socket.receive(in.data(), in.size());
    if (got == 0)
        return;
    heard = Clock::now();
    pinged = false;
    decoder.feed(in.data(), got);
}

void Connection::askForLife() {
    const auto silence = Clock::now() - heard;
    if (!greeted || silence < pingAfter)
        return;
    if (silence > lostAfter)
        throw EngineError(connectionLost,
                          "the engine has not answered for 10 s; see: lars serve --status");
    if (!pinged) {
        pinged = true;
        ask(protocol::Ping{});
    }
}

std::optional<protocol::Message> Connection::next() {
    while (auto message = decoder.next()) {
        if (std::holds_alternative<protocol::Pong>(*message))
            continue;
        if (const auto* error = std::get_if<protocol::Error>(&*message);
            error != nullptr && error->fatal != 0)
            throw EngineError(error->code, error->message);
        return message;
    }
    return std::nullopt;
}

} // namespace lars
