// SPDX-License-Identifier: GPL-3.0-or-later
// What a session file keeps of the plugin. Sessions and presets come from anywhere, so nothing in
// them names a program, a file, an address or anything else that the plugin would act on.
#pragma once

#include <juce_data_structures/juce_data_structures.h>

#include <map>
#include <optional>
#include <string>

#include "engine/Chains.h"
#include "processor/ModelChoice.h"

namespace lars {

struct SavedState {
    static constexpr int newest = 1;

    juce::ValueTree parameters; // invalid where there were none
    ModelChoice model, filesModel; // of the live stream; of files and of offline mode
    juce::String render, take;            // numbers of renders; empty: none
    Chains chains;                        // the effects behind the stems
    int zoom = 100;                       // of the window, per cent
    std::map<std::string, int> latencies; // of streams by their settings, in samples
};

// Whether it is safe to have JUCE parse this: it has no declarations and not too many elements.
bool isHarmlessXml(const char* text, int size);
// The parameters of a tree and nothing else, each once.
juce::ValueTree readParameters(const juce::ValueTree& read);

void saveState(const SavedState& state, juce::MemoryBlock& data);

// Nothing if the bytes are not a state of this plugin. What is missing, from another version or
// out of range becomes its default. The command for starting an engine that states had once is not
// read: it is the user's (UserSettings).
std::optional<SavedState> loadState(const void* data, int size,
                                    const juce::Identifier& parametersType);

} // namespace lars
