// SPDX-License-Identifier: GPL-3.0-or-later
// The plugin's parameters: what hosts automate.
#pragma once

#include <mutex>

#include <juce_audio_processors/juce_audio_processors.h>

#include "engine/Plan.h"

namespace lars {

namespace ids {
inline constexpr auto model = "model";       // of the live stream: place in the engine's list
inline constexpr auto filesModel = "files_model"; // likewise, of files and of offline mode
inline constexpr auto mode = "mode";         // live, offline, rendered
inline constexpr auto quality = "quality";   // offline: the model's own, fast, balanced, best
inline constexpr auto fallback = "fallback"; // dry, silent
inline constexpr auto mix = "mix";           // of the main output: 0 dry, 100 the stems
inline constexpr auto bypass = "bypass";
inline constexpr auto midi = "midi"; // hits in the input are played as notes
inline constexpr auto capture = "capture"; // mode rendered: the track is captured while it plays
// Per stem, and for what no stem has: <stem>_gain in dB, <stem>_mute, <stem>_solo.
inline juce::String gain(const juce::String& stem) {
    return stem + "_gain";
}
inline juce::String mute(const juce::String& stem) {
    return stem + "_mute";
}
inline juce::String solo(const juce::String& stem) {
    return stem + "_solo";
}
// Likewise, of its MIDI: <stem>_note, 0 to 127, and <stem>_sensitivity in per cent.
inline juce::String note(const juce::String& stem) {
    return stem + "_note";
}
inline juce::String sensitivity(const juce::String& stem) {
    return stem + "_sensitivity";
}
} // namespace ids

// General MIDI's notes for the drums of the buses.
inline constexpr std::array<int, busCount> standardNotes{36, 38, 47, 42, 51, 49};

inline constexpr int mostModels = 32;
inline constexpr float leastGainDb = -60.0f; // and this is silence
inline constexpr float mostGainDb = 12.0f;

// The names of the engine's models, for the text of the model parameter. Any thread.
class ModelNames {
public:
    void set(const juce::StringArray& names);
    juce::StringArray get() const;
    juce::String text(int index) const;
    int index(const juce::String& text) const; // -1 where there is none

private:
    mutable std::mutex mutex;
    juce::StringArray list;
};

juce::AudioProcessorValueTreeState::ParameterLayout makeParameters(const ModelNames& names);

// A stem's name as people read it.
juce::String stemTitle(const juce::String& stem);

} // namespace lars
