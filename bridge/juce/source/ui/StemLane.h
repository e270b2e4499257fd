// SPDX-License-Identifier: GPL-3.0-or-later
// A stem's lane: select, mute, solo, pan, fader with its meter, waveform, effects, and its hits'
// handle. The faders are the plugin's, so they hold for the live stems as for the file's.
#pragma once

#include "processor/PluginProcessor.h"
#include "ui/LevelMeter.h"
#include "ui/MidiHandle.h"
#include "ui/WaveView.h"

namespace lars {

class StemLane : public juce::Component {
public:
    StemLane(const juce::String& stem, int index, PluginProcessor& plugin, TimeView& view,
             WaveCache& cache);

    void show(const juce::File& file); // none: what to do to get one
    // Many times a second. What is not heard, for one because others are soloed, is grey.
    void update(bool heardFromFile, bool anySolo);
    bool isSelected() const { return select.getToggleState(); }
    bool isSoloed() const { return solo.getToggleState(); }
    void setSelected(bool selected);
    std::function<void()> onSelect;
    std::function<void()> onDragOut;
    MidiHandle midi;

    // For the scales above the lanes, from the lane's left.
    int xOf(float decibels) const;
    juce::Rectangle<int> waveBounds() const { return wave.getBounds(); }
    juce::Rectangle<int> panBounds() const { return pan.getBounds(); }

    void resized() override;
    void paint(juce::Graphics& graphics) override;

private:
    // What stands left of the waveform, from the left.
    struct Cell {
        juce::Component* part;
        int width, height, gap;
    };
    std::vector<Cell> cells();
    void tieToOwnFader(FilePlayer::OwnFader& fader);
    void setGrey(bool grey);

    using State = juce::AudioProcessorValueTreeState;
    PluginProcessor& plugin;
    const int index, bus;
    const juce::String stem;
    const juce::Colour colour;
    juce::ToggleButton select;
    juce::TextButton mute{"M"}, solo{"S"}, effects{"FX"};
    juce::Slider pan, gain;
    LevelMeter meter;
    WaveView wave;
    bool grey = false;
    std::uint32_t chainsSeen = 0;
    std::unique_ptr<State::SliderAttachment> gainTie, panTie;
    std::unique_ptr<State::ButtonAttachment> muteTie, soloTie;
};

// "-6.0 dB", and "-inf dB" where it is silence.
juce::String decibelText(double decibels);
double decibelsOf(const juce::String& text);

} // namespace lars
