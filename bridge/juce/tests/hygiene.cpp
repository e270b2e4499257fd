// SPDX-License-Identifier: GPL-3.0-or-later
// lars_hygiene [<long audio file> <model>]: what hosts do to plugins. The window is opened and
// closed while audio runs, state comes and goes on another thread, every parameter is set to
// anything, rates and block sizes change without release, and instances are destroyed at any
// moment, also while an engine separates the file. Says what is wrong and returns 1; made for the
// sanitizers. With a display the window is really shown.
#if defined(__linux__)
#include <dlfcn.h>
#endif

#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <functional>
#include <limits>
#include <random>
#include <thread>

#include "processor/PluginProcessor.h"

using namespace lars;

namespace {

std::atomic<int> failures{0};

void check(bool good, const char* what) {
    if (!good && ++failures < 20)
        std::fprintf(stderr, "wrong: %s\n", what);
}

bool playBlock(PluginProcessor& plugin, int size, float level) {
    juce::AudioBuffer<float> block(plugin.getTotalNumOutputChannels(), size);
    juce::MidiBuffer midi;
    for (int channel = 0; channel < block.getNumChannels(); ++channel)
        for (int i = 0; i < size; ++i)
            block.setSample(channel, i, level);
    plugin.processBlock(block, midi);
    for (int channel = 0; channel < block.getNumChannels(); ++channel)
        for (int i = 0; i < size; ++i)
            if (!std::isfinite(block.getSample(channel, i)))
                return false;
    return true;
}

void prepare(PluginProcessor& plugin, double rate, int block) {
    plugin.setRateAndBufferSizeDetails(rate, block);
    plugin.prepareToPlay(rate, block);
}

// What earlier versions wrote, and what nobody should have written.
constexpr const char* states[] = {
    R"(<LARS version="1" model="live" engineCommand="lars serve" startEngine="0"/>)",
    R"(<LARS version="1" model="tiny"><parameters><lars><PARAM id="mode" value="1.0"/>)"
    R"(<PARAM id="kick_gain" value="-6.0"/></lars></parameters></LARS>)",
    R"(<LARS version="1"><parameters><lars><PARAM id="mix" value="nan"/>)"
    R"(<PARAM id="snare_gain" value="1e99"/><PARAM id="mode" value="-inf"/>)"
    R"(<PARAM id="nonsense"/></lars></parameters></LARS>)",
    R"(<LARS version="1" zoom="-5"><latency stream="x" samples="-1"/></LARS>)",
    R"(<LARS version="1"><parameters><lars>)",
    "",
};

// Audio on one thread, states on another, and on this one, with its messages, the window.
class WindowStateAndParametersWhileAudioRuns : private juce::Timer {
public:
    WindowStateAndParametersWhileAudioRuns() {
        plugin.enableAllBuses();
        prepare(plugin, 44100.0, 256);
        audio = std::thread([this] {
            while (!stop.load()) {
                check(playBlock(plugin, 256, 0.1f), "samples are finite");
                std::this_thread::sleep_for(std::chrono::milliseconds(1));
            }
        });
        saver = std::thread([this] { saveAndLoad(); });
        startTimer(5);
    }
    ~WindowStateAndParametersWhileAudioRuns() override {
        stop.store(true);
        audio.join();
        saver.join();
    }

private:
    void saveAndLoad() {
        std::mt19937 choose(1);
        while (!stop.load()) {
            juce::MemoryBlock data;
            plugin.getStateInformation(data);
            check(data.getSize() > 0, "there is a state");
            if (choose() % 3 == 0)
                data.setSize(choose() % (data.getSize() + 1));
            if (choose() % 3 == 0) {
                const auto* other = states[choose() % std::size(states)];
                data.replaceAll(other, std::strlen(other));
            }
            plugin.setStateInformation(data.getData(), static_cast<int>(data.getSize()));
            std::this_thread::sleep_for(std::chrono::milliseconds(3));
        }
    }

