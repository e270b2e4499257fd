// SPDX-License-Identifier: GPL-3.0-or-later
// Undo and redo of what the window changes. A step is what one gesture did to parameters: a drag
// from press to release, a switch, a preset. What hosts automate and sessions restore is not one,
// nor is a capture, which is done and not set: undo would make another.
//
// JUCE's own history of a parameter tree would take automation for the user's, and is written by
// whichever thread loads a state.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <vector>

#include <juce_audio_processors/juce_audio_processors.h>

namespace lars {

class History : private juce::AudioProcessorParameter::Listener {
public:
    // But for the parameters of these names.
    History(juce::AudioProcessor& processor, const juce::StringArray& actions);
    ~History() override;

    // Message thread.
    bool canUndo();
    bool canRedo();
    void undo();
    void redo();
    // What the next one would change.
    juce::String undoName();
    juce::String redoName();
    // All that this changes is one step.
    void together(const juce::String& name, const std::function<void()>& changes);
    // Something that was done, and is not a parameter: how to take it back, and to do it again.
    void did(const juce::String& name, std::function<void()> back, std::function<void()> again);

    // Any thread: what was loaded has no past.
    void forget() { stale.store(true); }

    static constexpr std::size_t mostSteps = 200;
    static constexpr juce::uint32 sameMilliseconds = 600; // of wheel or keys at one fader: one step

private:
    struct Change {
        int index;
        float before, after; // 0 to 1
    };
    struct Step {
        juce::String name;
        std::vector<Change> changes;
        juce::uint32 when = 0;
        std::function<void()> back = {}, again = {}; // of what is not a parameter
    };

    void parameterValueChanged(int, float) override {}
    void parameterGestureChanged(int index, bool starting) override;
    bool isMine();
    void add(Change change);
    void push(Step step);
    void set(const Step& step, bool back);

    juce::AudioProcessor& processor;
    std::vector<Step> steps;
    std::size_t place = 0; // steps before it can be undone, those from it on redone
    std::map<int, float> open; // gestures that go on, and the values before them
    Step* group = nullptr;
    bool applying = false;
    std::atomic<bool> stale{false};
};

} // namespace lars
