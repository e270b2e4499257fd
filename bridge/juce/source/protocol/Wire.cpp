// SPDX-License-Identifier: GPL-3.0-or-later
#include "protocol/Wire.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

namespace lars::protocol {

static_assert(std::numeric_limits<float>::is_iec559 && sizeof(float) == 4 && sizeof(double) == 8);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the wire is little-endian, and so must this machine be"
#endif

namespace {

constexpr std::uint64_t anyValue = std::numeric_limits<std::uint64_t>::max();

[[noreturn]] void fail(const std::string& what) {
    throw ProtocolError(what);
}

template <typename Number>
void append(Bytes& out, Number value) {
    std::uint8_t bytes[sizeof(Number)];
    std::memcpy(bytes, &value, sizeof value);
    out.insert(out.end(), bytes, bytes + sizeof value);
}

template <typename Number>
void checkNumber(const char* name, Number value, std::uint64_t top) {
    if constexpr (std::is_floating_point_v<Number>) {
        if (!std::isfinite(value))
            fail(std::string(name) + " is not finite");
    } else if (value > top) {
        fail(std::string(name) + " is out of range");
    }
}

void checkText(const char* name, const std::string& text, std::size_t most) {
    if (text.size() > most ||
        !isText(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()))
        fail(std::string(name) + " is too long, or not UTF-8 without NUL");
}

void checkAudio(std::size_t bytes, std::uint16_t streams, std::uint16_t channels,
                std::uint32_t frames) {
    // 16 + 16 + 32 bits: the product fits.
    const auto count = std::uint64_t{streams} * channels * frames;
    if (streams > maxStreams || channels > maxChannels || frames > maxBlock || count > maxSamples ||
        bytes != 4 * count)
        fail("the audio is not as long as it says, or longer than allowed");
}

// The longest payload a type may have.
struct Longest {
    std::size_t bytes = 0;
    template <typename Number>
    void number(const char*, Number, std::uint64_t = anyValue) {
        bytes += sizeof(Number);
    }
    void text(const char*, const std::string&, std::size_t most) { bytes += 2 + most; }
    void names(const char*, const Names&) { bytes += 2 + maxNames * (2 + maxName); }
    void rest(const char*, const Bytes&, std::size_t most) { bytes += most; }
    void audio(const char*, const std::vector<float>&, std::uint16_t, std::uint16_t,
               std::uint32_t) {
        bytes += 4 * std::size_t{maxSamples};
    }
};

struct Writer {
    Bytes& out;
    template <typename Number>
    void number(const char* name, Number value, std::uint64_t top = anyValue) {
        checkNumber(name, value, top);
        append(out, value);
    }
    void text(const char* name, const std::string& value, std::size_t most) {
        checkText(name, value, most);
        append(out, static_cast<std::uint16_t>(value.size()));
        out.insert(out.end(), value.begin(), value.end());
    }
    void names(const char* name, const Names& values) {
        if (values.size() > maxNames)
            fail(std::string(name) + " has too many entries");
        append(out, static_cast<std::uint16_t>(values.size()));
        for (const auto& value : values)
            text(name, value, maxName);
    }
    void rest(const char* name, const Bytes& value, std::size_t most) {
        if (value.size() > most)
            fail(std::string(name) + " is too long");
        out.insert(out.end(), value.begin(), value.end());
    }
    void audio(const char*, const std::vector<float>& value, std::uint16_t streams,
               std::uint16_t channels, std::uint32_t frames) {
        checkAudio(4 * value.size(), streams, channels, frames);
        const auto* bytes = reinterpret_cast<const std::uint8_t*>(value.data());
        out.insert(out.end(), bytes, bytes + 4 * value.size());
    }
};

struct Reader {
    const std::uint8_t* at;
    const std::uint8_t* end;

    std::size_t left() const { return static_cast<std::size_t>(end - at); }

