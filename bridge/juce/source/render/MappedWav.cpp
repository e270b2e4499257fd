// SPDX-License-Identifier: GPL-3.0-or-later
#include "render/MappedWav.h"

#include <cstring>

#if !JUCE_WINDOWS
#include <sys/mman.h>
#endif

namespace lars {
namespace {

constexpr std::size_t pageBytes = 4096;
constexpr std::uint64_t headBytes = 12, chunkHead = 8;
constexpr int mostChannels = 2;

template <typename T>
T numberAt(const char* at) {
    T result;
    std::memcpy(&result, at, sizeof(T));
    return result; // WAV is little-endian, and so is every machine that hosts run on
}

bool isCalled(const char* at, const char* name) {
    return std::memcmp(at, name, 4) == 0;
}

} // namespace

MappedWav::MappedWav(const juce::File& file) : map(file, juce::MemoryMappedFile::readOnly) {
#if !JUCE_WINDOWS
    // JUCE tells the system that it is read once, from its beginning to its end.
    if (map.getData() != nullptr)
        ::madvise(map.getData(), map.getSize(), MADV_NORMAL);
#endif
}

std::unique_ptr<MappedWav> MappedWav::open(const juce::File& file, juce::String& problem) {
    std::unique_ptr<MappedWav> result(new MappedWav(file));
    if (!file.existsAsFile())
        problem = file.getFullPathName() + " is not there";
    else if (result->map.getData() == nullptr)
        problem = file.getFullPathName() + " cannot be read";
    else if (const auto why = result->parse(); why.isNotEmpty())
        problem = file.getFullPathName() + " " + why;
    else
        return result;
    return nullptr;
}

juce::String MappedWav::parseFormat(const char* chunk, std::uint64_t size) {
    constexpr std::uint16_t floats = 3, extensible = 0xFFFE;
    if (size < 16)
        return "is damaged";
    auto kind = numberAt<std::uint16_t>(chunk);
    if (kind == extensible && size >= 26)
        kind = numberAt<std::uint16_t>(chunk + 24);
    channelCount = numberAt<std::uint16_t>(chunk + 2);
    sampleRate = numberAt<std::uint32_t>(chunk + 4);
    if (kind != floats || numberAt<std::uint16_t>(chunk + 14) != 32)
        return "is not of 32-bit floats";
    if (channelCount < 1 || channelCount > mostChannels || !(sampleRate > 0.0))
        return "is neither mono nor stereo";
    return {};
}

// What is wrong; empty if nothing is.
juce::String MappedWav::parse() {
    const auto* all = static_cast<const char*>(map.getData());
    const std::uint64_t size = map.getSize();
    const bool wide = size >= headBytes && isCalled(all, "RF64");
    if (size < headBytes || !(wide || isCalled(all, "RIFF")) || !isCalled(all + 8, "WAVE"))
        return "is not a WAV file";
    std::uint64_t wideSize = 0;
    for (auto at = headBytes; at + chunkHead <= size;) {
        const auto* chunk = all + at + chunkHead;
        std::uint64_t length = numberAt<std::uint32_t>(all + at + 4);
        const auto left = size - at - chunkHead;
        const bool isAudio = isCalled(all + at, "data");
        if (isAudio && wide && length == 0xFFFFFFFF)
            length = wideSize;
        if (length > left)
            return "is cut off";
        if (isCalled(all + at, "ds64") && length >= 16)
            wideSize = numberAt<std::uint64_t>(chunk + 8);
        if (isCalled(all + at, "fmt "))
            if (const auto why = parseFormat(chunk, length); why.isNotEmpty())
                return why;
        if (isAudio) {
            if (channelCount == 0)
                return "is damaged";
            audio = chunk;
            const auto step = sizeof(float) * static_cast<std::size_t>(channelCount);
            frameCount = static_cast<std::int64_t>(length / step);
            return frameCount > 0 ? juce::String() : juce::String("has no audio in it");
        }
        at += chunkHead + length + length % 2;
    }
    return "has no audio in it";
}

void MappedWav::read(int channel, std::int64_t from, int count, float* to) const noexcept {
    const auto step = sizeof(float) * static_cast<std::size_t>(channelCount);
    const auto* at = audio + static_cast<std::size_t>(from) * step +
                     sizeof(float) * static_cast<std::size_t>(channel);
    for (int i = 0; i < count; ++i, at += step)
        std::memcpy(to + i, at, sizeof(float));
}

// FNV's, over words of eight bytes.
std::uint64_t MappedWav::checksum() const noexcept {
    constexpr std::uint64_t prime = 0x100000001B3;
    std::uint64_t result = 0xCBF29CE484222325;
    const auto size = static_cast<std::size_t>(frameCount) * sizeof(float) *
                      static_cast<std::size_t>(channelCount);
    std::size_t at = 0;
    const auto add = [&](std::uint64_t word) {
        result = (result ^ word) * prime;
        result ^= result >> 32;
    };
    for (; at + 8 <= size; at += 8)
        add(numberAt<std::uint64_t>(audio + at));
    if (at < size)
        add(numberAt<std::uint32_t>(audio + at));
    return result;
}

void MappedWav::touch(std::int64_t from, std::int64_t to) const noexcept {
    const auto step = sizeof(float) * static_cast<std::size_t>(channelCount);
    const auto place = [&](std::int64_t frame) {
        return static_cast<std::size_t>(juce::jlimit<std::int64_t>(0, frameCount, frame)) * step;
    };
    const auto begin = place(from), end = place(to);
    for (auto at = begin; at < end; at += pageBytes)
        [[maybe_unused]] const volatile char unused = audio[at];
}

} // namespace lars
