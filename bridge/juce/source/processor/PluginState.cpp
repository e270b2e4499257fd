// SPDX-License-Identifier: GPL-3.0-or-later
// The part of the plugin that keeps things: which model is wanted, the user's settings, the state.
#include "processor/PluginProcessor.h"
#include "processor/State.h"

namespace lars {

// The model.

// Whether the stream was configured with other choices. Any thread, but the audio thread only where
// it renders: the mutex is taken if a parameter has changed.
bool PluginProcessor::choicesChanged() {
    if (!choices.pending())
        return false;
    const std::lock_guard<std::mutex> lock(mutex);
    return choices.differ();
}

// While the parameter is made to follow the name, what it says is nobody's choice.
class PluginProcessor::Following {
public:
    explicit Following(PluginProcessor& processor) : plugin(processor) {
        const std::lock_guard<std::mutex> lock(plugin.mutex);
        ++plugin.following;
    }
    ~Following() {
        const std::lock_guard<std::mutex> lock(plugin.mutex);
        --plugin.following;
        plugin.choices.takeOnly(&StreamChoices::model);
    }
    Following(const Following&) = delete;
    Following& operator=(const Following&) = delete;

private:
    PluginProcessor& plugin;
};

void PluginProcessor::configure() {
    {
        const auto models = link.status().models;
        const std::lock_guard<std::mutex> lock(mutex);
        if (following == 0) {
            const auto change = choices.take();
            if (change.now.model != change.before.model)
                wanted.place = change.now.model;
            wanted.resolve(models);
        }
    }
    link.configure(streamSettings());
}

// Whether a model was chosen by its place in the engine's list, and that list has come.
bool PluginProcessor::canName() const {
    const auto models = link.status().models;
    const std::lock_guard<std::mutex> lock(mutex);
    return wanted.canName(models);
}

void PluginProcessor::showModels() {
    juce::StringArray names;
    for (const auto& name : link.status().models)
        names.add(juce::String::fromUTF8(name.c_str()));
    if (names.isEmpty() || names == modelNames.get())
        return;
    modelNames.set(names);
    showModel();
    updateHostDisplay(ChangeDetails{}.withParameterInfoChanged(true));
}

// The name is what counts; the parameter says its place in the engine's list, if it has one.
void PluginProcessor::showModel() {
    const auto models = link.status().models;
    juce::String name;
    {
        const std::lock_guard<std::mutex> lock(mutex);
        if (wanted.place >= 0)
            return; // a host has chosen a place that has no name
        name = wanted.name;
    }
    if (name.isEmpty())
        name = juce::String::fromUTF8(
            defaultModel(models, choices.now().mode == 0).c_str());
    const auto at = std::find(models.begin(), models.end(), name.toStdString());
    if (at == models.end())
        return;
    const auto place = juce::jmin(static_cast<int>(at - models.begin()), mostModels - 1);
    if (place == choices.now().model)
        return;
    const Following following(*this);
    auto* parameter = state.getParameter(ids::model);
    parameter->setValueNotifyingHost(parameter->convertTo0to1(static_cast<float>(place)));
}

juce::String PluginProcessor::modelName() const {
    const std::lock_guard<std::mutex> lock(mutex);
    return wanted.name;
}

void PluginProcessor::setModel(const juce::String& name) {
    {
        const std::lock_guard<std::mutex> lock(mutex);
        wanted = {name, -1};
    }
    showModel();
    configure();
}

// The user's settings.

juce::Result PluginProcessor::setEngineCommand(const juce::String& line, bool startByItself) {
    auto values = settings->get();
    if (line.trim().isNotEmpty())
        values.command = line.trim();
    values.automatic = startByItself;
    const auto result = settings->set(values);
    applyUserSettings();
    return result;
}

// The engine starts by itself where it is needed: not for a host that only looks at its plugins.
void PluginProcessor::applyUserSettings() {
    const auto values = settings->get();
    link.setCommand(values.command.toStdString(), values.automatic && prepared.load());
}

// The state.

// As the parameters are now; APVTS's own tree also has what was loaded and was out of range.
juce::ValueTree PluginProcessor::parameterValues() const {
    juce::ValueTree result(state.state.getType());
    for (const auto* parameter : getParameters())
        if (const auto* ranged = dynamic_cast<const juce::RangedAudioParameter*>(parameter))
            result.appendChild(
                juce::ValueTree("PARAM", {{"id", ranged->paramID},
                                          {"value", ranged->convertFrom0to1(ranged->getValue())}}),
                nullptr);
    return result;
}

void PluginProcessor::getStateInformation(juce::MemoryBlock& data) {
    if (choicesChanged())
        configure(); // so that the model's name is the one that was chosen last
    SavedState saved;
    saved.parameters = parameterValues();
    {
        const std::lock_guard<std::mutex> lock(mutex);
        saved.model = wanted;
    }
    saved.zoom = zoom.load();
    for (const auto& [key, latency] : link.latencies())
        saved.latencies[key] = latency;
    saveState(saved, data);
}

void PluginProcessor::setStateInformation(const void* data, int size) {
    auto saved = loadState(data, size, state.state.getType());
    if (!saved)
        return; // damaged: better what there is than half of something
    link.addLatencies(saved->latencies);
    zoom.store(saved->zoom);
    {
        const Following following(*this); // the name counts, not its place in a list
        if (saved->parameters.isValid())
            state.replaceState(saved->parameters);
        const std::lock_guard<std::mutex> lock(mutex);
        wanted = saved->model;
    }
    configure();
    showModel();
    showLatency();
}

} // namespace lars