    template <typename Number>
    void number(const char* name, Number& value, std::uint64_t top = anyValue) {
        if (left() < sizeof value)
            fail("the payload ends too early");
        std::memcpy(&value, at, sizeof value);
        at += sizeof value;
        checkNumber(name, value, top);
    }
    void text(const char* name, std::string& value, std::size_t most) {
        std::uint16_t length = 0;
        number(name, length);
        if (length > most || length > left() || !isText(at, length))
            fail(std::string(name) + " is too long, or not UTF-8 without NUL");
        value.assign(reinterpret_cast<const char*>(at), length);
        at += length;
    }
    void names(const char* name, Names& values) {
        std::uint16_t count = 0;
        number(name, count, maxNames);
        values.resize(count);
        for (auto& value : values)
            text(name, value, maxName);
    }
    void rest(const char* name, Bytes& value, std::size_t most) {
        if (left() > most)
            fail(std::string(name) + " is too long");
        value.assign(at, end);
        at = end;
    }
    void audio(const char*, std::vector<float>& value, std::uint16_t streams,
               std::uint16_t channels, std::uint32_t frames) {
        checkAudio(left(), streams, channels, frames);
        value.resize(left() / 4);
        if (!value.empty())
            std::memcpy(value.data(), at, left());
        at = end;
    }
};

void appendHeader(Bytes& out, std::uint8_t version, std::uint8_t type, const Head& head,
                  std::size_t length) {
    for (const char letter : {'L', 'A', 'R', 'S'})
        out.push_back(static_cast<std::uint8_t>(letter));
    append(out, version);
    append(out, type);
    append(out, head.flags);
    append(out, static_cast<std::uint32_t>(length));
    append(out, head.epoch);
    append(out, head.position);
    append(out, head.request);
    append(out, std::uint32_t{0});
}

template <typename Number>
Number take(const std::uint8_t* at) {
    Number value;
    std::memcpy(&value, at, sizeof value);
    return value;
}

// What the header says is judged for one message type; returns whether it is of that type.
template <typename Kind>
bool isOfKind(std::uint8_t type, std::uint16_t flags, std::uint32_t length) {
    if (type != Kind::type)
        return false;
    if ((flags & ~Kind::knownFlags) != 0)
        fail("undefined flags are set");
    Longest longest;
    const Kind empty{};
    Kind::fields(empty, longest);
    if (length > longest.bytes)
        fail("the payload is longer than its type allows");
    return true;
}

template <typename Kind>
Kind read(const Head& head, const std::uint8_t* at, std::size_t length) {
    Kind result;
    static_cast<Head&>(result) = head;
    Reader reader{at, at + length};
    Kind::fields(result, reader);
    if (reader.left() != 0)
        fail("the payload is longer than its fields");
    return result;
}

template <std::size_t index = 0>
std::size_t findKind(Decoder::Accept accept, std::uint8_t version, std::uint8_t type,
                     std::uint16_t flags, std::uint32_t length) {
    if constexpr (index == std::variant_size_v<Message>) {
        fail("message type " + std::to_string(type) + " is unknown, or not allowed here");
    } else {
        using Kind = std::variant_alternative_t<index, Message>;
        const bool allowed =
            (accept == Decoder::Accept::everything || Kind::fromEngine) && Kind::since <= version;
        if (allowed && isOfKind<Kind>(type, flags, length))
            return index;
        return findKind<index + 1>(accept, version, type, flags, length);
    }
}

template <std::size_t index = 0>
Message readKind(std::size_t wanted, const Head& head, const std::uint8_t* at, std::size_t length) {
    if constexpr (index + 1 < std::variant_size_v<Message>) {
        if (wanted != index)
            return readKind<index + 1>(wanted, head, at, length);
    }
    return read<std::variant_alternative_t<index, Message>>(head, at, length);
}

} // namespace

bool isText(const std::uint8_t* data, std::size_t size) {
    for (std::size_t at = 0; at < size;) {
        const std::uint8_t first = data[at++];
        if (first == 0)
            return false;
        if (first < 0x80)
            continue;
        const std::size_t more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : 1;
        if (first < 0xC2 || first > 0xF4 || more > size - at)
            return false;
        std::uint32_t code = first & (0x3Fu >> more);
        for (std::size_t i = 0; i < more; ++i, ++at) {
            if ((data[at] & 0xC0) != 0x80)
                return false;
            code = code << 6 | (data[at] & 0x3Fu);
        }
        constexpr std::uint32_t least[] = {0x80, 0x800, 0x10000};
        if (code < least[more - 1] || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000))
            return false;
    }
    return true;
}

