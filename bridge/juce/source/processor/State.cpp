// SPDX-License-Identifier: GPL-3.0-or-later
#include "processor/State.h"

#include "parameters/Parameters.h"
#include "protocol/Limits.h"
#include "render/Store.h"

namespace lars {
namespace {

constexpr int mostBytes = 1 << 22; // of which the effects may be a part
constexpr int mostLatencies = 64;
constexpr int mostLatency = 1 << 26;
constexpr int mostElements = 1024; // what we write has about a hundred
constexpr int mostName = 128;

// A choice under its name and, if it has none yet, its place.
void write(juce::XmlElement& root, const juce::String& key, const ModelChoice& choice) {
    root.setAttribute(key, choice.name);
    if (choice.place >= 0)
        root.setAttribute(key + "Place", choice.place);
}

ModelChoice read(const juce::XmlElement& root, const juce::String& key) {
    ModelChoice choice;
    choice.name = root.getStringAttribute(key).substring(0, mostName);
    choice.place = juce::jlimit(-1, mostModels - 1, root.getIntAttribute(key + "Place", -1));
    return choice;
}

// A render's number, which names no path: anything else is none.
juce::String readRender(const juce::XmlElement& root, const char* key) {
    const auto id = root.getStringAttribute(key);
    return store::isId(id) ? id : juce::String();
}

// Earlier versions had one model for everything: it was chosen for the mode that the state has.
void splitModel(SavedState& state) {
    const auto mode = state.parameters.getChildWithProperty("id", ids::mode);
    if (mode.isValid() && static_cast<float>(mode.getProperty("value", 0.0)) > 0.5f)
        state.filesModel = std::exchange(state.model, {});
}

// Earlier versions left out of the main output what no stem has: their sessions stay as they were.
void muteResidual(SavedState& state) {
    const auto id = ids::mute(residualName);
    if (state.parameters.isValid() && !state.parameters.getChildWithProperty("id", id).isValid())
        state.parameters.appendChild(juce::ValueTree("PARAM", {{"id", id}, {"value", 1.0}}),
                                     nullptr);
}

} // namespace

// JUCE's parser expands entities without a limit and descends as deep as the text does; what we
// write has no declarations, and few elements.
bool isHarmlessXml(const char* text, int size) {
    int elements = 0;
    for (int i = 0; i < size; ++i)
        if (text[i] == '<' && (++elements > 2 * mostElements || (i + 1 < size && text[i + 1] == '!')))
            return false;
    return true;
}

// The parameters and nothing else. One whose number is damaged gets its default.
juce::ValueTree readParameters(const juce::ValueTree& read) {
    juce::ValueTree result(read.getType());
    for (const auto& parameter : read) {
        const auto id = parameter.getProperty("id").toString();
        if (!parameter.hasType("PARAM") || result.getChildWithProperty("id", id).isValid())
            continue;
        juce::ValueTree kept("PARAM");
        kept.setProperty("id", id.substring(0, mostName), nullptr);
        const auto value = static_cast<float>(parameter.getProperty("value", 0.0));
        if (parameter.hasProperty("value") && std::isfinite(value))
            kept.setProperty("value", value, nullptr);
        result.appendChild(kept, nullptr);
    }
    return result;
}

void saveState(const SavedState& state, juce::MemoryBlock& data) {
    juce::XmlElement root("LARS");
    root.setAttribute("version", SavedState::newest);
    write(root, "model", state.model);
    write(root, "filesModel", state.filesModel);
    root.setAttribute("zoom", state.zoom);
    if (state.render.isNotEmpty())
        root.setAttribute("render", state.render);
    if (state.take.isNotEmpty())
        root.setAttribute("take", state.take);
    // The last, and left out rather than that the whole is too long to be read.
    if (!state.chains.empty())
        for (const bool withStates : {true, false}) {
            const auto text = writeChains(state.chains, withStates);
            if (text.size() > protocol::maxChain)
                continue;
            root.setAttribute("chains", juce::String::fromUTF8(text.c_str()));
            break;
        }
    for (const auto& [key, latency] : state.latencies) {
        auto* entry = root.createNewChildElement("latency");
        entry->setAttribute("stream", juce::String::fromUTF8(key.c_str()));
        entry->setAttribute("samples", latency);
    }
    if (auto parameters = state.parameters.createXml())
        root.createNewChildElement("parameters")->addChildElement(parameters.release());
    juce::MemoryOutputStream stream(data, false);
    root.writeTo(stream, juce::XmlElement::TextFormat().singleLine());
}

std::optional<SavedState> loadState(const void* data, int size,
                                    const juce::Identifier& parametersType) {
    if (data == nullptr || size <= 0 || size > mostBytes)
        return std::nullopt;
    const auto* text = static_cast<const char*>(data);
    if (!juce::CharPointer_UTF8::isValidString(text, size) || !isHarmlessXml(text, size))
        return std::nullopt;
    const auto root = juce::parseXML(juce::String::fromUTF8(text, size));
    // A newer version's state is read for what this one knows of it.
    if (root == nullptr || !root->hasTagName("LARS") || root->getIntAttribute("version") < 1)
        return std::nullopt;
    SavedState result;
    result.model = read(*root, "model");
    result.filesModel = read(*root, "filesModel");
    result.zoom = root->getIntAttribute("zoom", result.zoom);
    result.render = readRender(*root, "render");
    result.take = readRender(*root, "take");
    result.chains = readChains(root->getStringAttribute("chains").toStdString());
    for (const auto* entry : root->getChildWithTagNameIterator("latency")) {
        const int samples = entry->getIntAttribute("samples", -1);
        if (samples >= 0 && samples <= mostLatency &&
            result.latencies.size() < static_cast<std::size_t>(mostLatencies))
            result.latencies[entry->getStringAttribute("stream").toStdString()] = samples;
    }
    if (const auto* parameters = root->getChildByName("parameters"))
        if (const auto* first = parameters->getFirstChildElement()) {
            const auto tree = juce::ValueTree::fromXml(*first);
            if (tree.hasType(parametersType))
                result.parameters = readParameters(tree);
        }
    if (!root->hasAttribute("filesModel"))
        splitModel(result);
    muteResidual(result);
    return result;
}

} // namespace lars
