// SPDX-License-Identifier: GPL-3.0-or-later
// Which part of the file the waveforms and rulers of a window show: all of them the same.
#pragma once

#include <juce_gui_basics/juce_gui_basics.h>

#include "player/FilePlayer.h"

namespace lars {

class TimeView {
public:
    explicit TimeView(FilePlayer& filePlayer) : player(filePlayer) {}

    // In seconds; the whole file where nothing is zoomed.
    juce::Range<double> shown() const;
    bool isZoomed() const { return shown().getLength() < player.length(); }
    double at(double x, int width) const;
    double x(double seconds, int width) const;

    void showAll();
    void zoom(double factor, double around); // above 1: closer
    void scroll(double seconds);
    // Turns the page when the place that plays has left it.
    void follow();
    // Sets the loop by a gesture: loops from now on, and from its beginning if it played elsewhere.
    void loopOver(juce::Range<double> region);

    // A region that is being drawn, not heard yet.
    juce::Range<double> drawn;
    juce::Range<double> region() const { return drawn.isEmpty() ? player.loopRegion() : drawn; }

    // The wheel over a waveform or ruler: with Ctrl closer or wider, with Shift or sideways along.
    // Whether that was meant.
    bool wheel(const juce::MouseEvent& event, const juce::MouseWheelDetails& details, int width);

    FilePlayer& player;
    static constexpr double closest = 0.1; // seconds

private:
    juce::Range<double> range; // empty: the whole file
};

} // namespace lars
