// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/MidiHandle.h"

#include "ui/Look.h"

namespace lars {
namespace {
constexpr int dragPixels = 6;
}

MidiHandle::MidiHandle() {
    setMouseClickGrabsKeyboardFocus(false);
}

void MidiHandle::show(bool ready, const juce::String& tip) {
    setTooltip(tip);
    if (ready == present)
        return;
    present = ready;
    setMouseCursor(ready ? juce::MouseCursor::DraggingHandCursor : juce::MouseCursor::NormalCursor);
    repaint();
}

void MidiHandle::paint(juce::Graphics& g) {
    const auto area = getLocalBounds().toFloat().reduced(0.5f);
    const auto colour = present ? palette::text : palette::quiet.withAlpha(0.5f);
    g.setColour(colour.withAlpha(0.5f));
    g.drawRoundedRectangle(area, 4.0f, 1.0f);
    g.setColour(colour);
    g.setFont(Look::font(12.0f));
    g.drawText("MIDI", getLocalBounds(), juce::Justification::centred, false);
}

void MidiHandle::mouseDown(const juce::MouseEvent&) {
    dragging = false;
    if (!present && onClick)
        onClick();
}

void MidiHandle::mouseDrag(const juce::MouseEvent& event) {
    if (present && onDragOut && event.getDistanceFromDragStart() > dragPixels &&
        !std::exchange(dragging, true))
        onDragOut();
}

void dragFilesOut(const juce::StringArray& paths, juce::Component& from) {
    juce::StringArray names(paths);
#if JUCE_LINUX || JUCE_BSD
    // JUCE 7.0.5 puts "file://" before a path and leaves spaces and other letters as they are.
    for (auto& name : names)
        name = juce::URL(juce::File(name)).toString(false);
#endif
    juce::DragAndDropContainer::performExternalDragDropOfFiles(names, false, &from);
}

} // namespace lars
