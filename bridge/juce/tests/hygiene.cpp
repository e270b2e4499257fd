// SPDX-License-Identifier: GPL-3.0-or-later
// lars_hygiene: what hosts do to plugins. The window is opened and closed while audio runs, state
// comes and goes on another thread, every parameter is set to anything, rates and block sizes
// change without release, and instances are destroyed at any moment; with LARS_TEST_FILE, a long
// audio file, and LARS_TEST_MODEL also while an engine separates the file. Made for the sanitizers.
// With a display the window is really shown.
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <random>
#include <thread>

#include "Catch.h"
#include "Findings.h"
#include "parameters/Parameters.h"
#include "processor/PluginProcessor.h"

using namespace lars;

namespace {

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
    R"(<LARS version="1" render="0123456789abcdef0123456789abcdef" take="../../../etc"><parameters>)"
    R"(<lars><PARAM id="mode" value="2.0"/><PARAM id="capture" value="1.0"/></lars></parameters></LARS>)",
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
                findings.check(playBlock(plugin, 256, 0.1f), "samples are finite");
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

    std::string wrong() { return findings.take(); }

private:
    void saveAndLoad() {
        std::mt19937 choose(1);
        while (!stop.load()) {
            juce::MemoryBlock data;
            plugin.getStateInformation(data);
            findings.check(data.getSize() > 0, "there is a state");
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
            findings.check(editor != nullptr && editor->getWidth() > 0, "the window opens");
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
    Findings findings;
    std::atomic<bool> stop{false};
    std::thread audio, saver;
    std::unique_ptr<juce::AudioProcessorEditor> editor;
    std::mt19937 random{2};
    int turns = 0;
};

std::string stateOf(PluginProcessor& plugin) {
    juce::MemoryBlock data;
    plugin.getStateInformation(data);
    return data.toString().toStdString();
}

bool has(const std::string& text, const char* part) {
    return text.find(part) != std::string::npos;
}

} // namespace

TEST_CASE("Rates, blocks and layouts change without release") {
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
        CHECK(plugin.getLatencySamples() >= 0);
        for (const int size : {block, 0, 1, 2 * block, 17})
            CHECK(playBlock(plugin, size, 0.2f));
        if (turn % 4 == 0)
            plugin.releaseResources();
        if (turn % 5 == 0)
            plugin.reset();
    }
    CHECK(plugin.getNumPrograms() == 1);
    CHECK(plugin.getProgramName(0).isNotEmpty());
}

TEST_CASE("Samples are finite whatever a host sets, NaN included") {
    constexpr float bad[] = {std::numeric_limits<float>::quiet_NaN(), -1.0f, 2.0f};
    for (const float value : bad) {
        PluginProcessor plugin;
        plugin.enableAllBuses();
        prepare(plugin, 44100.0, 64);
        for (auto* parameter : plugin.getParameters())
            parameter->setValueNotifyingHost(value);
        for (int turn = 0; turn < 10; ++turn)
            CHECK(playBlock(plugin, 64, 0.1f));
        juce::MemoryBlock data;
        plugin.getStateInformation(data);
        PluginProcessor other;
        other.setStateInformation(data.getData(), static_cast<int>(data.getSize()));
    }
}

TEST_CASE("What a host sets of a stream changes the model only where it is the model") {
    PluginProcessor plugin;
    plugin.setModel(Task::live, "nobody has this one");
    const auto set = [&](const char* id, float value) {
        auto* parameter = plugin.parameters().getParameter(id);
        REQUIRE(parameter != nullptr);
        parameter->setValueNotifyingHost(value);
    };
    for (const auto* id : {ids::mode, ids::quality, ids::fallback})
        for (const float value : {1.0f, 0.5f, 0.0f, std::nanf("")}) {
            CAPTURE(id, value);
            set(id, value);
            const auto state = stateOf(plugin);
            CHECK(has(state, "model=\"nobody has this one\""));
            CHECK_FALSE(has(state, "modelPlace"));
        }
    set(ids::model, 1.0f); // a place that no engine's list has
    CHECK(has(stateOf(plugin), "modelPlace=\"31\""));
}

