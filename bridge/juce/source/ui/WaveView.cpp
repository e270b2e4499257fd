// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/WaveView.h"

#include "ui/Look.h"

namespace lars {
namespace {
constexpr int samplesPerPoint = 256; // of the thumbnail
constexpr int dragPixels = 6;
} // namespace

WaveView::WaveView(FilePlayer& filePlayer, WaveCache& cache)
    : player(filePlayer), thumbnail(samplesPerPoint, cache.formats, cache.thumbnails),
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
    const double whole = player.length();
    return whole > 0.0 ? juce::roundToInt(getWidth() * player.position() / whole) : 0;
}

void WaveView::update() {
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
    const int place = cursor();
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
            thumbnail.drawChannel(g, rest.removeFromTop(height).reduced(0, 1), 0.0,
                                  thumbnail.getTotalLength(), channel, 1.0f);
    };
    draw(area.withWidth(place), 1.0f);
    draw(area.withTrimmedLeft(place), 0.6f);
    g.setColour(palette::text);
    g.fillRect(place, 0, 2, getHeight());
}

void WaveView::jump(const juce::MouseEvent& event) {
    if (present && getWidth() > 0)
        player.setPosition(player.length() * juce::jlimit(0.0, 1.0, 1.0 * event.x / getWidth()));
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

void WaveView::mouseDoubleClick(const juce::MouseEvent&) {
    player.setPosition(0.0);
    update();
}

} // namespace lars
