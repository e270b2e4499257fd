// SPDX-License-Identifier: GPL-3.0-or-later
// Render once: the track is captured, separated, and its stems play where the host is.
#pragma once

#include "processor/PluginProcessor.h"
#include "ui/MessageText.h"

namespace lars {

class RenderSection : public juce::Component {
public:
    explicit RenderSection(PluginProcessor& plugin);

    // Some times a second; whether it is now to be seen or hidden, where it was not.
    bool update();
    // 0 while it is hidden: in the other modes.
    int bestHeight() const { return isVisible() ? 104 : 0; }

    void paint(juce::Graphics& graphics) override;
    void resized() override;

private:
    void useFile(bool atPlayhead);
    void askForPlace();
    void askToDelete();

    PluginProcessor& plugin;
    RenderSession& session;
    juce::Label title, state;
    MessageText message;
    juce::TextButton capture{"Capture"}, separate{"Separate"}, use{"Use file"},
        folder{"Open folder"}, erase{"Delete..."};
    double progress = 0.0;
    juce::ProgressBar bar{progress};
    std::unique_ptr<juce::AudioProcessorValueTreeState::ButtonAttachment> captureTie;
};

// What a render is at, in one line.
juce::String renderText(const RenderStatus& status);

} // namespace lars
