// SPDX-License-Identifier: GPL-3.0-or-later
// The plugin: moves audio between the host's buses and the stream, and keeps host, parameters and
// engine in agreement about model, mode and latency.
#pragma once

#include "engine/EngineLink.h"
#include "engine/FileJob.h"
#include "engine/StemPlayer.h"
#include "parameters/StreamChoices.h"
#include "player/MidiFiles.h"
#include "processor/History.h"
#include "processor/MidiOut.h"
#include "processor/Mixer.h"
#include "processor/ModelChoice.h"
#include "processor/UserSettings.h"
#include "render/RenderSession.h"

namespace lars {

class PluginProcessor : public juce::AudioProcessor, private juce::Timer {
public:
    PluginProcessor();
    ~PluginProcessor() override;

    // What the window shows and does; message thread.
    juce::AudioProcessorValueTreeState& parameters() { return state; }
    const ModelNames& models() const { return modelNames; }
    // By name; empty for the default.
    juce::String modelName(Task task) const;
    void setModel(Task task, const juce::String& name);
    FileJob& modelFetch() { return fetch; }
    EngineLink& engine() { return link; }
    FileJob& fileJob() { return job; }
    FilePlayer& filePlayer() { return files; }
    FileSession& fileSession() { return session; }
    MidiFiles& midiFiles() { return fileMidi; }
    RenderSession& renderOnce() { return once; }
    // How a file or a capture is separated now.
    RenderMeans renderMeans() const;
    History& history() { return past; }
    // Changes the effects behind the stems. With a name it is a step that can be undone, from what
    // was before it, or from `before`, where a gesture began.
    void changeChains(const juce::String& name, const std::function<void(Chains&)>& change,
                      std::optional<Chains> before = std::nullopt);
    // Behind the faders: of a live stem's bus, and of the main output with everything in it.
    PeakMeter& busMeter(int bus) { return mixer.meter(bus); }
    PeakMeter& mainMeter() { return mainLevel; }
    // The user's settings, for all sessions. The failure says why they were not written.
    UserSettings& userSettings() { return *settings; }
    juce::Result setEngineCommand(const juce::String& command, bool startByItself);
    // In per cent. Not a property of the parameters' tree, which hosts replace on any thread.
    int windowZoom() const { return zoom.load(); }
    void setWindowZoom(int percent) { zoom.store(percent); }

    // juce::AudioProcessor
    void prepareToPlay(double rate, int block) override;
    void releaseResources() override {}
    void reset() override;
    void processBlock(juce::AudioBuffer<float>& buffer, juce::MidiBuffer& midi) override;
    void processBlockBypassed(juce::AudioBuffer<float>& buffer, juce::MidiBuffer& midi) override;
    bool isBusesLayoutSupported(const BusesLayout& layout) const override;
    juce::AudioProcessorParameter* getBypassParameter() const override { return bypass; }
    juce::AudioProcessorEditor* createEditor() override; // in ui/
    bool hasEditor() const override { return true; }
    const juce::String getName() const override { return "LARS"; }
    bool acceptsMidi() const override { return false; }
    bool producesMidi() const override { return true; }
    double getTailLengthSeconds() const override { return 0.0; }
    int getNumPrograms() override { return 1; }
    int getCurrentProgram() override { return 0; }
    void setCurrentProgram(int) override {}
    const juce::String getProgramName(int) override { return "Default"; }
    void changeProgramName(int, const juce::String&) override {}
    void getStateInformation(juce::MemoryBlock& data) override;
    void setStateInformation(const void* data, int size) override;
    using juce::AudioProcessor::processBlock;
    using juce::AudioProcessor::processBlockBypassed;

private:
    static BusesProperties buses();
    void timerCallback() override;
    StreamSettings streamSettings() const;
    bool choicesChanged();
    void configure();
    bool canName() const;
    class Following;
    void settle(int milliseconds);
    void expect(double rate, int block);
    void showLatency();
    void showModels();
    void showModel(Task task);
    ModelChoice& choice(Task task) { return wanted[static_cast<std::size_t>(task)]; }
    const ModelChoice& choice(Task task) const { return wanted[static_cast<std::size_t>(task)]; }
    void applyUserSettings();
    void followCapture();
    std::string whyNoEngine(int tries);
    juce::ValueTree parameterValues() const;
    void process(juce::AudioBuffer<float>& buffer, juce::MidiBuffer& midi, bool bypassed);
    void processPart(juce::AudioBuffer<float>& buffer, juce::MidiBuffer& midi, int start, int count,
                     bool bypassed, bool wait);
    std::optional<std::int64_t> hostPosition();
    void processRendered(const float* const* in, int channels, int start, int count, bool dry,
                         bool wait);

    ModelNames modelNames;
    juce::AudioProcessorValueTreeState state;
    juce::AudioProcessorParameter* bypass;
    std::atomic<float>* const bypassValue;
    std::atomic<float>* const fallbackValue;
    std::atomic<float>* const captureValue;
    StreamParameters choices; // taken under the mutex: what the stream was configured with
    History past;
    Mixer mixer;
    PeakMeter mainLevel;
    MidiOut midiOut;
    EngineLink link;
    StemPlayer player;
    FileJob job, conversion, fetch, transcription;
    FilePlayer files;
    FileSession session;
    std::atomic<double> hostTempo{0.0}; // BPM; 0: the host says none
    MidiFiles fileMidi;
    RenderSession once;

    juce::SharedResourcePointer<UserSettings> settings;

    mutable std::mutex mutex; // of the next two, and of taking `choices`
    std::array<ModelChoice, taskCount> wanted; // by task
    int following = 0;
    int ticks = 0; // of the timer

    std::atomic<int> zoom{100};
    std::atomic<double> currentRate{44100.0};
    std::atomic<int> currentBlock{1024}, currentChannels{2};
    std::atomic<bool> renders{false}, restartAsked{false}, prepared{false};

    // Of the audio thread.
    std::vector<float> stemSamples, mixtureSamples, residualSamples;
    std::vector<float*> stemLines;
    std::array<float*, 2> mixtureLines{}, residualLines{};
    std::optional<std::int64_t> blockPosition; // of the host, while it plays
    int untilSettled = 0;                      // samples, since the transport has started
};

} // namespace lars
