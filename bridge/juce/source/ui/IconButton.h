// SPDX-License-Identifier: GPL-3.0-or-later
// Play or stop, the loop, undo and redo, closer and wider, as drawings.
#pragma once

#include "ui/Look.h"

namespace lars {

class IconButton : public juce::Button {
public:
    enum class Icon { play, loop, undo, redo, closer, wider };

    IconButton(const juce::String& name, Icon which) : Button(name), icon(which) {
        setTitle(name);
        setMouseClickGrabsKeyboardFocus(false);
    }

    void paintButton(juce::Graphics& g, bool over, bool down) override;

private:
    void paintSign(juce::Graphics& g, juce::Rectangle<float> area) const;

    Icon icon;
};

} // namespace lars
