// SPDX-License-Identifier: GPL-3.0-or-later
// What was heard of a track, by its place on the timeline: what was heard last at a place counts.
// In a scratch file, in pages in the order in which they were first needed, so that it costs
// neither memory nor room for what lies between. One thread at a time.
#pragma once

#include <juce_core/juce_core.h>

#include "render/Spans.h"

namespace lars {

class Take {
public:
    // From the first sample to the last there may be so much, in seconds.
    static constexpr double longest = 6.0 * 3600.0;

    Take(const juce::File& scratch, double rate, int channels);
    ~Take();
    Take(const Take&) = delete;
    Take& operator=(const Take&) = delete;

    double rate() const { return sampleRate; }
    int channels() const { return channelCount; }
    const Spans& spans() const { return heard; }

    // Interleaved frames. Whether they were taken: the disk may be full, or the place too far off.
    // `yields`: what is there already stays.
    bool put(std::int64_t position, const float* frames, int count, bool yields = false);

    // All of it, from the first sample to the last, as a WAV file of floats; silence between. By a
    // temporary name first.
    juce::Result write(const juce::File& wav);

private:
    static constexpr std::int64_t pageFrames = 1 << 16;
    bool write(std::int64_t position, const float* frames, int count);
    juce::int64 placeOf(std::int64_t page, bool make);

    juce::File file;
    double sampleRate;
    int channelCount;
    std::unique_ptr<juce::FileOutputStream> out;
    std::map<std::int64_t, juce::int64> pages; // their places in the file, in pages
    Spans heard;
};

} // namespace lars
