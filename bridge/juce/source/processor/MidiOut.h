// SPDX-License-Identifier: GPL-3.0-or-later
// Hits as notes: which note a drum has, how hard it is, and when it ends. The audio thread's; nothing
// allocates, as hosts' wrappers give buffers with room.
#pragma once

#include <array>
#include <atomic>

#include "engine/HitQueue.h"
#include "parameters/Parameters.h"

namespace lars {

class MidiOut {
public:
    explicit MidiOut(const juce::AudioProcessorValueTreeState& state);

    void prepare(double rate) { length = static_cast<int>(noteSeconds * rate); }
    // A note for a hit, at a sample of the block that is on its way.
    void hit(const HitPiece& hit, int sample, juce::MidiBuffer& to);
    // Ends the notes whose time has come in these samples, which begin at `start` of the block.
    void finish(int start, int count, juce::MidiBuffer& to);
    // Ends all notes now.
    void stop(juce::MidiBuffer& to);
    // The block is over, and had so many samples.
    void endBlock(int count);

    static constexpr double noteSeconds = 0.05;
    static constexpr int channel = 10; // of drums

private:
    struct Sounding {
        int note = -1, left = 0; // samples from the beginning of the block
    };
    struct Drum {
        const std::atomic<float>* note;
        const std::atomic<float>* sensitivity;
    };
    static constexpr int mostInBlock = 128; // events: what every wrapper has room for

    bool add(const juce::MidiMessage& message, int sample, juce::MidiBuffer& to);

    std::array<Drum, busCount> drums{};
    std::array<Sounding, 64> sounding{};
    int length = 2205, events = 0;
};

} // namespace lars
