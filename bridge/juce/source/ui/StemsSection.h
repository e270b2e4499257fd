// SPDX-License-Identifier: GPL-3.0-or-later
// The stems: a lane for each, the scales above them, and what is done with them.
#pragma once

#include "player/MidiFiles.h"
#include "ui/ResidualLane.h"
#include "ui/Ruler.h"
#include "ui/StemLane.h"

namespace lars {

class StemsSection : public juce::Component {
public:
    StemsSection(PluginProcessor& plugin, TimeView& view, WaveCache& cache);

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

    PluginProcessor& plugin;
    FileSession& session;
    MidiFiles& midi;
    FilePlayer& player;
    TimeView& view;
    WaveCache& cache;
    Ruler ruler;
    juce::Rectangle<int> scale;
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