void encode(const Message& message, Bytes& out, std::uint8_t version) {
    const auto begin = out.size();
    try {
        std::visit(
            [&](const auto& result) {
                using Kind = std::decay_t<decltype(result)>;
                if ((result.flags & ~Kind::knownFlags) != 0 || result.position > maxPosition)
                    fail("position or flags are out of range");
                constexpr bool greets = std::is_same_v<Kind, Hello> || std::is_same_v<Kind, Welcome>;
                appendHeader(out, greets ? oldest : std::max(version, Kind::since), Kind::type,
                             result, 0);
                Writer writer{out};
                Kind::fields(result, writer);
            },
            message);
    } catch (...) {
        out.resize(begin);
        throw;
    }
    const auto length = static_cast<std::uint32_t>(out.size() - begin - headerBytes);
    std::memcpy(out.data() + begin + 8, &length, sizeof length);
}

void encodeAudio(const float* const* channels, std::uint16_t channelCount, std::uint32_t frames,
                 std::uint64_t position, std::uint32_t epoch, Bytes& out, std::uint8_t version) {
    const auto bytes = std::size_t{4} * channelCount * frames;
    checkAudio(bytes, 1, channelCount, frames);
    if (position > maxPosition)
        fail("the position is out of range");
    Head head;
    head.position = position;
    head.epoch = epoch;
    appendHeader(out, version, Audio::type, head, 8 + bytes);
    append(out, std::uint16_t{1});
    append(out, channelCount);
    append(out, frames);
    for (std::uint16_t channel = 0; channel < channelCount; ++channel) {
        const auto* data = reinterpret_cast<const std::uint8_t*>(channels[channel]);
        out.insert(out.end(), data, data + std::size_t{4} * frames);
    }
}

void Decoder::feed(const std::uint8_t* data, std::size_t size) {
    if (start > 0) {
        buffer.erase(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(start));
        start = 0;
    }
    buffer.insert(buffer.end(), data, data + size);
}

std::optional<Message> Decoder::next() {
    if (broken)
        fail("the connection is not usable any more");
    const auto* const at = buffer.data() + start;
    const auto have = pending();
    try {
        for (std::size_t i = 0; i < 4 && i < have; ++i)
            if (at[i] != static_cast<std::uint8_t>("LARS"[i]))
                fail("these bytes are not the LARS protocol");
        if (have < headerBytes)
            return std::nullopt;
        const auto flags = take<std::uint16_t>(at + 6);
        const auto length = take<std::uint32_t>(at + 8);
        Head head;
        head.flags = flags;
        head.epoch = take<std::uint32_t>(at + 12);
        head.position = take<std::uint64_t>(at + 16);
        head.request = take<std::uint32_t>(at + 24);
        if (at[4] != expected)
            fail("protocol version " + std::to_string(at[4]) + ", expected " +
                 std::to_string(expected));
        if (head.position > maxPosition || take<std::uint32_t>(at + 28) != 0)
            fail("the position is out of range, or reserved bits are set");
        const auto kind = findKind(accepted, expected, at[5], flags, length);
        if (have < headerBytes + length)
            return std::nullopt;
        auto message = readKind(kind, head, at + headerBytes, length);
        start += headerBytes + length;
        return message;
    } catch (const ProtocolError&) {
        broken = true;
        throw;
    }
}

} // namespace lars::protocol
