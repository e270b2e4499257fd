// SPDX-License-Identifier: GPL-3.0-or-later
// A WAV file of 32-bit floats in memory: the file itself, so that instances that play the same one
// share it. The audio thread reads it without a call to the system.
#pragma once

#include <cstdint>
#include <memory>

#include <juce_core/juce_core.h>

namespace lars {

class MappedWav {
public:
    // Nothing where the file is not such a WAV file; `problem` says why not.
    static std::unique_ptr<MappedWav> open(const juce::File& file, juce::String& problem);

    int channels() const { return channelCount; }
    double rate() const { return sampleRate; }
    std::int64_t frames() const { return frameCount; }

    // `count` samples of a channel, which must be there. Any thread.
    void read(int channel, std::int64_t from, int count, float* to) const noexcept;

    // Of all that is audio. Reads it all, so that it is in memory afterwards.
    std::uint64_t checksum() const noexcept;

    // Has these frames in memory, as far as there are such.
    void touch(std::int64_t from, std::int64_t to) const noexcept;

private:
    explicit MappedWav(const juce::File& file);
    juce::String parse();
    juce::String parseFormat(const char* chunk, std::uint64_t size);

    juce::MemoryMappedFile map;
    const char* audio = nullptr;
    int channelCount = 0;
    double sampleRate = 0.0;
    std::int64_t frameCount = 0;
};

} // namespace lars
