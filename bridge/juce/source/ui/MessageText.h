// SPDX-License-Identifier: GPL-3.0-or-later
// What is wrong and what to do, in full: as many lines as it takes, to be selected and copied.
#pragma once

#include "ui/Look.h"

namespace lars {

class MessageText : public juce::Component {
public:
    MessageText();

    void say(const juce::String& text, juce::Colour colour);
    juce::String text() const { return editor.getText(); }

    void resized() override;

private:
    juce::TextEditor editor;
    juce::TextButton copy{"Copy"};
    juce::Colour shown;
};

} // namespace lars
