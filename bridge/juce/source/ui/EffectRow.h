// SPDX-License-Identifier: GPL-3.0-or-later
// One effect in a chain's panel: on or bypassed, its place, and its settings as sliders.
#pragma once

#include "engine/Chains.h"
#include "ui/Look.h"

namespace lars {

class EffectRow : public juce::Component {
public:
    EffectRow(const ChainEntry& entry, const juce::String& title, juce::Colour colour);

    // What the engine tells of it, or where it does not, what is known of such an effect.
    void update(const ChainEntry& entry, const EffectReport* report,
                const std::vector<EffectParameter>& known);
    void setOpen(bool open);
    void setEnds(bool first, bool last);
    int bestHeight() const;

    const std::string& id() const { return key; }
    // The window's focus, for after the rows were made anew.
    void grabBypass() { on.grabKeyboardFocus(); }

    std::function<void(bool bypass)> onBypass;
    std::function<void()> onOpen, onRemove;
    std::function<void(int by)> onMove;
    std::function<void(const std::string& name)> onName;
    // A setting: while a gesture goes on, and at its end.
    std::function<void()> onGesture, onGestureEnd;
    std::function<void(const std::string& parameter, double value)> onValue;

    void resized() override;
    void paint(juce::Graphics& graphics) override;

private:
    struct Setting {
        std::string name;
        juce::Label title;
        juce::Slider slider;
        juce::ComboBox choice;
        juce::String text; // what the value means, where the number does not say it
        bool chosen = false; // by `choice`
    };
    void build(const std::vector<EffectParameter>& parameters);
    void makeSlider(Setting& setting, const EffectParameter& parameter);

    const std::string key;
    const juce::Colour colour;
    juce::ToggleButton on;
    juce::TextButton fold, up, down, remove;
    juce::Label problem;
    juce::ComboBox names;
    std::vector<std::unique_ptr<Setting>> settings;
    bool isOpen = false;
};

} // namespace lars
