// SPDX-License-Identifier: GPL-3.0-or-later
// A stem's chain of effects: add, order, bypass, remove, and the settings of one at a time.
#pragma once

#include "processor/PluginProcessor.h"
#include "ui/EffectRow.h"

namespace lars {

class ChainPanel : public juce::Component, private juce::Timer {
public:
    ChainPanel(PluginProcessor& plugin, const juce::String& stem);
    ~ChainPanel() override;

    void resized() override;
    bool keyPressed(const juce::KeyPress& key) override;

private:
    void timerCallback() override;
    void show();
    void rebuild(const Chain& chain);
    void layOut();
    void showAddMenu();
    void add(const EffectOffer& offer);
    void move(const std::string& id, int by);
    void open(const std::string& id);
    void change(const juce::String& what, const std::function<void(Chain&)>& edit);
    Chain chain() const;
    juce::String sayWhatIs(const ChainDesk::View& view) const;

    juce::SharedResourcePointer<Look> look;
    PluginProcessor& plugin;
    const std::string stem;
    juce::Label title, info;
    juce::TextButton addButton{"Add effect..."};
    juce::Viewport viewport;
    juce::Component list;
    std::vector<std::unique_ptr<EffectRow>> rows;
    Chain built; // that the rows are of
    std::string opened; // id of the one whose settings are seen
    std::uint32_t seen = 0;
    std::optional<Chains> before; // where a gesture began
};

} // namespace lars
