// SPDX-License-Identifier: GPL-3.0-or-later
// The menu of presets: the plugin's, the user's, save and delete.
#pragma once

#include "processor/PluginProcessor.h"
#include "processor/Presets.h"
#include "ui/Look.h"

namespace lars {

class PresetMenu : public juce::TextButton {
public:
    explicit PresetMenu(PluginProcessor& plugin);

    std::function<void(const juce::String& problem)> onFailed;

private:
    void open();
    void chosen(int id);
    void askName();
    void fail(const juce::Result& result);

    PluginProcessor& plugin;
    std::vector<Preset> user; // as the menu that is open lists them
};

} // namespace lars
