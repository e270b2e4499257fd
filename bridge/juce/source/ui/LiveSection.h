// SPDX-License-Identifier: GPL-3.0-or-later
// The stream: whether there is an engine, how late and how well it comes, and what to do when not.
#pragma once

#include "processor/PluginProcessor.h"
#include "ui/LevelMeter.h"
#include "ui/MessageText.h"

namespace lars {

class LiveSection : public juce::Component {
public:
    explicit LiveSection(PluginProcessor& plugin);

    void update();       // some times a second
    void updateMeter();  // many times a second
    int bestHeight() const { return unfolded ? 248 : 158; }
    std::function<void()> onFolded; // another height

    void paint(juce::Graphics& graphics) override;
    void resized() override;

private:
    struct Figure {
        juce::Label name, value;
    };
    void show(const LinkStatus& status);
    void showFigures(const LinkStatus& status);
    void fold(bool open);

    PluginProcessor& plugin;
    juce::Label title, state, modeName, qualityName, awayName, mixName, commandName;
    std::array<Figure, 4> figures; // latency, real-time ratio, misses, connections
    juce::ComboBox mode, quality, away;
    juce::Slider mix;
    LevelMeter meter;
    MessageText message;
    juce::ToggleButton bypass{"Bypass"}, midi{"MIDI out"}, automatic{"Start it when needed"};
    juce::TextEditor command;
    juce::TextButton start{"Start engine"}, retry{"Look again"}, notes{"Notes..."}, advanced;
    bool unfolded = false;
    juce::Colour dot;
    juce::String problem; // with the user's settings
    std::uint64_t connections = 0, missedBefore = 0; // what was missed without an engine is known

    using State = juce::AudioProcessorValueTreeState;
    std::unique_ptr<State::ComboBoxAttachment> modeTie, qualityTie, awayTie;
    std::unique_ptr<State::SliderAttachment> mixTie;
    std::unique_ptr<State::ButtonAttachment> bypassTie, midiTie;
};

} // namespace lars
