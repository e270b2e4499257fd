// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/ResidualLane.h"

#include "parameters/Parameters.h"
#include "ui/Look.h"
#include "ui/StemLane.h"

namespace lars {

ResidualLane::ResidualLane(juce::AudioProcessorValueTreeState& state) {
    const auto title = stemTitle(residualName);
    setTitle(title);
    for (auto* part : std::initializer_list<juce::Component*>{&name, &mute, &solo, &gain, &info}) {
        addAndMakeVisible(part);
        part->setMouseClickGrabsKeyboardFocus(false);
    }
    int order = 1;
    for (auto* part : std::initializer_list<juce::Component*>{&mute, &solo, &gain})
        part->setExplicitFocusOrder(order++);
    name.setText(title, juce::dontSendNotification);
    name.setFont(Look::font(14.0f));
    info.setText("What no stem has: with every fader at 0 dB the mix is the track.",
                 juce::dontSendNotification);
    info.setFont(Look::font(13.0f));
    info.setColour(juce::Label::textColourId, palette::quiet);
    mute.setTitle("Mute " + title);
    mute.setTooltip("Mute");
    mute.setColour(juce::TextButton::buttonOnColourId, palette::bad);
    solo.setTitle("Solo " + title);
    solo.setTooltip("Solo");
    solo.setColour(juce::TextButton::buttonOnColourId, palette::warn);
    for (auto* button : {&mute, &solo})
        button->setClickingTogglesState(true);
    gain.setTitle(title + " gain");
    gain.setSliderStyle(juce::Slider::LinearHorizontal);
    gain.setTextBoxStyle(juce::Slider::TextBoxRight, false, 62, 20);
    gain.setWantsKeyboardFocus(true);
    gain.setColour(juce::Slider::trackColourId, palette::quiet);
    gainTie = std::make_unique<State::SliderAttachment>(state, ids::gain(residualName), gain);
    muteTie = std::make_unique<State::ButtonAttachment>(state, ids::mute(residualName), mute);
    soloTie = std::make_unique<State::ButtonAttachment>(state, ids::solo(residualName), solo);
    // After the ties, which bring texts of their own.
    gain.textFromValueFunction = decibelText;
    gain.valueFromTextFunction = decibelsOf;
    gain.setDoubleClickReturnValue(true, 0.0);
    gain.updateText();
}

void ResidualLane::update(bool anySolo) {
    const bool silent = mute.getToggleState() || (anySolo && !solo.getToggleState());
    if (std::exchange(grey, silent) == silent)
        return;
    gain.setColour(juce::Slider::trackColourId,
                   grey ? palette::line.brighter(0.2f) : palette::quiet);
    name.setColour(juce::Label::textColourId, grey ? palette::quiet.darker(0.4f) : palette::text);
    repaint();
}

void ResidualLane::paint(juce::Graphics& g) {
    g.setColour(grey ? palette::quiet.withMultipliedAlpha(0.35f) : palette::quiet);
    g.fillRoundedRectangle(0.0f, 4.0f, 4.0f, static_cast<float>(getHeight()) - 8.0f, 2.0f);
}

// As the lanes of the stems.
void ResidualLane::resized() {
    auto area = getLocalBounds().reduced(0, 3);
    area.removeFromLeft(10);
    name.setBounds(area.removeFromLeft(88));
    area.removeFromLeft(4);
    mute.setBounds(area.removeFromLeft(28).withSizeKeepingCentre(28, 28));
    area.removeFromLeft(3);
    solo.setBounds(area.removeFromLeft(28).withSizeKeepingCentre(28, 28));
    area.removeFromLeft(40); // it has no pan
    const int wide = juce::jlimit(190, 280, getWidth() / 4);
    gain.setBounds(area.removeFromLeft(wide).withSizeKeepingCentre(wide, 22));
    area.removeFromLeft(10);
    info.setBounds(area.withTrimmedRight(118)); // where the section has a button
}

} // namespace lars
