// SPDX-License-Identifier: GPL-3.0-or-later
#include "processor/History.h"

namespace lars {

History::History(juce::AudioProcessor& ofProcessor, const juce::StringArray& actions)
    : processor(ofProcessor) {
    for (auto* parameter : processor.getParameters()) {
        const auto* named = dynamic_cast<juce::AudioProcessorParameterWithID*>(parameter);
        if (named == nullptr || !actions.contains(named->paramID))
            parameter->addListener(this);
    }
}

History::~History() {
    for (auto* parameter : processor.getParameters())
        parameter->removeListener(this);
}

// Gestures are the window's, on its thread; whatever else calls this is not.
bool History::isMine() {
    if (!juce::MessageManager::existsAndIsCurrentThread())
        return false;
    if (stale.exchange(false)) {
        steps.clear();
        open.clear();
        place = 0;
    }
    return true;
}

void History::parameterGestureChanged(int index, bool starting) {
    if (!isMine() || applying)
        return;
    const auto* parameter = processor.getParameters()[index];
    if (starting) {
        open[index] = parameter->getValue();
        return;
    }
    const auto began = open.find(index);
    if (began == open.end())
        return;
    const Change change{index, began->second, parameter->getValue()};
    open.erase(began);
    if (std::abs(change.before - change.after) > 1e-6f)
        add(change);
}

void History::add(Change change) {
    if (group != nullptr) {
        group->changes.push_back(change);
        return;
    }
    const auto* parameter = processor.getParameters()[change.index];
    const auto now = juce::Time::getMillisecondCounter();
    if (place > 0 && place == steps.size()) {
        auto& last = steps.back();
        if (last.changes.size() == 1 && last.changes.front().index == change.index &&
            !parameter->isBoolean() && !parameter->isDiscrete() &&
            now - last.when < sameMilliseconds) {
            last.changes.front().after = change.after;
            last.when = now;
            return;
        }
    }
    push({parameter->getName(40), {change}, now});
}

void History::push(Step step) {
    steps.resize(place);
    steps.push_back(std::move(step));
    if (steps.size() > mostSteps)
        steps.erase(steps.begin());
    place = steps.size();
}

void History::together(const juce::String& name, const std::function<void()>& changes) {
    if (!isMine())
        return;
    Step step{name, {}, 0};
    group = &step;
    changes();
    group = nullptr;
    if (!step.changes.empty())
        push(std::move(step));
}

void History::did(const juce::String& name, std::function<void()> back,
                  std::function<void()> again) {
    if (isMine() && !applying)
        push({name, {}, 0, std::move(back), std::move(again)});
}

bool History::canUndo() {
    return isMine() && place > 0;
}

bool History::canRedo() {
    return isMine() && place < steps.size();
}

juce::String History::undoName() {
    return canUndo() ? steps[place - 1].name : juce::String();
}

juce::String History::redoName() {
    return canRedo() ? steps[place].name : juce::String();
}

void History::undo() {
    if (canUndo())
        set(steps[--place], true);
}

void History::redo() {
    if (canRedo())
        set(steps[place++], false);
}

void History::set(const Step& step, bool back) {
    applying = true;
    for (const auto& change : step.changes) {
        auto* parameter = processor.getParameters()[change.index];
        parameter->beginChangeGesture();
        parameter->setValueNotifyingHost(back ? change.before : change.after);
        parameter->endChangeGesture();
    }
    if (const auto& act = back ? step.back : step.again)
        act();
    applying = false;
}

} // namespace lars
