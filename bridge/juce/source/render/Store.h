// SPDX-License-Identifier: GPL-3.0-or-later
// The renders on this machine: a folder each in lars/renders of the user's data folder, named by
// its number, with the captured track, the stems and a description. Sessions keep the number alone.
#pragma once

#include <optional>

#include <juce_core/juce_core.h>

#include "render/Spans.h"

namespace lars {

// A stem's file, <name>.wav, and what MappedWav::checksum says of it.
struct StemRecord {
    juce::String name;
    std::uint64_t checksum = 0;
};

struct RenderRecord {
    double rate = 44100.0;     // of its files
    int channels = 2;
    std::int64_t frames = 0;   // of each file
    std::int64_t start = 0;    // where they begin on the timeline, in samples at `startRate`
    double startRate = 44100.0;
    std::vector<Span> spans;   // what of the files was captured, from their first sample on
    juce::String source;       // the file that it comes from; empty for a capture
    juce::String model, preset; // that made the stems
    std::vector<StemRecord> stems; // none before it is separated

    // Where it begins, in samples at another rate.
    std::int64_t startAt(double otherRate) const;
    // Its spans in samples at another rate.
    std::vector<Span> spansAt(double otherRate) const;
    // Its spans on the timeline, in samples at `startRate`.
    std::vector<Span> onTimeline() const;
};

namespace store {

// Whether this is a render's number: 32 hexadecimal digits. A session may say anything.
bool isId(const juce::String& text);

juce::File root();
juce::File folderOf(const juce::String& id);
// The captured track.
juce::File sourceOf(const juce::String& id);
// The stems at a rate; those at the render's own are what the engine made.
juce::File stemsOf(const juce::String& id, const RenderRecord& record, double rate);

// A folder for a new render, open to nobody else; `id` is its number.
juce::Result make(juce::String& id);
// Nothing where there is no such render, or its description is damaged; `problem` says so.
std::optional<RenderRecord> read(const juce::String& id, juce::String& problem);
juce::Result write(const juce::String& id, const RenderRecord& record);
juce::Result remove(const juce::String& id);
// A copy of a file under another name, which takes no room where the disk can do that.
juce::Result copy(const juce::File& from, const juce::File& to);

} // namespace store

} // namespace lars
