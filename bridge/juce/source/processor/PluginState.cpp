// SPDX-License-Identifier: GPL-3.0-or-later
// The part of the plugin that keeps things: which model is wanted, the user's settings, the state.
#include "processor/PluginProcessor.h"
#include "processor/State.h"

namespace lars {
namespace {

constexpr std::array<Task, taskCount> tasks{Task::live, Task::files};

int StreamChoices::*placeOf(Task task) {
    return task == Task::live ? &StreamChoices::model : &StreamChoices::files;
}

} // namespace

// The models.

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
    Following(PluginProcessor& processor, std::initializer_list<Task> ofTasks)
        : plugin(processor), tasks(ofTasks) {
        const std::lock_guard<std::mutex> lock(plugin.mutex);
        ++plugin.following;
    }
    ~Following() {
        const std::lock_guard<std::mutex> lock(plugin.mutex);
        --plugin.following;
        for (const auto task : tasks)
            plugin.choices.takeOnly(placeOf(task));
    }
    Following(const Following&) = delete;
    Following& operator=(const Following&) = delete;

private:
    PluginProcessor& plugin;
    const std::vector<Task> tasks;
};

void PluginProcessor::configure() {
    {
        const auto models = link.status().models;
        const std::lock_guard<std::mutex> lock(mutex);
        if (following == 0) {
            const auto change = choices.take();
            for (const auto task : tasks) {
                const auto place = placeOf(task);
                if (change.now.*place != change.before.*place)
                    choice(task).place = change.now.*place;
                choice(task).resolve(models);
            }
        }
    }
    link.configure(streamSettings());
}

// Whether a model was chosen by its place in the engine's list, and that list has come.
bool PluginProcessor::canName() const {
    const auto models = link.status().models;
    const std::lock_guard<std::mutex> lock(mutex);
    return std::any_of(wanted.begin(), wanted.end(),
                       [&](const auto& one) { return one.canName(models); });
}

void PluginProcessor::showModels() {
    juce::StringArray names;
    for (const auto& name : link.status().models)
        names.add(juce::String::fromUTF8(name.c_str()));
    if (names.isEmpty() || names == modelNames.get())
        return;
    modelNames.set(names);
    for (const auto task : tasks)
        showModel(task);
    updateHostDisplay(ChangeDetails{}.withParameterInfoChanged(true));
}

// The name is what counts; the parameter says its place in the engine's list, if it has one.
void PluginProcessor::showModel(Task task) {
    const auto models = link.status().models;
    juce::String name;
    {
        const std::lock_guard<std::mutex> lock(mutex);
        if (choice(task).place >= 0)
            return; // a host has chosen a place that has no name
        name = choice(task).name;
    }
    if (name.isEmpty())
        name = juce::String::fromUTF8(defaultModel(models, task == Task::live).c_str());
    const auto at = std::find(models.begin(), models.end(), name.toStdString());
    if (at == models.end())
        return;
    const auto place = juce::jmin(static_cast<int>(at - models.begin()), mostModels - 1);
    if (place == choices.now().*placeOf(task))
        return;
    const Following following(*this, {task});
    auto* parameter = state.getParameter(task == Task::live ? ids::model : ids::filesModel);
    parameter->setValueNotifyingHost(parameter->convertTo0to1(static_cast<float>(place)));
}

juce::String PluginProcessor::modelName(Task task) const {
    const std::lock_guard<std::mutex> lock(mutex);
    return choice(task).name;
}

void PluginProcessor::setModel(Task task, const juce::String& name) {
    {
        const std::lock_guard<std::mutex> lock(mutex);
        choice(task) = {name, -1};
    }
    showModel(task);
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
    link.setCommand(values.command.toStdString(),
                    values.automatic && prepared.load() && !streamSettings().idle);
}

// On a file job's thread: an engine is started for it, too, if the user lets it.
std::string PluginProcessor::whyNoEngine(int tries) {
    constexpr int decided = 30; // tries, after which the engine's thread has started one, or not
    const bool automatic = settings->get().automatic;
    const auto now = link.status();
    if (tries == 0 && automatic && now.state == LinkState::away)
        link.startEngine();
    if (now.state != LinkState::away || (automatic && tries < decided))
        return {};
    return now.message.empty() ? "no engine is running; start one" : now.message;
}

// The state.

// As the parameters are now; APVTS's own tree also has what was loaded and was out of range.
juce::ValueTree PluginProcessor::parameterValues() const {
    juce::ValueTree result(state.state.getType());
    for (const auto* parameter : getParameters())
        if (const auto* ranged = dynamic_cast<const juce::RangedAudioParameter*>(parameter);
            ranged != nullptr && ranged->paramID != ids::capture) // in no session
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
        saved.model = choice(Task::live);
        saved.filesModel = choice(Task::files);
    }
    saved.zoom = zoom.load();
    std::tie(saved.render, saved.take) = once.keep();
    saved.chains = link.chains().wanted();
    for (const auto& [key, latency] : link.latencies())
        saved.latencies[key] = latency;
    saveState(saved, data);
}

void PluginProcessor::setStateInformation(const void* data, int size) {
    auto saved = loadState(data, size, state.state.getType());
    if (!saved)
        return; // damaged: better what there is than half of something
    past.forget();
    link.addLatencies(saved->latencies);
    zoom.store(saved->zoom);
    {
        const Following following(*this, {Task::live, Task::files}); // the name counts, not its place in a list
        if (saved->parameters.isValid()) {
            // Nobody captures because a session says so; without a value it gets its default.
            auto kept = saved->parameters.getChildWithProperty("id", ids::capture);
            if (!kept.isValid()) {
                kept = juce::ValueTree("PARAM", {{"id", ids::capture}});
                saved->parameters.appendChild(kept, nullptr);
            }
            kept.removeProperty("value", nullptr);
            state.replaceState(saved->parameters);
        }
        const std::lock_guard<std::mutex> lock(mutex);
        choice(Task::live) = saved->model;
        choice(Task::files) = saved->filesModel;
    }
    once.restore(saved->render, saved->take);
    link.setChains(saved->chains, true);
    configure();
    for (const auto task : tasks)
        showModel(task);
    showLatency();
}

} // namespace lars
