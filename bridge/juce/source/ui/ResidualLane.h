// SPDX-License-Identifier: GPL-3.0-or-later
// The fader of what no stem has, below the lanes of the stems.
#pragma once

#include <juce_audio_processors/juce_audio_processors.h>

namespace lars {

class ResidualLane : public juce::Component {
public:
    static constexpr int height = 36;

    explicit ResidualLane(juce::AudioProcessorValueTreeState& state);

    // Many times a second. It is grey while it is not heard.
    void update(bool anySolo);
    bool isSoloed() const { return solo.getToggleState(); }

    void resized() override;
    void paint(juce::Graphics& graphics) override;

private:
    using State = juce::AudioProcessorValueTreeState;

    juce::Label name, info;
    juce::TextButton mute{"M"}, solo{"S"};
    juce::Slider gain;
    bool grey = false;
    std::unique_ptr<State::SliderAttachment> gainTie;
    std::unique_ptr<State::ButtonAttachment> muteTie, soloTie;
};

} // namespace lars
