// SPDX-License-Identifier: GPL-3.0-or-later
// Each drum's note and sensitivity, for MIDI out.
#pragma once

#include "parameters/Parameters.h"
#include "ui/Look.h"

namespace lars {

class MidiPanel : public juce::Component {
public:
    explicit MidiPanel(juce::AudioProcessorValueTreeState& state);
    ~MidiPanel() override { setLookAndFeel(nullptr); }

    void resized() override;

private:
    using State = juce::AudioProcessorValueTreeState;
    struct Row {
        juce::Label name;
        juce::ComboBox note;
        juce::Slider sensitivity;
        std::unique_ptr<State::ComboBoxAttachment> noteTie;
        std::unique_ptr<State::SliderAttachment> sensitivityTie;
    };

    juce::SharedResourcePointer<Look> look;
    juce::Label noteTitle, sensitivityTitle;
    std::array<Row, busCount> rows;
};

} // namespace lars
