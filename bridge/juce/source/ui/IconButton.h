// SPDX-License-Identifier: GPL-3.0-or-later
// Play or stop, and the loop, as drawings.
#pragma once

#include "ui/Look.h"

namespace lars {

class IconButton : public juce::Button {
public:
    enum class Icon { play, loop };

    IconButton(const juce::String& name, Icon which) : Button(name), icon(which) {
        setTitle(name);
        setMouseClickGrabsKeyboardFocus(false);
    }

    void paintButton(juce::Graphics& g, bool over, bool down) override;

private:
    Icon icon;
};

} // namespace lars
