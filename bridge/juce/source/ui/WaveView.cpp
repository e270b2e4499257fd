// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/WaveView.h"

#include "ui/Look.h"

namespace lars {
namespace {
constexpr int samplesPerPoint = 256; // of the thumbnail
constexpr int dragPixels = 6;
} // namespace

WaveView::WaveView(TimeView& timeView, WaveCache& cache)
    : view(timeView), player(timeView.player),
      thumbnail(samplesPerPoint, cache.formats, cache.thumbnails),
      colour(palette::accent) {
    thumbnail.addChangeListener(this);
    setMouseClickGrabsKeyboardFocus(false);
}

WaveView::~WaveView() {
    thumbnail.removeChangeListener(this);
}

void WaveView::show(const juce::File& file, const juce::String& textWithout) {
    present = file != juce::File();
    text = textWithout;
    if (present)
        thumbnail.setSource(new juce::FileInputSource(file, true));
    else
        thumbnail.clear();
    repaint();
}

void WaveView::setColour(juce::Colour wave) {
    colour = wave;
    repaint();
}

void WaveView::setHeard(bool is) {
    if (std::exchange(heard, is) != is)
        repaint();
}

int WaveView::cursor() const {
    return player.length() > 0.0 ? juce::roundToInt(view.x(player.position(), getWidth())) : 0;
}

void WaveView::update() {
    const bool loops = player.isLooping();
    if (view.shown() != drawnView || view.region() != drawnRegion || loops != drawnLoop) {
        drawnView = view.shown();
        drawnRegion = view.region();
        drawnLoop = loops;
        repaint();
    }
    if (const int now = cursor(); present && now != drawnCursor) {
        const int from = juce::jmin(now, drawnCursor) - 2, to = juce::jmax(now, drawnCursor) + 3;
        drawnCursor = now;
        repaint(from, 0, to - from, getHeight());
    }
}

void WaveView::paint(juce::Graphics& g) {
    const auto area = getLocalBounds();
    g.setColour(palette::well);
    g.fillRoundedRectangle(area.toFloat(), 5.0f);
    if (!present) {
        g.setColour(palette::quiet);
        g.setFont(Look::font(area.getHeight() > 60 ? 16.0f : 13.0f));
        g.drawFittedText(text, area.reduced(8, 0), juce::Justification::centred, 2);
        return;
    }
    const int place = juce::jlimit(0, getWidth(), cursor());
    const auto shown = view.shown();
    const int channels = juce::jmax(1, thumbnail.getNumChannels());
    const auto draw = [&](juce::Rectangle<int> clip, float alpha) {
        if (clip.isEmpty())
            return;
        const juce::Graphics::ScopedSaveState saved(g);
        g.reduceClipRegion(clip);
        g.setColour(heard ? colour.withMultipliedAlpha(alpha)
                          : palette::quiet.withMultipliedAlpha(0.5f * alpha));
        auto rest = area.reduced(0, 2);
        const int height = rest.getHeight() / channels;
        for (int channel = 0; channel < channels; ++channel)
            thumbnail.drawChannel(g, rest.removeFromTop(height).reduced(0, 1), shown.getStart(),
                                  shown.getEnd(), channel, 1.0f);
    };
    draw(area.withWidth(place), 1.0f);
    draw(area.withTrimmedLeft(place), 0.6f);
    if (const auto region = view.region(); !region.isEmpty()) {
        const bool loops = player.isLooping() || !view.drawn.isEmpty();
        g.setColour((loops ? palette::accent : palette::quiet).withAlpha(0.13f));
        const int left = juce::roundToInt(view.x(region.getStart(), getWidth()));
        const int right = juce::roundToInt(view.x(region.getEnd(), getWidth()));
        g.fillRect(area.withLeft(juce::jlimit(0, getWidth(), left))
                       .withRight(juce::jlimit(0, getWidth(), right)));
    }
    if (cursor() < 0 || cursor() > getWidth())
        return; // it is elsewhere
    g.setColour(palette::text);
    g.fillRect(juce::jmin(place, getWidth() - 2), 0, 2, getHeight());
}

void WaveView::jump(const juce::MouseEvent& event) {
    if (present && getWidth() > 0)
        player.setPosition(view.at(event.x, getWidth()));
    update();
}

void WaveView::mouseDown(const juce::MouseEvent& event) {
    dragging = false;
    if (!onDragOut && event.getNumberOfClicks() == 1)
        jump(event);
}

void WaveView::mouseDrag(const juce::MouseEvent& event) {
    if (onDragOut) {
        if (present && event.getDistanceFromDragStart() > dragPixels &&
            !std::exchange(dragging, true))
            onDragOut();
    } else if (event.getDistanceFromDragStart() > 1) {
        jump(event);
    }
}

void WaveView::mouseUp(const juce::MouseEvent& event) {
    // Where a drag takes the file out, only its absence tells a click.
    if (onDragOut && !dragging && event.getNumberOfClicks() == 1)
        jump(event);
}

void WaveView::mouseWheelMove(const juce::MouseEvent& event,
                              const juce::MouseWheelDetails& details) {
    if (!view.wheel(event, details, getWidth()))
        Component::mouseWheelMove(event, details);
}

void WaveView::mouseDoubleClick(const juce::MouseEvent&) {
    player.setPosition(0.0);
    update();
}

} // namespace lars
