// SPDX-License-Identifier: GPL-3.0-or-later
// The hits of the selected file's stems as MIDI files, for dragging and saving: the engine makes
// them once the stems are there, and anew when the host has another tempo. Message thread.
#pragma once

#include <functional>

#include "player/FileSession.h"

namespace lars {

class MidiFiles {
public:
    // `tempo` says the host's, in BPM; 0 where it says none.
    MidiFiles(FileSession& session, FileJob& transcription, std::function<double()> tempo);
    ~MidiFiles();
    MidiFiles(const MidiFiles&) = delete;
    MidiFiles& operator=(const MidiFiles&) = delete;

    // Looks at what there is to do, some times a second.
    void update();

    // Whether there are files of the stems that the selected file has now.
    bool isReady() const { return made != nullptr; }
    bool isWorking() const { return !working.source.isEmpty(); }
    // Once more what went wrong.
    void retry() { failed = {}; }
    // What went wrong last, in one line; empty if nothing did.
    const juce::String& problem() const { return text; }
    // Whether this stem has hits.
    bool has(const juce::String& stem) const { return of(stem) != juce::File(); }

    // Copies that stay, as hosts may go on using them, of those stems that have hits. Empty where
    // that failed; `problem` says why.
    juce::StringArray copiesForDragging(const juce::StringArray& stems);
    // All hits in one file.
    juce::Result save(const juce::File& target) const;

private:
    // What files are made from.
    struct Order {
        juce::String source; // the stems' folder; empty: none
        double tempo = 0.0;

        bool operator==(const Order& other) const {
            return source == other.source && std::abs(tempo - other.tempo) < 0.005;
        }
    };
    struct Made {
        Order order;
        juce::Array<juce::File> files; // of all drums first
    };

    juce::File of(const juce::String& stem) const;
    Order wanted();
    void start(const Order& order);
    void finish(const FileJobStatus& status);

    FileSession& session;
    FileJob& job;
    const std::function<double()> hostTempo;
    double tempo = 0.0, seenTempo = 0.0; // in use; what the host says
    juce::uint32 seenSince = 0;
    Order working, failed;
    std::vector<std::unique_ptr<Made>> all;
    const Made* made = nullptr; // one of them
    juce::File folder;          // of everything that is made here
    int folders = 0;
    juce::String text;
};

} // namespace lars