    void timerCallback() override {
        for (auto* parameter : plugin.getParameters())
            if (random() % 4 == 0)
                parameter->setValueNotifyingHost(static_cast<float>(random() % 1001) / 1000.0f);
        if (editor == nullptr) {
            editor.reset(plugin.createEditorIfNeeded());
            check(editor != nullptr && editor->getWidth() > 0, "the window opens");
            if (juce::Desktop::getInstance().getDisplays().getPrimaryDisplay() != nullptr) {
                editor->addToDesktop(0);
                editor->setVisible(true);
            }
            juce::Image picture(juce::Image::ARGB, 64, 64, true);
            juce::Graphics graphics(picture);
            editor->paintEntireComponent(graphics, true);
            editor->setSize(200 + static_cast<int>(random() % 800),
                            200 + static_cast<int>(random() % 800));
            return;
        }
        editor.reset();
        if (++turns < 100)
            return;
        stopTimer();
        juce::MessageManager::getInstance()->stopDispatchLoop();
    }

    PluginProcessor plugin;
    std::atomic<bool> stop{false};
    std::thread audio, saver;
    std::unique_ptr<juce::AudioProcessorEditor> editor;
    std::mt19937 random{2};
    int turns = 0;
};

void ratesBlocksAndLayoutsWithoutRelease() {
    PluginProcessor plugin;
    std::mt19937 random(3);
    constexpr double rates[] = {8000.0, 44100.0, 48000.0, 96000.0, 192000.0};
    constexpr int blocks[] = {1, 16, 64, 333, 1024};
    for (int turn = 0; turn < 30; ++turn) {
        const int block = blocks[random() % std::size(blocks)];
        if (turn % 3 == 0)
            plugin.enableAllBuses();
        else
            plugin.disableNonMainBuses();
        prepare(plugin, rates[random() % std::size(rates)], block);
        check(plugin.getLatencySamples() >= 0, "a latency");
        for (const int size : {block, 0, 1, 2 * block, 17})
            check(playBlock(plugin, size, 0.2f), "samples are finite after a change");
        if (turn % 4 == 0)
            plugin.releaseResources();
        if (turn % 5 == 0)
            plugin.reset();
    }
    check(plugin.getNumPrograms() == 1 && plugin.getProgramName(0).isNotEmpty(), "the program");
}

// Automation may be anything, also nothing that is a number.
void parametersThatAreNoNumbers() {
    constexpr float bad[] = {std::numeric_limits<float>::quiet_NaN(), -1.0f, 2.0f};
    for (const float value : bad) {
        PluginProcessor plugin;
        plugin.enableAllBuses();
        prepare(plugin, 44100.0, 64);
        for (auto* parameter : plugin.getParameters())
            parameter->setValueNotifyingHost(value);
        for (int turn = 0; turn < 10; ++turn)
            check(playBlock(plugin, 64, 0.1f), "samples are finite whatever a host sets");
        juce::MemoryBlock data;
        plugin.getStateInformation(data);
        PluginProcessor other;
        other.setStateInformation(data.getData(), static_cast<int>(data.getSize()));
    }
}

// The settings' folder is the caller's, who throws it away: tests/host sets XDG_CONFIG_HOME.
void commandIsTheUsersAndInNoState() {
    PluginProcessor plugin, other;
    check(plugin.setEngineCommand("nowhere --of --mine", false).wasOk(), "the command is kept");
    juce::MemoryBlock data;
    plugin.getStateInformation(data);
    check(!data.toString().contains("nowhere") && !data.toString().contains("ngineCommand") &&
              !data.toString().contains("startEngine"),
          "the command is in no state");
    check(other.userSettings().get().command == "nowhere --of --mine", "all instances have it");
    constexpr auto evil = R"(<LARS version="1" engineCommand="evil" startEngine="1"/>)";
    other.setStateInformation(evil, static_cast<int>(std::strlen(evil)));
    const auto now = other.userSettings().get();
    check(now.command == "nowhere --of --mine" && !now.automatic, "a state changes no setting");
    check(plugin.setEngineCommand("  ", true).wasOk(), "no command is no change");
    const UserSettings again; // from the file
    check(again.get().command == "nowhere --of --mine" && again.get().automatic, "it is on disk");
    plugin.setEngineCommand("lars serve", false);
    other.userSettings().refresh();
    check(other.userSettings().get() == UserSettings::Values(), "back to what it was");
}

// A host that only looks at its plugins starts nothing.
void engineStartsByItselfOnlyToPlay() {
    const juce::TemporaryFile made("started");
    PluginProcessor plugin;
    plugin.setEngineCommand("touch '" + made.getFile().getFullPathName() + "'", true);
    PluginProcessor another;
    juce::Thread::sleep(500);
    check(!made.getFile().existsAsFile(), "nothing is started before there is something to play");
    prepare(another, 44100.0, 64);
    for (int turn = 0; turn < 2000 && !made.getFile().existsAsFile() &&
                       another.engine().status().engine.empty();
         ++turn)
        juce::Thread::sleep(10);
    // Where an engine runs already, as in some of the tests, none is needed.
    check(made.getFile().existsAsFile() || !another.engine().status().engine.empty(),
          "it is started to play");
    plugin.setEngineCommand("lars serve", false);
}

void destroyedAtAnyMoment() {
    for (int turn = 0; turn < 10; ++turn) {
        auto plugin = std::make_unique<PluginProcessor>();
        FileJobRequest request;
        request.source = "/nowhere/in.wav";
        request.folder = "/nowhere/out";
        plugin->fileJob().start(request);
        if (turn % 2 == 0)
            prepare(*plugin, 48000.0, 128);
        if (turn % 3 == 0)
            check(playBlock(*plugin, 128, 0.1f), "one block");
        if (turn % 4 == 0)
            plugin->fileJob().cancel();
    }
}

// From before the engine has heard of the job until long after it has begun to write.
void destroyedDuringAJob(const juce::File& file, const juce::String& model) {
    for (const int after : {0, 1, 10, 50, 200, 800}) {
        PluginProcessor plugin;
        prepare(plugin, 44100.0, 128);
        check(plugin.fileSession().load(file).wasOk(), "the file is loaded");
        plugin.filePlayer().play();
        plugin.fileSession().separate(model, {});
        check(plugin.fileSession().isSeparating(), "the job has begun");
        for (int turn = 0; turn <= after; turn += 10) {
            check(playBlock(plugin, 128, 0.1f), "the file plays meanwhile");
            std::this_thread::sleep_for(std::chrono::milliseconds(after == 0 ? 0 : 10));
        }
    }
}

// Xlib ends a program at the first error that nobody handles; JUCE's own programs go on, and so do
// hosts. Without a window manager a property of the frame has no name, which is one.
void goOnAfterErrorsOfTheDisplay() {
#if defined(__linux__)
    if (auto* library = dlopen("libX11.so.6", RTLD_LAZY)) {
        using Handler = int (*)(void*, void*);
        if (const auto set =
                reinterpret_cast<Handler (*)(Handler)>(dlsym(library, "XSetErrorHandler")))
            set([](void*, void*) { return 0; });
    }
#endif
}

} // namespace

int main(int count, char** arguments) {
    goOnAfterErrorsOfTheDisplay();
    const juce::ScopedJuceInitialiser_GUI juce;
    ratesBlocksAndLayoutsWithoutRelease();
    parametersThatAreNoNumbers();
    commandIsTheUsersAndInNoState();
    engineStartsByItselfOnlyToPlay();
    destroyedAtAnyMoment();
    if (count > 2)
        destroyedDuringAJob(juce::File(juce::String::fromUTF8(arguments[1])),
                            juce::String::fromUTF8(arguments[2]));
    {
        const WindowStateAndParametersWhileAudioRuns running;
        juce::MessageManager::getInstance()->runDispatchLoop();
    }
    std::printf("%d failures\n", failures.load());
    return failures.load() > 0 ? 1 : 0;
}
