// SPDX-License-Identifier: GPL-3.0-or-later
#include "processor/Parameters.h"

namespace lars {
namespace {

using juce::ParameterID;
constexpr int version = 1; // of the plugin in which a parameter appeared

} // namespace

void ModelNames::set(const juce::StringArray& names) {
    const std::lock_guard<std::mutex> lock(mutex);
    list = names;
}

juce::StringArray ModelNames::get() const {
    const std::lock_guard<std::mutex> lock(mutex);
    return list;
}

juce::String ModelNames::text(int index) const {
    const std::lock_guard<std::mutex> lock(mutex);
    return index < list.size() ? list[index] : "model " + juce::String(index + 1);
}

int ModelNames::index(const juce::String& text) const {
    const std::lock_guard<std::mutex> lock(mutex);
    return list.indexOf(text);
}

juce::String stemTitle(const juce::String& stem) {
    return stem == "hihat" ? juce::String("Hi-hat")
                           : stem.substring(0, 1).toUpperCase() + stem.substring(1);
}

juce::AudioProcessorValueTreeState::ParameterLayout makeParameters(const ModelNames& names) {
    juce::AudioProcessorValueTreeState::ParameterLayout layout;
    // A choice and no integer, which hosts would be told is continuous.
    juce::StringArray places;
    for (int i = 0; i < mostModels; ++i)
        places.add("model " + juce::String(i + 1));
    layout.add(std::make_unique<juce::AudioParameterChoice>(
        ParameterID{ids::model, version}, "Model", places, 0,
        juce::AudioParameterChoiceAttributes()
            .withStringFromValueFunction([&names](int value, int) { return names.text(value); })
            .withValueFromStringFunction([&names](const juce::String& text) {
                const int index = names.index(text);
                return index >= 0 ? index : juce::jmax(0, text.getTrailingIntValue() - 1);
            })));
    layout.add(std::make_unique<juce::AudioParameterChoice>(
        ParameterID{ids::mode, version}, "Mode", juce::StringArray{"Live", "Offline"}, 0));
    layout.add(std::make_unique<juce::AudioParameterChoice>(
        ParameterID{ids::quality, version}, "Offline quality",
        juce::StringArray{"Model's own", "Fast", "Balanced", "Best"}, 0));
    layout.add(std::make_unique<juce::AudioParameterChoice>(ParameterID{ids::fallback, version},
                                                            "When the engine is away",
                                                            juce::StringArray{"Dry", "Silent"}, 0));
    layout.add(std::make_unique<juce::AudioParameterFloat>(
        ParameterID{ids::mix, version}, "Dry/wet",
        juce::NormalisableRange<float>(0.0f, 100.0f, 0.1f), 100.0f,
        juce::AudioParameterFloatAttributes().withLabel("%")));
    for (const juce::String stem : busStems) {
        const auto title = stemTitle(stem);
        layout.add(std::make_unique<juce::AudioParameterFloat>(
            ParameterID{ids::gain(stem), version}, title + " gain",
            juce::NormalisableRange<float>(leastGainDb, mostGainDb, 0.1f), 0.0f,
            juce::AudioParameterFloatAttributes().withLabel("dB")));
        layout.add(std::make_unique<juce::AudioParameterBool>(ParameterID{ids::mute(stem), version},
                                                              title + " mute", false));
        layout.add(std::make_unique<juce::AudioParameterBool>(ParameterID{ids::solo(stem), version},
                                                              title + " solo", false));
    }
    layout.add(std::make_unique<juce::AudioParameterBool>(ParameterID{ids::bypass, version},
                                                          "Bypass", false));
    return layout;
}

} // namespace lars
