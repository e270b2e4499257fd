// SPDX-License-Identifier: GPL-3.0-or-later
#include "processor/Presets.h"

#include "engine/Installed.h"
#include "parameters/Parameters.h"
#include "processor/State.h"

namespace lars::presets {
namespace {

constexpr auto ending = ".xml";
constexpr auto tag = "LARS-PRESET";

juce::String fileName(const juce::String& name) {
    return juce::File::createLegalFileName(name.trim())
        .trimCharactersAtStart(". ")
        .substring(0, longestName)
        .trim();
}

float defaultOf(const juce::RangedAudioParameter& parameter) {
    return parameter.convertFrom0to1(parameter.getDefaultValue());
}

// What the preset says, where that is a number, within the parameter's range; 0 to 1.
float wanted(const Preset& preset, const juce::RangedAudioParameter& parameter) {
    const auto found = preset.values.find(parameter.paramID);
    const bool good = found != preset.values.end() && std::isfinite(found->second);
    return parameter.convertTo0to1(good ? found->second : defaultOf(parameter));
}

} // namespace

const juce::StringArray& parameters() {
    static const auto list = [] {
        juce::StringArray result{ids::mix};
        for (const juce::String stem : busStems)
            result.addArray({ids::gain(stem), ids::pan(stem), ids::mute(stem), ids::solo(stem)});
        const juce::String rest = residualName;
        result.addArray({ids::gain(rest), ids::mute(rest), ids::solo(rest)});
        return result;
    }();
    return list;
}

const std::vector<Preset>& factory() {
    static const std::vector<Preset> list{
        {"Whole kit", {}},
        {"Mix-minus: no kick", {{ids::mute("kick"), 1.0f}}},
        {"Practice: no snare", {{ids::mute("snare"), 1.0f}}},
        {"Practice: no hi-hat", {{ids::mute("hihat"), 1.0f}}},
        {"Kick and snare alone", {{ids::solo("kick"), 1.0f}, {ids::solo("snare"), 1.0f}}},
        {"Kick and snare up", {{ids::gain("kick"), 4.0f}, {ids::gain("snare"), 4.0f}}},
        {"Hats down", {{ids::gain("hihat"), -9.0f}}},
        {"Cymbals down",
         {{ids::gain("hihat"), -6.0f}, {ids::gain("ride"), -6.0f}, {ids::gain("crash"), -6.0f}}},
    };
    return list;
}

Preset now(const juce::AudioProcessorValueTreeState& state, const juce::String& name) {
    Preset result{name, {}};
    for (const auto& id : parameters())
        if (const auto* parameter = state.getParameter(id))
            result.values[id] = parameter->convertFrom0to1(parameter->getValue());
    return result;
}

void apply(const Preset& preset, juce::AudioProcessorValueTreeState& state, History& history) {
    history.together(preset.name, [&] {
        for (const auto& id : parameters())
            if (auto* parameter = state.getParameter(id)) {
                parameter->beginChangeGesture();
                parameter->setValueNotifyingHost(wanted(preset, *parameter));
                parameter->endChangeGesture();
            }
    });
}

bool isNow(const Preset& preset, const juce::AudioProcessorValueTreeState& state) {
    for (const auto& id : parameters())
        if (const auto* parameter = state.getParameter(id))
            if (std::abs(wanted(preset, *parameter) - parameter->getValue()) > 1e-4f)
                return false;
    return true;
}

juce::String write(const Preset& preset) {
    juce::XmlElement root(tag);
    root.setAttribute("version", 1);
    auto* mix = root.createNewChildElement("mix");
    for (const auto& [id, value] : preset.values) {
        auto* entry = mix->createNewChildElement("PARAM");
        entry->setAttribute("id", id);
        entry->setAttribute("value", static_cast<double>(value));
    }
    return root.toString();
}

std::optional<Preset> read(const juce::String& text, const juce::String& name) {
    const auto utf8 = text.toStdString();
    if (utf8.size() > static_cast<std::size_t>(mostBytes) ||
        !isHarmlessXml(utf8.data(), static_cast<int>(utf8.size())))
        return std::nullopt;
    const auto root = juce::parseXML(text);
    if (root == nullptr || !root->hasTagName(tag) || root->getIntAttribute("version") < 1)
        return std::nullopt;
    const auto* mix = root->getChildByName("mix");
    if (mix == nullptr)
        return std::nullopt;
    Preset result{name, {}};
    for (const auto& entry : readParameters(juce::ValueTree::fromXml(*mix))) {
        const auto id = entry.getProperty("id").toString();
        if (parameters().contains(id) && entry.hasProperty("value"))
            result.values[id] = static_cast<float>(entry.getProperty("value"));
    }
    return result;
}

juce::File folder() {
    return juce::File(juce::String::fromUTF8(installedFile().c_str())).getSiblingFile("presets");
}

std::vector<Preset> user() {
    auto files = folder().findChildFiles(juce::File::findFiles, false, juce::String("*") + ending);
    files.sort();
    std::vector<Preset> result;
    for (const auto& file : files) {
        if (result.size() >= static_cast<std::size_t>(mostUser))
            break;
        if (file.getSize() > mostBytes)
            continue;
        if (auto preset = read(file.loadFileAsString(),
                               file.getFileNameWithoutExtension().substring(0, longestName)))
            result.push_back(std::move(*preset));
    }
    return result;
}

juce::Result save(Preset preset) {
    const auto name = fileName(preset.name);
    if (name.isEmpty())
        return juce::Result::fail("a preset needs a name; type one");
    const auto target = folder().getChildFile(name + ending);
    const auto failed = juce::Result::fail("cannot write " + target.getFullPathName() +
                                           ": is the disk full, or the folder read-only?");
    if (folder().createDirectory().failed())
        return failed;
    const juce::TemporaryFile partial(target);
    if (!partial.getFile().replaceWithText(write(preset)) ||
        !partial.overwriteTargetFileWithTemporary())
        return failed;
    return juce::Result::ok();
}

juce::Result remove(const juce::String& name) {
    const auto target = folder().getChildFile(fileName(name) + ending);
    return target.deleteFile() ? juce::Result::ok()
                               : juce::Result::fail("cannot delete " + target.getFullPathName());
}

} // namespace lars::presets
