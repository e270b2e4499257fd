// SPDX-License-Identifier: GPL-3.0-or-later
#include "parameters/Parameters.h"

namespace lars {
namespace {

using juce::ParameterID;
constexpr int version = 1; // of the plugin in which a parameter appeared

// JUCE 7.0.5's own gives back whatever float a host has set, and so not what a state restores.
class Switch : public juce::AudioParameterBool {
public:
    using AudioParameterBool::AudioParameterBool;

private:
    float getValue() const override { return get() ? 1.0f : 0.0f; }
};

// Even steps. Text that is not a number becomes the default, as in a state.
juce::NormalisableRange<float> stepped(float least, float most, float normal, float step) {
    juce::NormalisableRange<float> result(
        least, most,
        [normal](float start, float end, float share) {
            return std::isfinite(share) ? start + (end - start) * share : normal;
        },
        [](float start, float end, float value) {
            return juce::jlimit(0.0f, 1.0f, (value - start) / (end - start));
        },
        [step](float start, float end, float value) {
            return juce::jlimit(start, end,
                                start + step * std::floor((value - start) / step + 0.5f));
        });
    result.interval = step; // for the texts
    return result;
}

juce::NormalisableRange<float> tenths(float least, float most, float normal) {
    return stepped(least, most, normal, 0.1f);
}

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

juce::String panText(float pan) {
    const int share = juce::roundToInt(pan);
    if (share == 0)
        return "C";
    return (share < 0 ? "L " : "R ") + juce::String(std::abs(share));
}

float panOf(const juce::String& text) {
    const auto trimmed = text.trim().toUpperCase();
    const float share = trimmed.retainCharacters("0123456789.").getFloatValue();
    const bool left = trimmed.startsWithChar('L') || trimmed.startsWithChar('-');
    return trimmed.startsWithChar('C') ? 0.0f
                                       : juce::jlimit(-100.0f, 100.0f, left ? -share : share);
}

juce::AudioProcessorValueTreeState::ParameterLayout makeParameters(const ModelNames& names) {
    juce::AudioProcessorValueTreeState::ParameterLayout layout;
    // A choice and no integer, which hosts would be told is continuous.
    juce::StringArray places;
    for (int i = 0; i < mostModels; ++i)
        places.add("model " + juce::String(i + 1));
    const auto chooseModel = [&](const char* id, int since, const char* title) {
        return std::make_unique<juce::AudioParameterChoice>(
            ParameterID{id, since}, title, places, 0,
            juce::AudioParameterChoiceAttributes()
                .withStringFromValueFunction([&names](int value, int) { return names.text(value); })
                .withValueFromStringFunction([&names](const juce::String& text) {
                    const int index = names.index(text);
                    return index >= 0 ? index : juce::jmax(0, text.getTrailingIntValue() - 1);
                }));
    };
    layout.add(chooseModel(ids::model, version, "Model"));
    layout.add(std::make_unique<juce::AudioParameterChoice>(
        ParameterID{ids::mode, version}, "Mode", juce::StringArray{"Live", "Offline", "Rendered"}, 0));
    layout.add(std::make_unique<juce::AudioParameterChoice>(
        ParameterID{ids::quality, version}, "Offline quality",
        juce::StringArray{"Model's own", "Fast", "Balanced", "Best"}, 0));
    layout.add(std::make_unique<juce::AudioParameterChoice>(ParameterID{ids::fallback, version},
                                                            "When the engine is away",
                                                            juce::StringArray{"Dry", "Silent"}, 0));
    layout.add(std::make_unique<juce::AudioParameterFloat>(
        ParameterID{ids::mix, version}, "Dry/wet", tenths(0.0f, 100.0f, 100.0f), 100.0f,
        juce::AudioParameterFloatAttributes().withLabel("%")));
    const auto addFader = [&layout](const juce::String& stem, int since) {
        const auto title = stemTitle(stem);
        layout.add(std::make_unique<juce::AudioParameterFloat>(
            ParameterID{ids::gain(stem), since}, title + " gain",
            tenths(leastGainDb, mostGainDb, 0.0f), 0.0f,
            juce::AudioParameterFloatAttributes().withLabel("dB")));
        layout.add(std::make_unique<Switch>(ParameterID{ids::mute(stem), since}, title + " mute",
                                            false));
        layout.add(std::make_unique<Switch>(ParameterID{ids::solo(stem), since}, title + " solo",
                                            false));
    };
    for (const auto* stem : busStems)
        addFader(stem, version);
    layout.add(std::make_unique<Switch>(ParameterID{ids::bypass, version}, "Bypass", false));
    layout.add(chooseModel(ids::filesModel, 2, "Model for files"));
    layout.add(std::make_unique<Switch>(ParameterID{ids::midi, 2}, "MIDI out", false));
    juce::StringArray notes;
    for (int note = 0; note < 128; ++note)
        notes.add(juce::String(note) + " " + juce::MidiMessage::getMidiNoteName(note, true, true, 3));
    for (std::size_t i = 0; i < busStems.size(); ++i) {
        const juce::String stem = busStems[i];
        layout.add(std::make_unique<juce::AudioParameterChoice>(
            ParameterID{ids::note(stem), 2}, stemTitle(stem) + " note", notes, standardNotes[i]));
        layout.add(std::make_unique<juce::AudioParameterFloat>(
            ParameterID{ids::sensitivity(stem), 2}, stemTitle(stem) + " sensitivity",
            tenths(0.0f, 100.0f, 50.0f), 50.0f, juce::AudioParameterFloatAttributes().withLabel("%")));
    }
    addFader(residualName, 3);
    layout.add(std::make_unique<Switch>(ParameterID{ids::capture, 3}, "Capture", false));
    for (const juce::String stem : busStems)
        layout.add(std::make_unique<juce::AudioParameterFloat>(
            ParameterID{ids::pan(stem), 3}, stemTitle(stem) + " pan",
            stepped(-100.0f, 100.0f, 0.0f, 1.0f), 0.0f,
            juce::AudioParameterFloatAttributes()
                .withStringFromValueFunction([](float value, int) { return panText(value); })
                .withValueFromStringFunction(panOf)));
    return layout;
}

} // namespace lars
