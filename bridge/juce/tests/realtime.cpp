// SPDX-License-Identifier: GPL-3.0-or-later
// lars_realtime <seconds> <what> [<audio file>]: the processor plays in real time, all buses
// enabled, blocks of many sizes, the audio file beside it, while interpose.c (preloaded) counts
// what the audio thread does. Prints the counts, and "half" when half of it is played.
//
//   control          the thread does on purpose what it must not
//   away             there is no engine
//   up:<model>       goes on, for two minutes at most, until stems have come in time
//   midi:<model>     likewise, with MIDI out, until there were notes
//   dies:<model>     goes on until an engine that was there is there no more
//   start:<command>  the plugin starts its engine
//   rendered         there is no engine; a render plays, while the transport jumps and the track is
//                    captured
#include <chrono>
#include <cstdlib>
#include <thread>

#include <unistd.h>

#include "Watch.h"
#include "processor/PluginProcessor.h"

using namespace lars;

namespace {

constexpr double rate = 44100.0;
constexpr int prepared = 512;
constexpr double longest = 120.0; // seconds
constexpr int patience = 180000;  // milliseconds

constexpr std::int64_t renderFrames = 5 * 44100;

struct Transport : juce::AudioPlayHead {
    std::int64_t at = 0;

    juce::Optional<PositionInfo> getPosition() const override {
        PositionInfo result;
        result.setTimeInSamples(at);
        result.setIsPlaying(true);
        return result;
    }
};

// Stems of ones, from the beginning of the timeline.
bool makeRender(PluginProcessor& plugin) {
    const auto folder = juce::File::getSpecialLocation(juce::File::tempDirectory)
                            .getChildFile("lars-realtime-" + juce::Uuid().toString());
    folder.createDirectory();
    const auto wav = folder.getChildFile("ones.wav");
    Take take(folder.getChildFile("scratch"), rate, 2);
    const std::vector<float> ones(2 * renderFrames, 1.0f);
    take.put(0, ones.data(), static_cast<int>(renderFrames));
    auto& once = plugin.renderOnce();
    bool made = take.write(wav).wasOk();
    once.useFile("ones.wav", {{"kick", wav}, {"snare", wav}}, "none", 0);
    made = made && once.waitUntilDone(patience) && once.status().record.has_value();
    once.setCapturing(true, {});
    folder.deleteRecursively();
    return made && once.wantsCapture();
}

struct Player {
    PluginProcessor& plugin;
    const Watch& watch;
    const juce::String what;
    std::int64_t done = 0;
    int notes = 0;
    Transport transport;
    std::int64_t stems = 0; // samples of the snare's bus that were a stem's

    bool seen() {
        const auto status = plugin.engine().status();
        if (what == "rendered")
            return stems > 0;
        if (what == "midi")
            return notes > 4;
        if (what == "up")
            return static_cast<std::int64_t>(status.missing) + status.latency < done;
        return what != "dies" || (status.state == LinkState::away && status.connections > 0);
    }

    void block(juce::AudioBuffer<float>& whole, std::size_t turn, int size) {
        juce::AudioBuffer<float> part(whole.getArrayOfWritePointers(), whole.getNumChannels(),
                                      size);
        for (int i = 0; i < size; ++i) {
            if (what == "midi") { // a drum of a kind, twice a second
                const auto since = static_cast<float>((done + i) % 22050);
                const float drum = 0.7f * std::exp(-since / 3000.0f) * std::sin(0.008f * since);
                for (int channel = 0; channel < 2; ++channel)
                    part.setSample(channel, i, drum);
                continue;
            }
            const auto phase = 0.01f * static_cast<float>((done + i) % 100000);
            part.setSample(0, i, std::sin(phase));
            part.setSample(1, i, turn == 20 ? std::nanf("") : std::cos(phase));
        }
        juce::MidiBuffer midi;
        midi.ensureSize(2048); // as wrappers do
        // On, back by a second, and now and then to where nothing is.
        transport.at = turn % 40 == 39 ? renderFrames - 100
                                       : (done - (turn % 7 == 0 ? 44100 : 0)) % renderFrames;
        const bool inside = what == "rendered" && transport.at >= 0 &&
                            transport.at + size <= renderFrames;
        watch.arm(true);
        plugin.processBlock(part, midi);
        if (what == "control") {
            void* volatile memory = std::malloc(8);
            std::free(memory);
            std::mutex mutex;
            mutex.lock();
            [[maybe_unused]] const auto id = ::getppid(); // nobody watches it by name
        }
        watch.arm(false);
        for (const auto event : midi)
            notes += event.getMessage().isNoteOn() ? 1 : 0;
        for (int channel = 0; channel < part.getNumChannels(); ++channel)
            for (int i = 0; i < size; ++i)
                if (!std::isfinite(part.getSample(channel, i)))
                    std::abort();
        if (inside) {
            if (part.findMinMax(4, 0, size) != juce::Range<float>(1.0f, 1.0f) && size > 0)
                std::abort(); // the snare's bus is its stem
            stems += size;
        }
        done += size;
    }

