// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/Look.h"

namespace lars {
namespace {

constexpr float corner = 5.0f;

float alphaOf(const juce::Component& component) {
    return component.isEnabled() ? 1.0f : 0.4f;
}

} // namespace

juce::Colour stemColour(const juce::String& stem) {
    static const std::pair<const char*, juce::uint32> colours[] = {
        {"kick", 0xffff8a65}, {"snare", 0xffffd166}, {"toms", 0xff8ce99a},   {"hihat", 0xff66d9e8},
        {"ride", 0xff91a7ff}, {"crash", 0xffe599f7}, {"cymbals", 0xffe599f7}};
    for (const auto& [name, colour] : colours)
        if (stem == name)
            return juce::Colour(colour);
    return palette::accent;
}

void drawFocus(juce::Graphics& graphics, const juce::Component& component,
               juce::Rectangle<float> area, float round) {
    if (!component.hasKeyboardFocus(true))
        return;
    graphics.setColour(palette::text);
    graphics.drawRoundedRectangle(area.reduced(1.0f), round, 2.0f);
}

Look::~Look() {
    if (&juce::LookAndFeel::getDefaultLookAndFeel() == this)
        juce::LookAndFeel::setDefaultLookAndFeel(nullptr);
}

juce::Font Look::font(float height, bool bold) {
    return juce::Font(height, bold ? juce::Font::bold : juce::Font::plain);
}

// JUCE's own windows take what they need of these.
Look::Look() : LookAndFeel_V4({palette::ground, palette::card, palette::card, palette::line,
                               palette::text, palette::control, palette::ground, palette::accent,
                               palette::text}) {
    using namespace palette;
    setColour(juce::AlertWindow::backgroundColourId, card);
    setColour(juce::AlertWindow::textColourId, text);
    setColour(juce::AlertWindow::outlineColourId, line);
    setColour(juce::DirectoryContentsDisplayComponent::textColourId, text);
    setColour(juce::DirectoryContentsDisplayComponent::highlightColourId, control);
    setColour(juce::DirectoryContentsDisplayComponent::highlightedTextColourId, text);
    setColour(juce::FileBrowserComponent::currentPathBoxBackgroundColourId, control);
    setColour(juce::FileBrowserComponent::currentPathBoxTextColourId, text);
    setColour(juce::FileBrowserComponent::currentPathBoxArrowColourId, quiet);
    setColour(juce::FileBrowserComponent::filenameBoxBackgroundColourId, well);
    setColour(juce::FileBrowserComponent::filenameBoxTextColourId, text);
    setColour(juce::FileChooserDialogBox::titleTextColourId, text);
    setColour(juce::ListBox::backgroundColourId, well);
    setColour(juce::ResizableWindow::backgroundColourId, ground);
    setColour(juce::DocumentWindow::textColourId, text);
    setColour(juce::Label::textColourId, text);
    setColour(juce::TextButton::buttonColourId, control);
    setColour(juce::TextButton::buttonOnColourId, accent);
    setColour(juce::TextButton::textColourOffId, text);
    setColour(juce::TextButton::textColourOnId, ground);
    setColour(juce::ToggleButton::textColourId, text);
    setColour(juce::ToggleButton::tickColourId, accent);
    setColour(juce::ComboBox::backgroundColourId, control);
    setColour(juce::ComboBox::textColourId, text);
    setColour(juce::ComboBox::arrowColourId, quiet);
    setColour(juce::PopupMenu::backgroundColourId, card);
    setColour(juce::PopupMenu::textColourId, text);
    setColour(juce::PopupMenu::highlightedBackgroundColourId, control);
    setColour(juce::PopupMenu::highlightedTextColourId, text);
    setColour(juce::Slider::trackColourId, accent);
    setColour(juce::Slider::backgroundColourId, line);
    setColour(juce::Slider::thumbColourId, text);
    setColour(juce::Slider::textBoxTextColourId, text);
    setColour(juce::Slider::textBoxOutlineColourId, juce::Colours::transparentBlack);
    setColour(juce::TextEditor::highlightedTextColourId, text);
    setColour(juce::TextEditor::backgroundColourId, well);
    setColour(juce::TextEditor::textColourId, text);
    setColour(juce::TextEditor::highlightColourId, accent.withAlpha(0.4f));
    setColour(juce::TextEditor::outlineColourId, line);
    setColour(juce::TextEditor::focusedOutlineColourId, text);
    setColour(juce::CaretComponent::caretColourId, accent);
    setColour(juce::ScrollBar::thumbColourId, line);
    setColour(juce::ListBox::textColourId, text);
    setColour(juce::BubbleComponent::backgroundColourId, control);
    setColour(juce::BubbleComponent::outlineColourId, line);
    setColour(juce::Slider::rotarySliderFillColourId, accent);
    setColour(juce::Slider::rotarySliderOutlineColourId, line);
    setColour(juce::GroupComponent::textColourId, text);
    setColour(juce::GroupComponent::outlineColourId, line);
    setColour(juce::TooltipWindow::backgroundColourId, control);
    setColour(juce::TooltipWindow::textColourId, text);
}

void Look::drawButtonBackground(juce::Graphics& g, juce::Button& button, const juce::Colour& colour,
                                bool over, bool down) {
    const auto area = button.getLocalBounds().toFloat().reduced(0.5f);
    auto fill = colour.withMultipliedAlpha(alphaOf(button));
    if (button.isEnabled() && (over || down))
        fill = fill.brighter(down ? 0.25f : 0.12f);
    g.setColour(fill);
    g.fillRoundedRectangle(area, corner);
    drawFocus(g, button, area, corner);
}

void Look::drawButtonText(juce::Graphics& g, juce::TextButton& button, bool, bool) {
    g.setFont(getTextButtonFont(button, button.getHeight()));
    g.setColour(button
                    .findColour(button.getToggleState() ? juce::TextButton::textColourOnId
                                                        : juce::TextButton::textColourOffId)
                    .withMultipliedAlpha(alphaOf(button)));
    g.drawFittedText(button.getButtonText(), button.getLocalBounds().reduced(4, 0),
                     juce::Justification::centred, 1, 0.8f);
}

void Look::drawToggleButton(juce::Graphics& g, juce::ToggleButton& button, bool over, bool) {
    auto area = button.getLocalBounds().toFloat();
    auto box =
        area.removeFromLeft(juce::jmin(area.getHeight(), 22.0f)).withSizeKeepingCentre(16, 16);
    const float alpha = alphaOf(button);
    g.setColour(button.getToggleState()
                    ? button.findColour(juce::ToggleButton::tickColourId).withMultipliedAlpha(alpha)
                    : palette::control.brighter(over ? 0.2f : 0.0f).withMultipliedAlpha(alpha));
    g.fillRoundedRectangle(box, 4.0f);
    g.setColour(palette::line.brighter(0.3f).withMultipliedAlpha(alpha));
    g.drawRoundedRectangle(box, 4.0f, 1.0f);
    if (button.getToggleState()) {
        juce::Path tick;
        tick.startNewSubPath(box.getX() + 4.0f, box.getCentreY());
        tick.lineTo(box.getX() + 7.0f, box.getBottom() - 4.5f);
        tick.lineTo(box.getRight() - 3.5f, box.getY() + 4.5f);
        g.setColour(palette::ground);
        g.strokePath(tick, juce::PathStrokeType(2.0f));
    }
    g.setFont(font(14.0f));
    g.setColour(button.findColour(juce::ToggleButton::textColourId).withMultipliedAlpha(alpha));
    g.drawFittedText(button.getButtonText(), area.withTrimmedLeft(4.0f).toNearestInt(),
                     juce::Justification::centredLeft, 1, 0.8f);
    drawFocus(g, button, button.getLocalBounds().toFloat(), corner);
}

void Look::drawComboBox(juce::Graphics& g, int width, int height, bool, int, int, int, int,
                        juce::ComboBox& box) {
    const auto area = juce::Rectangle<int>(width, height).toFloat().reduced(0.5f);
    g.setColour(box.findColour(juce::ComboBox::backgroundColourId)
                    .brighter(box.isMouseOver(true) ? 0.12f : 0.0f)
                    .withMultipliedAlpha(alphaOf(box)));
    g.fillRoundedRectangle(area, corner);
    const float x = area.getRight() - 15.0f, y = area.getCentreY();
    juce::Path arrow;
    arrow.startNewSubPath(x - 4.0f, y - 2.0f);
    arrow.lineTo(x, y + 2.5f);
    arrow.lineTo(x + 4.0f, y - 2.0f);
    g.setColour(box.findColour(juce::ComboBox::arrowColourId).withMultipliedAlpha(alphaOf(box)));
    g.strokePath(arrow, juce::PathStrokeType(1.8f));
    drawFocus(g, box, area, corner);
}

void Look::positionComboBoxText(juce::ComboBox& box, juce::Label& label) {
    label.setBounds(4, 0, box.getWidth() - 28, box.getHeight());
    label.setFont(getComboBoxFont(box));
}

void Look::drawLinearSlider(juce::Graphics& g, int x, int y, int width, int height, float position,
                            float, float, juce::Slider::SliderStyle, juce::Slider& slider) {
    const float alpha = alphaOf(slider);
    const float middle = static_cast<float>(y) + 0.5f * static_cast<float>(height);
    const auto track = juce::Rectangle<float>(static_cast<float>(x), middle - 2.0f,
                                              static_cast<float>(width), 4.0f);
    g.setColour(slider.findColour(juce::Slider::backgroundColourId).withMultipliedAlpha(alpha));
    g.fillRoundedRectangle(track, 2.0f);
    g.setColour(slider.findColour(juce::Slider::trackColourId).withMultipliedAlpha(alpha));
    g.fillRoundedRectangle(track.withRight(position), 2.0f);
    const float radius = slider.isMouseOverOrDragging() ? 7.5f : 6.5f;
    g.setColour(slider.isEnabled() ? slider.findColour(juce::Slider::thumbColourId)
                                   : palette::line);
    g.fillEllipse(
        juce::Rectangle<float>(2.0f * radius, 2.0f * radius).withCentre({position, middle}));
    drawFocus(g, slider, slider.getLocalBounds().toFloat(), corner);
}

void Look::drawRotarySlider(juce::Graphics& g, int x, int y, int width, int height, float position,
                            float startAngle, float endAngle, juce::Slider& slider) {
    const float alpha = alphaOf(slider);
    const auto area = juce::Rectangle<int>(x, y, width, height).toFloat();
    const float radius = juce::jmin(area.getWidth(), area.getHeight()) / 2.0f - 3.0f;
    const auto centre = area.getCentre();
    const auto arc = [&](float from, float to, juce::Colour colour) {
        juce::Path path;
        path.addCentredArc(centre.x, centre.y, radius, radius, 0.0f, from, to, true);
        g.setColour(colour.withMultipliedAlpha(alpha));
        g.strokePath(path, juce::PathStrokeType(3.0f));
    };
    const float middle = 0.5f * (startAngle + endAngle);
    const float angle = startAngle + position * (endAngle - startAngle);
    arc(startAngle, endAngle, slider.findColour(juce::Slider::rotarySliderOutlineColourId));
    if (std::abs(angle - middle) > 0.01f)
        arc(juce::jmin(middle, angle), juce::jmax(middle, angle),
            slider.findColour(juce::Slider::rotarySliderFillColourId));
    g.setColour(slider.isEnabled() ? palette::text : palette::line);
    const auto tip = centre.getPointOnCircumference(radius + 1.0f, angle);
    g.drawLine({centre.getPointOnCircumference(radius - 6.0f, angle), tip}, 2.0f);
    drawFocus(g, slider, slider.getLocalBounds().toFloat(), corner);
}

void Look::drawTextEditorOutline(juce::Graphics& g, int width, int height,
                                 juce::TextEditor& editor) {
    if (editor.isReadOnly())
        return; // a text to read and to copy
    const bool focused = editor.hasKeyboardFocus(true);
    g.setColour(focused ? palette::text : palette::line);
    g.drawRect(0, 0, width, height, focused ? 2 : 1);
}

void Look::drawProgressBar(juce::Graphics& g, juce::ProgressBar&, int width, int height,
                           double progress, const juce::String& text) {
    const auto area = juce::Rectangle<int>(width, height).toFloat();
    g.setColour(palette::well);
    g.fillRoundedRectangle(area, corner);
    g.setColour(palette::accent.withMultipliedAlpha(0.55f));
    g.fillRoundedRectangle(area.withWidth(static_cast<float>(width) *
                                          static_cast<float>(juce::jlimit(0.0, 1.0, progress))),
                           corner);
    g.setColour(palette::text);
    g.setFont(font(13.0f));
    g.drawText(text, area, juce::Justification::centred);
}

} // namespace lars
