// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/MessageText.h"

namespace lars {

MessageText::MessageText() {
    addAndMakeVisible(editor);
    addChildComponent(copy);
    editor.setMultiLine(true, true);
    editor.setReadOnly(true);
    editor.setCaretVisible(false);
    editor.setScrollbarsShown(true);
    editor.setPopupMenuEnabled(true);
    editor.setFont(Look::font(14.0f));
    editor.setIndents(0, 1);
    editor.setBorder({});
    editor.setTitle("Message");
    for (const int id : {juce::TextEditor::backgroundColourId, juce::TextEditor::outlineColourId,
                         juce::TextEditor::shadowColourId,
                         juce::TextEditor::focusedOutlineColourId})
        editor.setColour(id, juce::Colours::transparentBlack);
    copy.setTitle("Copy the message");
    copy.setTooltip("Copy this text");
    copy.setMouseClickGrabsKeyboardFocus(false);
    copy.onClick = [this] { juce::SystemClipboard::copyTextToClipboard(editor.getText()); };
}

// Only what is new, or a selection would not last.
void MessageText::say(const juce::String& line, juce::Colour colour) {
    if (editor.getText() != line) {
        editor.setColour(juce::TextEditor::textColourId, colour);
        editor.setText(line, false);
        editor.applyColourToAllText(colour);
        editor.setCaretPosition(0);
        copy.setVisible(line.isNotEmpty());
        shown = colour;
        resized();
    } else if (std::exchange(shown, colour) != colour) {
        editor.applyColourToAllText(colour);
    }
}

void MessageText::resized() {
    auto area = getLocalBounds();
    if (copy.isVisible())
        copy.setBounds(area.removeFromRight(56).removeFromTop(24));
    area.removeFromRight(6);
    editor.setBounds(area);
}

} // namespace lars
