// SPDX-License-Identifier: GPL-3.0-or-later
// Which model does one task: a menu that says of each what it is for, and a button that downloads the
// one that was chosen where its weights are not there.
#pragma once

#include "processor/PluginProcessor.h"
#include "ui/Look.h"

namespace lars {

class ModelMenu : public juce::Component {
public:
    ModelMenu(PluginProcessor& plugin, Task task);

    void update(const LinkStatus& status); // some times a second
    static constexpr int height = 68;

    void resized() override;

private:
    void fill();
    void download();
    const ModelOffer* chosen() const;

    PluginProcessor& plugin;
    const Task task;
    juce::Label title, details;
    juce::ComboBox box;
    juce::TextButton button{"Download"};
    std::vector<std::string> names;
    std::vector<ModelOffer> offers;
    std::string fetching; // the model whose weights are on their way for this menu
    juce::String failure;
    bool shownButton = false;
};

// What a model's entry says under its name.
juce::String offerText(const ModelOffer& offer, Task task);

} // namespace lars
