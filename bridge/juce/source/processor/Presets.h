// SPDX-License-Identifier: GPL-3.0-or-later
// Presets of the mix: gains, pans, mutes, solos and dry/wet. Some are the plugin's, the others are
// the user's, a file each. Files come from anywhere: of one that is read, only the numbers of these
// parameters count, within their ranges.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include <juce_audio_processors/juce_audio_processors.h>

#include "processor/History.h"

namespace lars {

struct Preset {
    juce::String name;
    std::map<juce::String, float> values; // by parameter; what is missing has its default
};

namespace presets {

// The parameters that a preset has.
const juce::StringArray& parameters();
// The plugin's own.
const std::vector<Preset>& factory();

// The mix as it is.
Preset now(const juce::AudioProcessorValueTreeState& state, const juce::String& name);
// Makes it so, as one step of the history.
void apply(const Preset& preset, juce::AudioProcessorValueTreeState& state, History& history);
// Whether the mix is as the preset says.
bool isNow(const Preset& preset, const juce::AudioProcessorValueTreeState& state);

juce::String write(const Preset& preset);
// Nothing if the text is not a preset.
std::optional<Preset> read(const juce::String& text, const juce::String& name);

// lars/presets in the user's data folder, beside installed.json.
juce::File folder();
// The user's, by name.
std::vector<Preset> user();
// Complete or not at all; one of this name is replaced. What a file cannot be called is left out.
juce::Result save(Preset preset);
juce::Result remove(const juce::String& name);

inline constexpr int mostUser = 200, longestName = 60, mostBytes = 1 << 16;

} // namespace presets
} // namespace lars
