// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/MidiPanel.h"

namespace lars {
namespace {
constexpr int rowHeight = 32, nameWidth = 70, noteWidth = 110;
}

MidiPanel::MidiPanel(juce::AudioProcessorValueTreeState& state) {
    setLookAndFeel(&look.get());
    setTitle("MIDI out");
    for (const auto& [label, text] : std::initializer_list<std::pair<juce::Label*, const char*>>{
             {&noteTitle, "Note"}, {&sensitivityTitle, "Sensitivity, %"}}) {
        addAndMakeVisible(label);
        label->setText(text, juce::dontSendNotification);
        label->setFont(Look::font(13.0f));
        label->setColour(juce::Label::textColourId, palette::quiet);
    }
    for (std::size_t i = 0; i < rows.size(); ++i) {
        auto& row = rows[i];
        const juce::String stem = busStems[i];
        row.name.setText(stemTitle(stem), juce::dontSendNotification);
        row.name.setFont(Look::font(14.0f));
        row.name.setColour(juce::Label::textColourId, stemColour(stem));
        if (const auto* notes =
                dynamic_cast<juce::AudioParameterChoice*>(state.getParameter(ids::note(stem))))
            row.note.addItemList(notes->choices, 1);
        row.note.setTitle(stemTitle(stem) + " note");
        row.sensitivity.setTitle(stemTitle(stem) + " sensitivity");
        row.sensitivity.setSliderStyle(juce::Slider::LinearHorizontal);
        row.sensitivity.setTextBoxStyle(juce::Slider::TextBoxRight, false, 52, 22);
        row.sensitivity.setTooltip("Below 50, softer, and only the hits that are sure; above, harder");
        for (auto* part : std::initializer_list<juce::Component*>{&row.name, &row.note,
                                                                  &row.sensitivity})
            addAndMakeVisible(part);
        row.noteTie = std::make_unique<State::ComboBoxAttachment>(state, ids::note(stem), row.note);
        row.sensitivityTie =
            std::make_unique<State::SliderAttachment>(state, ids::sensitivity(stem), row.sensitivity);
        row.sensitivity.setDoubleClickReturnValue(true, 50.0);
    }
    setSize(440, 20 + rowHeight * busCount + 16);
}

void MidiPanel::resized() {
    auto area = getLocalBounds().reduced(8);
    auto top = area.removeFromTop(20);
    top.removeFromLeft(nameWidth);
    noteTitle.setBounds(top.removeFromLeft(noteWidth));
    top.removeFromLeft(8);
    sensitivityTitle.setBounds(top);
    for (auto& row : rows) {
        auto line = area.removeFromTop(rowHeight).reduced(0, 2);
        row.name.setBounds(line.removeFromLeft(nameWidth));
        row.note.setBounds(line.removeFromLeft(noteWidth));
        line.removeFromLeft(8);
        row.sensitivity.setBounds(line);
    }
}

} // namespace lars
