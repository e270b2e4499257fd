// SPDX-License-Identifier: GPL-3.0-or-later
// The parameters that a stream depends on. A new one is a member here and a row in the .cpp file.
#pragma once

#include <juce_audio_processors/juce_audio_processors.h>

#include "parameters/VersionedChoices.h"

namespace lars {

struct StreamChoices {
    int model = 0;    // of the live stream: place in the engine's list
    int files = 0;    // likewise, of offline mode and of files
    int mode = 0;     // 0 live, 1 offline, 2 rendered
    int quality = 0;  // of offline: 0 the model's own, 1 fast, 2 balanced, 3 best
    int fallback = 0; // 0 dry, 1 silent
    int midi = 0;     // 1: hits are played as MIDI
};

inline constexpr std::size_t streamChoiceCount = sizeof(StreamChoices) / sizeof(int);

// Follows the plugin's parameters. Hosts set them on any thread; JUCE stores the value and then
// calls the listener, on the same thread.
class StreamParameters : public VersionedChoices<StreamChoices, streamChoiceCount>,
                         private juce::AudioProcessorValueTreeState::Listener {
public:
    explicit StreamParameters(juce::AudioProcessorValueTreeState& parameters);
    ~StreamParameters() override;
    StreamParameters(const StreamParameters&) = delete;
    StreamParameters& operator=(const StreamParameters&) = delete;

private:
    void parameterChanged(const juce::String&, float) override { changed(); }

    juce::AudioProcessorValueTreeState& state;
};

} // namespace lars
