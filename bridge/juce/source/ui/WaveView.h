// SPDX-License-Identifier: GPL-3.0-or-later
// A file's waveform, both channels, with the place that is playing and the loop, as much of it as
// the window's TimeView shows. A click goes there, a double-click to the beginning; where it is
// wanted, a drag takes the file out of the window.
#pragma once

#include <juce_audio_utils/juce_audio_utils.h>

#include "ui/TimeView.h"

namespace lars {

// What all waveforms of a window share.
struct WaveCache {
    WaveCache() { formats.registerBasicFormats(); }
    juce::AudioFormatManager formats;
    juce::AudioThumbnailCache thumbnails{32};
};

class WaveView : public juce::Component,
                 public juce::SettableTooltipClient,
                 private juce::ChangeListener {
public:
    WaveView(TimeView& view, WaveCache& cache);
    ~WaveView() override;

    // No file: the text instead.
    void show(const juce::File& file, const juce::String& textWithout);
    void setColour(juce::Colour wave);
    void setHeard(bool heard); // otherwise pale
    void update();             // of the place; cheap when nothing has moved

    std::function<void()> onDragOut;

    void paint(juce::Graphics& graphics) override;
    void mouseDown(const juce::MouseEvent& event) override;
    void mouseDrag(const juce::MouseEvent& event) override;
    void mouseUp(const juce::MouseEvent& event) override;
    void mouseDoubleClick(const juce::MouseEvent& event) override;
    void mouseWheelMove(const juce::MouseEvent& event,
                        const juce::MouseWheelDetails& details) override;

private:
    void changeListenerCallback(juce::ChangeBroadcaster*) override { repaint(); }
    void jump(const juce::MouseEvent& event);
    int cursor() const;

    TimeView& view;
    FilePlayer& player;
    juce::AudioThumbnail thumbnail;
    juce::String text;
    juce::Colour colour;
    bool present = false, heard = true, dragging = false;
    int drawnCursor = 0;
    juce::Range<double> drawnView, drawnRegion;
    bool drawnLoop = false;
};

} // namespace lars
