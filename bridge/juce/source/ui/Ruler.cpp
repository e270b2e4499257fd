// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/Ruler.h"

#include "ui/Look.h"

namespace lars {
namespace {
constexpr int labelWidth = 70, grabPixels = 5, dragPixels = 3;

juce::String label(double seconds, double step) {
    const auto minutes = static_cast<int>((seconds + 1e-6) / 60.0);
    const double rest = juce::jmax(0.0, seconds - 60.0 * minutes);
    const int places = step >= 1.0 ? 0 : step >= 0.1 ? 1 : 2;
    auto text = places == 0 ? juce::String(juce::roundToInt(rest)) : juce::String(rest, places);
    return juce::String(minutes) + ":" + text.paddedLeft('0', places == 0 ? 2 : 3 + places);
}
} // namespace

double rulerStep(double seconds, int most) {
    constexpr double steps[] = {0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1,   2,   5,
                                10,   15,   30,   60,  120, 300, 600, 1800};
    for (const double step : steps)
        if (seconds / step <= most)
            return step;
    return 3600.0;
}

Ruler::Ruler(TimeView& timeView) : view(timeView) {
    setTitle("Time ruler");
    setTooltip(
        "Drag to loop a part, double-click for the whole file again; Ctrl and wheel to zoom");
    setMouseClickGrabsKeyboardFocus(false);
}

void Ruler::update() {
    const bool loops = view.player.isLooping();
    if (view.shown() != paintedView || view.region() != paintedRegion || loops != paintedLoop) {
        paintedView = view.shown();
        paintedRegion = view.region();
        paintedLoop = loops;
        repaint();
    }
}

void Ruler::paint(juce::Graphics& g) {
    const auto shown = view.shown();
    if (shown.isEmpty())
        return;
    const auto region = view.region();
    const auto colour = view.player.isLooping() || !view.drawn.isEmpty() ? palette::accent
                                                                         : palette::quiet;
    if (!region.isEmpty()) {
        const auto left = static_cast<float>(view.x(region.getStart(), getWidth()));
        const auto right = static_cast<float>(view.x(region.getEnd(), getWidth()));
        const juce::Rectangle<float> band(left, 1.0f, juce::jmax(1.0f, right - left),
                                          static_cast<float>(getHeight()) - 3.0f);
        g.setColour(colour.withAlpha(0.3f));
        g.fillRect(band);
        g.setColour(colour);
        g.fillRect(band.withWidth(2.0f));
        g.fillRect(band.withLeft(band.getRight() - 2.0f));
    }
    const double step = rulerStep(shown.getLength(), juce::jmax(1, getWidth() / labelWidth));
    g.setFont(Look::font(11.5f));
    for (double at = std::ceil(shown.getStart() / step) * step; at <= shown.getEnd(); at += step) {
        const int x = juce::roundToInt(view.x(at, getWidth()));
        g.setColour(palette::line);
        g.fillRect(x, getHeight() - 7, 1, 7);
        g.setColour(palette::quiet);
        if (x + 40 <= getWidth())
            g.drawText(label(at, step), x + 3, 0, labelWidth, getHeight() - 3,
                       juce::Justification::centredLeft);
    }
}

bool Ruler::isAt(double seconds, double x) const {
    return !view.player.loopRegion().isEmpty() &&
           std::abs(view.x(seconds, getWidth()) - x) <= grabPixels;
}

void Ruler::mouseMove(const juce::MouseEvent& event) {
    const auto loop = view.player.loopRegion();
    setMouseCursor(isAt(loop.getStart(), event.x) || isAt(loop.getEnd(), event.x)
                       ? juce::MouseCursor::LeftRightResizeCursor
                       : juce::MouseCursor::NormalCursor);
}

void Ruler::mouseDown(const juce::MouseEvent& event) {
    const auto loop = view.player.loopRegion();
    draws = false;
    fixed = isAt(loop.getEnd(), event.x)     ? loop.getStart()
            : isAt(loop.getStart(), event.x) ? loop.getEnd()
                                             : view.at(event.x, getWidth());
}

void Ruler::mouseDrag(const juce::MouseEvent& event) {
    if (view.player.length() <= 0.0)
        return;
    draws = draws || event.getDistanceFromDragStart() > dragPixels;
    if (draws)
        view.drawn = juce::Range<double>::between(fixed, view.at(event.x, getWidth()));
    update();
}

void Ruler::mouseUp(const juce::MouseEvent& event) {
    if (draws)
        view.loopOver(view.drawn);
    else if (event.getNumberOfClicks() == 1 && view.player.length() > 0.0)
        view.player.setPosition(view.at(event.x, getWidth()));
    draws = false;
    view.drawn = {};
    update();
}

void Ruler::mouseDoubleClick(const juce::MouseEvent&) {
    view.player.setLoopRegion({});
    update();
}

void Ruler::mouseWheelMove(const juce::MouseEvent& event, const juce::MouseWheelDetails& details) {
    if (!view.wheel(event, details, getWidth()))
        Component::mouseWheelMove(event, details);
}

} // namespace lars
