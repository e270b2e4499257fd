// SPDX-License-Identifier: GPL-3.0-or-later
// lars_vectors <file>...: what each golden frame says, one line of JSON per file; or that it is
// refused. Encoding what was decoded must give the same bytes.
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>

#include "protocol/Wire.h"

using namespace lars::protocol;

namespace {

struct Json {
    std::ostringstream out;
    Json() { out.precision(17); }
    void key(const char* name) { out << ", \"" << name << "\": "; }
    template <typename Number>
    void number(const char* name, Number value, std::uint64_t = 0) {
        key(name);
        out << +value;
    }
    void string(const std::string& value) {
        out << '"';
        for (const char letter : value) {
            if (letter == '"' || letter == '\\')
                out << '\\';
            out << letter;
        }
        out << '"';
    }
    void text(const char* name, const std::string& value, std::size_t) {
        key(name);
        string(value);
    }
    void names(const char* name, const Names& values) {
        key(name);
        out << '[';
        for (std::size_t i = 0; i < values.size(); ++i) {
            out << (i > 0 ? ", " : "");
            string(values[i]);
        }
        out << ']';
    }
    void hex(const std::uint8_t* data, std::size_t size) {
        out << '"';
        for (std::size_t i = 0; i < size; ++i)
            out << "0123456789abcdef"[data[i] >> 4] << "0123456789abcdef"[data[i] & 15];
        out << '"';
    }
    void rest(const char* name, const Bytes& value, std::size_t) {
        key(name);
        hex(value.data(), value.size());
    }
    void audio(const char* name, const std::vector<float>& value, std::uint16_t, std::uint16_t,
               std::uint32_t) {
        key(name);
        hex(reinterpret_cast<const std::uint8_t*>(value.data()), 4 * value.size());
    }
};

Bytes read(const char* path) {
    std::ifstream file(path, std::ios::binary);
    return Bytes(std::istreambuf_iterator<char>(file), {});
}

// Byte by byte, as a socket may deliver it.
Message decode(const Bytes& data) {
    Decoder decoder(Decoder::Accept::everything);
    if (data.size() > 4 && data[4] <= newest)
        decoder.expect(data[4]);
    std::optional<Message> found;
    for (std::size_t i = 0; i < data.size(); ++i) {
        if (found)
            throw ProtocolError("bytes are left over");
        decoder.feed(&data[i], 1);
        found = decoder.next();
    }
    if (!found)
        throw ProtocolError("bytes are missing");
    return *found;
}

} // namespace

int main(int count, char** files) {
    int wrong = 0;
    for (int i = 1; i < count; ++i) {
        const auto data = read(files[i]);
        try {
            const auto message = decode(data);
            Json json;
            std::visit(
                [&](const auto& result) {
                    using Kind = std::decay_t<decltype(result)>;
                    json.out << "{\"type\": " << int{Kind::type};
                    json.number("position", result.position);
                    json.number("epoch", result.epoch);
                    json.number("request", result.request);
                    json.number("flags", result.flags);
                    Kind::fields(result, json);
                    json.out << '}';
                },
                message);
            Bytes again;
            encode(message, again);
            if (again != data) {
                std::fprintf(stderr, "%s: encoded again, it differs\n", files[i]);
                wrong = 1;
            }
            std::printf("%s\n", json.out.str().c_str());
        } catch (const ProtocolError& error) {
            std::printf("{\"refused\": \"%s\"}\n", error.what());
        }
    }
    return wrong;
}
