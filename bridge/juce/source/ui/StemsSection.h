// SPDX-License-Identifier: GPL-3.0-or-later
// A lane for each stem: its waveform and its fader. The faders are the plugin's, so they hold for
// the live stems as for the file's.
#pragma once

#include "player/MidiFiles.h"
#include "ui/MidiHandle.h"
#include "ui/ResidualLane.h"
#include "ui/WaveView.h"

namespace lars {

class StemLane : public juce::Component {
public:
    StemLane(const juce::String& stem, int index, juce::AudioProcessorValueTreeState& state,
             FilePlayer& player, WaveCache& cache);

    void show(const juce::File& file); // none: what to do to get one
    void update(bool heardFromFile);
    bool isSelected() const { return select.getToggleState(); }
    void setSelected(bool selected);
    std::function<void()> onSelect;
    std::function<void()> onDragOut;
    MidiHandle midi;

    void resized() override;
    void paint(juce::Graphics& graphics) override;

private:
    const juce::Colour colour;
    juce::ToggleButton select;
    juce::TextButton mute{"M"}, solo{"S"};
    juce::Slider gain;
    WaveView wave;
    std::unique_ptr<juce::AudioProcessorValueTreeState::SliderAttachment> gainTie;
    std::unique_ptr<juce::AudioProcessorValueTreeState::ButtonAttachment> muteTie, soloTie;
};

class StemsSection : public juce::Component {
public:
    StemsSection(FileSession& session, MidiFiles& midi, FilePlayer& player,
                 juce::AudioProcessorValueTreeState& state, WaveCache& cache);

    void update();
    int bestHeight() const;
    std::function<void()> onLanesChanged; // another number of lanes

    void paint(juce::Graphics& graphics) override;
    void resized() override;

private:
    void showChange();
    void makeLanes(const juce::StringArray& names);
    std::vector<std::size_t> selected() const;
    void save(const std::vector<std::size_t>& which);
    void dragOut(std::size_t lane);
    void dragMidi(std::size_t lane);
    void updateMidi();
    void saveMidi();
    std::vector<std::size_t> dragged(std::size_t lane) const;

    FileSession& session;
    MidiFiles& midi;
    FilePlayer& player;
    juce::AudioProcessorValueTreeState& state;
    WaveCache& cache;
    juce::Label title, info;
    juce::TextButton saveSelected{"Save selected..."}, saveAll{"Save all tracks..."},
        openFolder{"Open folder"}, saveMidiButton{"Save MIDI..."};
    juce::ComboBox format;
    juce::StringArray names;
    std::vector<std::unique_ptr<StemLane>> lanes;
    ResidualLane residual;
    std::unique_ptr<juce::FileChooser> chooser;
    int shown = -1;
};

} // namespace lars
