// SPDX-License-Identifier: GPL-3.0-or-later
// Bytes to messages and back. No I/O, no JUCE.
#pragma once

#include <optional>
#include <stdexcept>

#include "protocol/Messages.h"

namespace lars::protocol {

// What cannot be right, and cannot be repaired: the connection has to be closed.
struct ProtocolError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// Appends a message to `out`, in the version that the connection has agreed on, or in the message's
// own if that is newer. Throws ProtocolError where a field is out of its limits.
void encode(const Message& message, Bytes& out, std::uint8_t version = oldest);

// Appends an AUDIO without going through a Message: `channels` pointers to `frames` samples.
void encodeAudio(const float* const* channels, std::uint16_t channelCount, std::uint32_t frames,
                 std::uint64_t position, std::uint32_t epoch, Bytes& out,
                 std::uint8_t version = oldest);

// Whether these bytes are UTF-8 without NUL.
bool isText(const std::uint8_t* data, std::size_t size);

// Bytes in, in any pieces; messages out, in order. A header is judged before its payload is
// waited for, so that it never holds more than the longest message allowed and one piece.
class Decoder {
public:
    enum class Accept { everything, fromEngine };
    explicit Decoder(Accept accept = Accept::fromEngine) : accepted(accept) {}

    // The version that must be in the headers from now on.
    void expect(std::uint8_t version) { expected = version; }

    void feed(const std::uint8_t* data, std::size_t size);

    // The next complete message, if there is one. Throws ProtocolError at the first byte that
    // cannot be right, and ever after.
    std::optional<Message> next();

    // Bytes that wait for the rest of their message.
    std::size_t pending() const { return buffer.size() - start; }

private:
    Accept accepted;
    Bytes buffer;
    std::size_t start = 0;
    std::uint8_t expected = oldest;
    bool broken = false;
};

} // namespace lars::protocol
