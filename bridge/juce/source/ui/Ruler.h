// SPDX-License-Identifier: GPL-3.0-or-later
// The time above waveforms, and the loop in it: a drag makes a region, a drag at an end moves that
// end, a double-click takes it away, a click jumps.
#pragma once

#include "ui/TimeView.h"

namespace lars {

class Ruler : public juce::Component, public juce::SettableTooltipClient {
public:
    explicit Ruler(TimeView& view);

    void update(); // many times a second
    static constexpr int height = 20;

    void paint(juce::Graphics& graphics) override;
    void mouseMove(const juce::MouseEvent& event) override;
    void mouseDown(const juce::MouseEvent& event) override;
    void mouseDrag(const juce::MouseEvent& event) override;
    void mouseUp(const juce::MouseEvent& event) override;
    void mouseDoubleClick(const juce::MouseEvent& event) override;
    void mouseWheelMove(const juce::MouseEvent& event,
                        const juce::MouseWheelDetails& details) override;

private:
    bool isAt(double seconds, double x) const;

    TimeView& view;
    double fixed = 0.0; // the end that a drag does not move
    bool draws = false;
    juce::Range<double> paintedView, paintedRegion;
    bool paintedLoop = false;
};

// How far apart a ruler's labels are, in seconds, so that one needs so many at most.
double rulerStep(double seconds, int most);

} // namespace lars
