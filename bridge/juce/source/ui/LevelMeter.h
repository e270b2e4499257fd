// SPDX-License-Identifier: GPL-3.0-or-later
// A peak meter of two thin bars, in dB below full scale; it falls slowly, and stays red for a while
// after it was full.
#pragma once

#include "player/PeakMeter.h"
#include "ui/Look.h"

namespace lars {

class LevelMeter : public juce::Component, public juce::SettableTooltipClient {
public:
    // Where a level is from left to right, 0 to 1, may be given by a fader beside it.
    std::function<float(float decibels)> place;

    void setColour(juce::Colour colour) { bar = colour; }
    // The levels since the last time, many times a second; 1 is full scale.
    void update(float left, float right, double seconds);
    // In dB; what is shown.
    float level() const { return juce::jmax(shown[0], shown[1]); }

    void paint(juce::Graphics& graphics) override;

    static constexpr float lowest = -60.0f, highest = 12.0f; // dB
    static constexpr float fall = 24.0f;                     // dB in a second
    static constexpr double redSeconds = 2.0;

private:
    juce::Colour bar{palette::accent};
    std::array<float, 2> shown{lowest, lowest};
    double red = 0.0;
    int drawn[2] = {0, 0};
    bool drawnRed = false;
    float at(float decibels) const;
};

} // namespace lars
