// SPDX-License-Identifier: GPL-3.0-or-later
#include <random>

#include "Catch.h"
#include "protocol/Wire.h"

using namespace lars::protocol;

namespace {

Bytes threeMessages() {
    Bytes data;
    Opened opened;
    opened.stems = {"kick", "snare"};
    encode(opened, data);
    Stems stems;
    stems.streams = 2;
    stems.frames = 5;
    stems.samples.assign(20, 0.25f);
    encode(stems, data);
    Error error;
    error.message = "Übung";
    encode(error, data);
    return data;
}

} // namespace

TEST_CASE("Whatever comes, the decoder gives messages that can be encoded, waits or refuses") {
    for (unsigned seed = 0; seed < 200; ++seed) {
        CAPTURE(seed);
        std::mt19937 random(seed);
        auto data = threeMessages();
        for (unsigned changes = random() % 4; changes > 0; --changes)
            data[random() % data.size()] = static_cast<std::uint8_t>(random());
        Decoder decoder(Decoder::Accept::everything);
        int found = 0;
        try {
            for (std::size_t at = 0; at < data.size();) {
                const auto part = std::min<std::size_t>(1 + random() % 50, data.size() - at);
                decoder.feed(data.data() + at, part);
                at += part;
                while (auto message = decoder.next()) {
                    Bytes again;
                    encode(*message, again);
                    ++found;
                }
                CHECK(decoder.pending() <= data.size());
            }
        } catch (const ProtocolError&) {
            CHECK_THROWS_AS(decoder.next(), ProtocolError); // a broken connection stays broken
        }
        CHECK(found <= 3);
    }
}
