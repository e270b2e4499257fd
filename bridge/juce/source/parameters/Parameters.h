// SPDX-License-Identifier: GPL-3.0-or-later
// The plugin's parameters: what hosts automate.
#pragma once

#include <array>
#include <cmath>
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
// Likewise, <stem>_pan: -100 is left alone, 100 right alone.
inline juce::String pan(const juce::String& stem) {
    return stem + "_pan";
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

// What the engine calls a choice of `quality`.
inline const char* presetOf(int quality) {
    constexpr std::array<const char*, 4> presets{"", "fast", "balanced", "best"};
    return presets[static_cast<std::size_t>(juce::jlimit(0, 3, quality))];
}

inline constexpr int mostModels = 32;
inline constexpr float leastGainDb = -60.0f; // and this is silence
inline constexpr float mostGainDb = 12.0f;

// A gain as a factor: exactly 1 at 0 dB, where a parameter's own arithmetic may be a little off; 0
// for what is not a number, which hosts can set as well.
inline float gainFactor(float decibels) noexcept {
    if (!(decibels > leastGainDb))
        return 0.0f;
    return std::abs(decibels) < 0.01f ? 1.0f : std::pow(10.0f, decibels / 20.0f);
}

// The law of pan is balance, as stems are stereo: the side that it turns away from gets quieter in
// a line, the other stays. In the centre, and where it is not a number, both are exactly 1.
inline std::array<float, 2> balance(float pan) noexcept {
    if (!(std::abs(pan) >= 0.05f))
        return {1.0f, 1.0f};
    const float share = juce::jlimit(-1.0f, 1.0f, pan / 100.0f);
    return {juce::jmin(1.0f, 1.0f - share), juce::jmin(1.0f, 1.0f + share)};
}

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

// Of pan: "C", "L 30", "R 30". Text that says neither is the centre.
juce::String panText(float pan);
float panOf(const juce::String& text);

// A stem's name as people read it.
juce::String stemTitle(const juce::String& stem);

} // namespace lars
