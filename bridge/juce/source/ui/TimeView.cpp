// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/TimeView.h"

namespace lars {
namespace {
constexpr double wheelStep = 1.5; // of a notch, which JUCE calls a half or so
}

juce::Range<double> TimeView::shown() const {
    const juce::Range<double> whole(0.0, player.length());
    // Another file may be shorter.
    if (range.isEmpty() || range.getEnd() > whole.getEnd() + 1e-9)
        return whole;
    return range;
}

double TimeView::at(double x, int width) const {
    const auto now = shown();
    return now.getStart() + now.getLength() * juce::jlimit(0.0, 1.0, x / juce::jmax(1, width));
}

double TimeView::x(double seconds, int width) const {
    const auto now = shown();
    return now.isEmpty() ? 0.0 : width * (seconds - now.getStart()) / now.getLength();
}

void TimeView::showAll() {
    range = {};
}

void TimeView::zoom(double factor, double around) {
    const auto now = shown();
    const double whole = player.length();
    const double length = juce::jlimit(juce::jmin(closest, whole), whole, now.getLength() / factor);
    if (!(whole > 0.0) || length >= whole) {
        range = {};
        return;
    }
    const double share = juce::jlimit(0.0, 1.0, (around - now.getStart()) / now.getLength());
    range = juce::Range<double>(0.0, whole).constrainRange(
        juce::Range<double>::withStartAndLength(around - share * length, length));
}

void TimeView::scroll(double seconds) {
    if (!range.isEmpty())
        range = juce::Range<double>(0.0, player.length()).constrainRange(shown() + seconds);
}

void TimeView::follow() {
    const auto now = shown();
    const double place = player.position();
    if (!range.isEmpty() && player.isPlaying() && !now.contains(place))
        scroll(place - now.getStart());
}

void TimeView::loopOver(juce::Range<double> wanted) {
    player.setLoopRegion(wanted);
    const auto now = player.loopRegion();
    if (now.isEmpty())
        return;
    player.setLooping(true);
    if (!now.contains(player.position()))
        player.setPosition(now.getStart());
}

bool TimeView::wheel(const juce::MouseEvent& event, const juce::MouseWheelDetails& details,
                     int width) {
    if (event.mods.isCommandDown() || event.mods.isCtrlDown()) {
        zoom(std::pow(wheelStep, 4.0 * details.deltaY), at(event.x, width));
        return true;
    }
    const bool along = event.mods.isShiftDown();
    const double move = along ? details.deltaY : details.deltaX;
    if (!isZoomed() || (!along && std::abs(details.deltaX) <= std::abs(details.deltaY)))
        return false; // the page's
    scroll(-move * shown().getLength() / 2.0);
    return true;
}

} // namespace lars