    void play(double seconds) {
        juce::AudioBuffer<float> whole(plugin.getTotalNumOutputChannels(), 2 * prepared);
        constexpr int sizes[] = {prepared, 0, 1, 17, prepared, 2 * prepared, 333};
        const auto start = std::chrono::steady_clock::now();
        bool half = false;
        const auto now = [this] { return static_cast<double>(done) / rate; };
        for (std::size_t turn = 0; now() < seconds || (now() < longest && !seen()); ++turn) {
            block(whole, turn, sizes[turn % std::size(sizes)]);
            if (turn % 50 == 49 && what != "midi")
                plugin.reset(); // hosts may do that on this thread
            if (now() >= seconds / 2 && !std::exchange(half, true)) {
                std::printf("half\n");
                std::fflush(stdout);
            }
            std::this_thread::sleep_until(
                start + std::chrono::duration_cast<std::chrono::steady_clock::duration>(
                            std::chrono::duration<double>(now())));
        }
        watch.print();
        const auto status = plugin.engine().status();
        std::printf("state %d missing %llu latency %d played %lld calls %d seen %d "
                    "notes %d\n",
                    static_cast<int>(status.state), static_cast<unsigned long long>(status.missing),
                    status.latency, static_cast<long long>(done), watch.calls(), seen() ? 1 : 0,
                    notes);
    }
};

} // namespace

int main(int count, char** arguments) {
    const Watch watch;
    if (count < 3 || !watch.there()) {
        std::fprintf(stderr, "lars_realtime <seconds> <what> [<audio file>], with "
                             "liblars_interpose.so preloaded\n");
        return 2;
    }
    const auto order = juce::String::fromUTF8(arguments[2]);
    const auto what = order.upToFirstOccurrenceOf(":", false, false);
    const auto which = order.fromFirstOccurrenceOf(":", false, false);
    const juce::ScopedJuceInitialiser_GUI juce;
    PluginProcessor plugin;
    plugin.enableAllBuses();
    if (what == "start")
        plugin.setEngineCommand(which, true);
    else if (which.isNotEmpty())
        plugin.setModel(Task::live, which);
    if (what == "rendered")
        plugin.parameters().getParameter(ids::mode)->setValueNotifyingHost(1.0f);
    if (what == "midi")
        plugin.parameters().getParameter(ids::midi)->setValueNotifyingHost(1.0f);
    plugin.setRateAndBufferSizeDetails(rate, prepared);
    plugin.prepareToPlay(rate, prepared);
    if (which.isNotEmpty() && !plugin.engine().waitUntilReady(patience)) {
        std::fprintf(stderr, "no engine: %s\n", plugin.engine().status().message.c_str());
        return 3;
    }
    auto& files = plugin.filePlayer();
    if (count > 3) {
        const juce::File file(juce::String::fromUTF8(arguments[3]));
        const std::vector<StemFile> stems{{"kick", file}, {"more", file}};
        if (files.load(file).failed() || files.setStems(stems).failed())
            return 4;
        files.setLooping(true);
        files.play();
    }
    if (what == "rendered" && !makeRender(plugin))
        return 5;
    Player player{plugin, watch, what, 0, 0, {}, 0};
    if (what == "rendered")
        plugin.setPlayHead(&player.transport);
    std::atomic<bool> ended{false};
    std::thread audio([&] {
        player.play(std::atof(arguments[1]));
        ended.store(true);
    });
    // What the window does meanwhile.
    for (int turn = 0; !ended.load(); ++turn) {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        if (count > 3 && turn % 10 == 5)
            files.setPosition(0.01 * (turn % 100));
        files.hearStems(turn % 7 < 4);
        if (auto* parameter = plugin.parameters().getParameter(ids::gain("kick")))
            parameter->setValueNotifyingHost(0.01f * static_cast<float>(turn % 100));
    }
    audio.join();
    if (what == "rendered") {
        std::int64_t captured = 0;
        for (const auto& span : plugin.renderOnce().status().captured)
            captured += span.end - span.begin;
        std::printf("captured %lld lost %llu\n", static_cast<long long>(captured),
                    static_cast<unsigned long long>(plugin.renderOnce().status().lost));
    }
    return 0;
}
