// SPDX-License-Identifier: GPL-3.0-or-later
// How long a separation will still take: from how fast it goes, and nothing during the first part,
// before that is known. It never says 0 while there is something to do.
#pragma once

#include <optional>

#include <juce_core/juce_core.h>

namespace lars {

class Remaining {
public:
    static double clock() { return juce::Time::getMillisecondCounterHiRes() / 1000.0; } // seconds

    void start(double now) {
        *this = {};
        began = last = now;
    }

    // How far it is, 0 to 1, as often as one likes.
    void at(double progress, double now) {
        if (!(progress > done))
            return;
        // What comes before the first part, the model's loading for one, says nothing of the rest.
        if (firstDone <= 0.0) {
            firstDone = progress;
            first = now;
        }
        done = progress;
        last = now;
    }

    // Seconds; nothing while there is no telling.
    std::optional<double> seconds(double now) const {
        if (done <= 0.0 || done >= 1.0)
            return std::nullopt;
        // One part alone took so long at most, with what came before it.
        const double each = done > firstDone ? (last - first) / (done - firstDone)
                                             : (last - began) / done;
        return juce::jmax(0.0, each * (1.0 - done) - (now - last));
    }

    juce::String text(double now) const {
        const auto left = seconds(now);
        if (!left)
            return done >= 1.0 ? juce::String("writing the stems")
                               : "for " + juce::String(juce::roundToInt(now - began)) + " s so far";
        return words(*left);
    }

    // So many seconds.
    static juce::String words(double left) {
        if (left < 0.5)
            return "soon done";
        if (left < 10.0)
            return "about " + juce::String(static_cast<int>(std::ceil(left))) + " s left";
        if (left < 90.0)
            return "about " + juce::String(5 * juce::roundToInt(left / 5.0)) + " s left";
        return "about " + juce::String(juce::roundToInt(left / 60.0)) + " min left";
    }

private:
    double began = 0.0, first = 0.0, last = 0.0; // seconds
    double firstDone = 0.0, done = 0.0;
};

} // namespace lars
