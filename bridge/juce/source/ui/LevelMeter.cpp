// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/LevelMeter.h"

namespace lars {

float LevelMeter::at(float decibels) const {
    const float share = place ? place(decibels) : (decibels - lowest) / (highest - lowest);
    return static_cast<float>(getWidth()) * juce::jlimit(0.0f, 1.0f, share);
}

void LevelMeter::update(float left, float right, double seconds) {
    const float peaks[] = {left, right};
    red = juce::jmax(left, right) > 1.0f ? redSeconds : juce::jmax(0.0, red - seconds);
    bool changed = std::exchange(drawnRed, red > 0.0) != (red > 0.0);
    for (std::size_t i = 0; i < 2; ++i) {
        const float now = juce::Decibels::gainToDecibels(peaks[i], lowest);
        shown[i] = juce::jmax(now, shown[i] - fall * static_cast<float>(seconds), lowest);
        const int x = juce::roundToInt(at(shown[i]));
        changed = std::exchange(drawn[i], x) != x || changed;
    }
    if (changed)
        repaint();
}

void LevelMeter::paint(juce::Graphics& g) {
    const auto first = at(lowest), last = at(highest), full = at(0.0f);
    const float height = (static_cast<float>(getHeight()) - 1.0f) / 2.0f;
    for (std::size_t i = 0; i < 2; ++i) {
        const juce::Rectangle<float> all(first, static_cast<float>(i) * (height + 1.0f),
                                         last - first, height);
        g.setColour(palette::well);
        g.fillRect(all);
        g.setColour(bar);
        g.fillRect(all.withRight(juce::jmin(at(shown[i]), full)));
        if (at(shown[i]) > full) {
            g.setColour(palette::bad);
            g.fillRect(all.withLeft(full).withRight(at(shown[i])));
        }
    }
    g.setColour(red > 0.0 ? palette::bad : palette::line);
    g.fillRect(full, 0.0f, red > 0.0 ? 3.0f : 1.0f, static_cast<float>(getHeight()));
}

} // namespace lars
