// SPDX-License-Identifier: GPL-3.0-or-later
#include "processor/State.h"

namespace lars {
namespace {

constexpr int mostBytes = 1 << 20;
constexpr int mostLatencies = 64;
constexpr int mostLatency = 1 << 26;

// A parameter whose number is damaged gets its default.
void dropBadNumbers(juce::ValueTree parameters) {
    for (auto parameter : parameters)
        if (!std::isfinite(static_cast<float>(parameter.getProperty("value", 0.0))))
            parameter.removeProperty("value", nullptr);
}

} // namespace

void saveState(const SavedState& state, juce::MemoryBlock& data) {
    juce::XmlElement root("LARS");
    root.setAttribute("version", SavedState::newest);
    root.setAttribute("model", state.model);
    root.setAttribute("engineCommand", state.command);
    root.setAttribute("startEngine", state.automatic);
    root.setAttribute("zoom", state.zoom);
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
    if (!juce::CharPointer_UTF8::isValidString(text, size))
        return std::nullopt;
    const auto root = juce::parseXML(juce::String::fromUTF8(text, size));
    // A newer version's state is read for what this one knows of it.
    if (root == nullptr || !root->hasTagName("LARS") || root->getIntAttribute("version") < 1)
        return std::nullopt;
    SavedState made;
    made.model = root->getStringAttribute("model").substring(0, 128);
    made.command = root->getStringAttribute("engineCommand", made.command);
    made.automatic = root->getBoolAttribute("startEngine");
    made.zoom = root->getIntAttribute("zoom", made.zoom);
    for (const auto* entry : root->getChildWithTagNameIterator("latency")) {
        const int samples = entry->getIntAttribute("samples", -1);
        if (samples >= 0 && samples <= mostLatency &&
            made.latencies.size() < static_cast<std::size_t>(mostLatencies))
            made.latencies[entry->getStringAttribute("stream").toStdString()] = samples;
    }
    if (const auto* parameters = root->getChildByName("parameters"))
        if (const auto* first = parameters->getFirstChildElement()) {
            auto tree = juce::ValueTree::fromXml(*first);
            if (tree.hasType(parametersType)) {
                dropBadNumbers(tree);
                made.parameters = tree;
            }
        }
    return made;
}

} // namespace lars
