// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/IconButton.h"

namespace lars {

void IconButton::paintButton(juce::Graphics& g, bool over, bool down) {
    const bool on = getToggleState();
    getLookAndFeel().drawButtonBackground(
        g, *this,
        findColour(on ? juce::TextButton::buttonOnColourId : juce::TextButton::buttonColourId),
        over, down);
    g.setColour(
        (on ? palette::ground : palette::text).withMultipliedAlpha(isEnabled() ? 1.0f : 0.4f));
    const auto area = getLocalBounds().toFloat().withSizeKeepingCentre(14.0f, 14.0f);
    if (icon == Icon::play && on) {
        g.fillRect(area.reduced(1.0f));
        return;
    }
    if (icon != Icon::play && icon != Icon::loop) {
        paintSign(g, area);
        return;
    }
    juce::Path path;
    if (icon == Icon::play) {
        path.addTriangle(area.getX() + 2.0f, area.getY(), area.getX() + 2.0f, area.getBottom(),
                         area.getRight(), area.getCentreY());
        g.fillPath(path);
        return;
    }
    // Two bent arrows, one after the other.
    const auto turn = juce::AffineTransform::rotation(juce::MathConstants<float>::pi,
                                                      area.getCentreX(), area.getCentreY());
    const float left = area.getX() - 1.0f, right = area.getRight() - 2.0f;
    const float top = area.getY() + 2.0f;
    juce::Path line, head;
    line.startNewSubPath(left, area.getCentreY() + 1.0f);
    line.lineTo(left, top);
    line.lineTo(right - 3.0f, top);
    head.addTriangle(right - 3.0f, top - 3.5f, right - 3.0f, top + 3.5f, right + 2.0f, top);
    for (int half = 0; half < 2; ++half) {
        g.strokePath(line, juce::PathStrokeType(2.0f));
        g.fillPath(head);
        line.applyTransform(turn);
        head.applyTransform(turn);
    }
}

// An arrow that bends back, its mirror image, and plus and minus.
void IconButton::paintSign(juce::Graphics& g, juce::Rectangle<float> area) const {
    if (icon == Icon::closer || icon == Icon::wider) {
        g.fillRect(area.withSizeKeepingCentre(12.0f, 2.0f));
        if (icon == Icon::closer)
            g.fillRect(area.withSizeKeepingCentre(2.0f, 12.0f));
        return;
    }
    juce::Path line, head;
    const float left = area.getX(), top = area.getY() + 4.0f;
    line.startNewSubPath(left + 3.0f, top);
    line.lineTo(area.getRight() - 5.0f, top);
    line.quadraticTo(area.getRight(), top, area.getRight(), top + 4.0f);
    line.quadraticTo(area.getRight(), top + 8.0f, area.getRight() - 5.0f, top + 8.0f);
    line.lineTo(left + 4.0f, top + 8.0f);
    head.addTriangle(left + 4.0f, top - 4.0f, left + 4.0f, top + 4.0f, left - 1.0f, top);
    if (icon == Icon::redo)
        for (auto* path : {&line, &head})
            path->applyTransform(
                juce::AffineTransform::scale(-1.0f, 1.0f, area.getCentreX(), 0.0f));
    g.strokePath(line, juce::PathStrokeType(2.0f));
    g.fillPath(head);
}

} // namespace lars
