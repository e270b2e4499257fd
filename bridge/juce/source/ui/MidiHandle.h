// SPDX-License-Identifier: GPL-3.0-or-later
// A small handle by which a stem's hits are dragged out of the window as a MIDI file.
#pragma once

#include <juce_gui_basics/juce_gui_basics.h>

namespace lars {

class MidiHandle : public juce::Component, public juce::SettableTooltipClient {
public:
    static constexpr int width = 46;

    MidiHandle();

    void show(bool ready, const juce::String& tip);
    std::function<void()> onDragOut;
    std::function<void()> onClick; // where there is nothing to drag

    void paint(juce::Graphics& graphics) override;
    void mouseDown(const juce::MouseEvent& event) override;
    void mouseDrag(const juce::MouseEvent& event) override;

private:
    bool present = false, dragging = false;
};

// Files, by their paths, out of the window into another program.
void dragFilesOut(const juce::StringArray& paths, juce::Component& from);

} // namespace lars