// The settings' folder is the caller's, who throws it away: tests/host sets XDG_CONFIG_HOME.
TEST_CASE("The engine's command is the user's and in no state") {
    PluginProcessor plugin, other;
    CHECK(plugin.setEngineCommand("nowhere --of --mine", false).wasOk());
    const auto state = stateOf(plugin);
    for (const auto* part : {"nowhere", "ngineCommand", "startEngine"})
        CHECK_FALSE(has(state, part));
    CHECK(other.userSettings().get().command == "nowhere --of --mine"); // all instances have it
    constexpr auto evil = R"(<LARS version="1" engineCommand="evil" startEngine="1"/>)";
    other.setStateInformation(evil, static_cast<int>(std::strlen(evil)));
    const auto now = other.userSettings().get();
    CHECK(now.command == "nowhere --of --mine");
    CHECK_FALSE(now.automatic);
    CHECK(plugin.setEngineCommand("  ", true).wasOk()); // an empty command changes nothing
    const UserSettings again;                           // from the file
    CHECK(again.get().command == "nowhere --of --mine");
    CHECK(again.get().automatic);
    plugin.setEngineCommand("lars serve", false);
    other.userSettings().refresh();
    CHECK(other.userSettings().get() == UserSettings::Values{juce::String("lars serve"), false});
}

// A host that only looks at its plugins starts nothing.
TEST_CASE("An engine starts by itself only to play") {
    const juce::TemporaryFile marker("started");
    PluginProcessor plugin;
    plugin.setEngineCommand("touch '" + marker.getFile().getFullPathName() + "'", true);
    PluginProcessor another;
    juce::Thread::sleep(500);
    CHECK_FALSE(marker.getFile().existsAsFile());
    prepare(another, 44100.0, 64);
    for (int turn = 0;
         turn < 2000 && !marker.getFile().existsAsFile() && another.engine().status().engine.empty();
         ++turn)
        juce::Thread::sleep(10);
    // Where an engine runs already, as in some of the tests, none is needed.
    CHECK((marker.getFile().existsAsFile() || !another.engine().status().engine.empty()));
    plugin.setEngineCommand("lars serve", false);
}

TEST_CASE("Plugins are destroyed at any moment") {
    for (int turn = 0; turn < 10; ++turn) {
        auto plugin = std::make_unique<PluginProcessor>();
        FileJobRequest request;
        request.source = "/nowhere/in.wav";
        request.folder = "/nowhere/out";
        plugin->fileJob().start(request);
        if (turn % 2 == 0)
            prepare(*plugin, 48000.0, 128);
        if (turn % 3 == 0)
            CHECK(playBlock(*plugin, 128, 0.1f));
        if (turn % 4 == 0)
            plugin->fileJob().cancel();
    }
}

// From before the engine has heard of the job until long after it has begun to write.
TEST_CASE("Plugins are destroyed during a job") {
    const auto* path = std::getenv("LARS_TEST_FILE");
    const auto* model = std::getenv("LARS_TEST_MODEL");
    if (path == nullptr || model == nullptr) {
        WARN("no engine separates: LARS_TEST_FILE and LARS_TEST_MODEL are not set");
        return;
    }
    const juce::File file(juce::String::fromUTF8(path));
    for (const int after : {0, 1, 10, 50, 200, 800}) {
        PluginProcessor plugin;
        prepare(plugin, 44100.0, 128);
        CHECK(plugin.fileSession().load(file).wasOk());
        plugin.filePlayer().play();
        plugin.fileSession().separate(juce::String::fromUTF8(model), {});
        CHECK(plugin.fileSession().isSeparating());
        for (int turn = 0; turn <= after; turn += 10) {
            CHECK(playBlock(plugin, 128, 0.1f));
            std::this_thread::sleep_for(std::chrono::milliseconds(after == 0 ? 0 : 10));
        }
    }
}

TEST_CASE("The window, states and parameters change while audio runs") {
    WindowStateAndParametersWhileAudioRuns running;
    juce::MessageManager::getInstance()->runDispatchLoop();
    CHECK(running.wrong() == "");
}
