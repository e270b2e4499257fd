// SPDX-License-Identifier: GPL-3.0-or-later
// lars_midi <audio> <rate> <block> <offline|live> [<parameter title>=<value>...]: a VST3 host that
// sends audio (raw float32, stereo, interleaved) through the plugin, whose MIDI out is on, and prints
// its notes: "on|off <sample of the input> <note> <velocity, 1 to 127>", first what the latency is.
// LARS_TEST_VST3 names the plugin. Live blocks come at real speed, and go on in silence until
// LARS_TEST_NOTES notes have come, for two minutes at most.
#include <chrono>
#include <cmath>
#include <cstdio>
#include <thread>

#include <pluginterfaces/vst/ivstevents.h>

#include "Vst3Audio.h"

using namespace Steinberg;

namespace Steinberg {
DEF_CLASS_IID(Vst::IEventList)
} // namespace Steinberg

namespace {

class Events : public lars::Here<Vst::IEventList> {
public:
    std::vector<Vst::Event> list;

    int32 PLUGIN_API getEventCount() override { return static_cast<int32>(list.size()); }
    tresult PLUGIN_API getEvent(int32 index, Vst::Event& event) override {
        if (index < 0 || index >= getEventCount())
            return kInvalidArgument;
        event = list[static_cast<std::size_t>(index)];
        return kResultOk;
    }
    tresult PLUGIN_API addEvent(Vst::Event& event) override {
        list.push_back(event);
        return kResultOk;
    }
};

int play(char** arguments, int count) {
    const auto audio = lars::readFloats(arguments[1]);
    const double rate = std::atof(arguments[2]);
    const int32 block = std::atoi(arguments[3]);
    const bool live = std::strcmp(arguments[4], "live") == 0;
    const lars::Module& module = lars::loadModule();
    lars::Plugin plugin(module);
    lars::Buses in(*plugin.component, Vst::kInput, block);
    lars::Buses out(*plugin.component, Vst::kOutput, block);
    plugin.component->activateBus(Vst::kEvent, Vst::kOutput, 0, true);

    lars::Changes changes;
    changes.points.push_back(lars::valueOf(plugin, "MIDI out", 1.0));
    for (int i = 5; i < count; ++i)
        changes.points.push_back(lars::valueOf(plugin, arguments[i]));
    Events events;
    auto data = lars::blockOf(in, out, block, Vst::kOffline);
    data.outputEvents = &events;

    if (!lars::settle(plugin, in, data, changes, rate, block) ||
        !plugin.prepare(rate, block, live ? Vst::kRealtime : Vst::kOffline) ||
        plugin.component->setActive(true) != kResultOk)
        return 4;
    data.processMode = live ? Vst::kRealtime : Vst::kOffline;
    plugin.processor->setProcessing(true);
    const auto latency = static_cast<long>(plugin.processor->getLatencySamples());
    std::printf("latency %ld\n", latency);
    const auto frames = static_cast<long>(audio.size() / 2);
    const auto start = std::chrono::steady_clock::now();
    const auto* wanted = std::getenv("LARS_TEST_NOTES");
    const int most = live && wanted != nullptr ? std::atoi(wanted) : 0;
    int notes = 0;
    const auto longest = static_cast<long>(120.0 * rate);
    for (long done = 0;
         done < frames + latency + block || (notes < most && done < longest); done += block) {
        events.list.clear();
        lars::fillFrom(in, audio, done, block);
        plugin.processor->process(data);
        for (const auto& event : events.list) {
            const long at = done + event.sampleOffset - latency;
            if (event.sampleOffset < 0 || event.sampleOffset >= block)
                return 5;
            notes += event.type == Vst::Event::kNoteOnEvent ? 1 : 0;
            if (event.type == Vst::Event::kNoteOnEvent)
                std::printf("on %ld %d %d\n", at, event.noteOn.pitch,
                            static_cast<int>(std::lround(event.noteOn.velocity * 127.0f)));
            else if (event.type == Vst::Event::kNoteOffEvent)
                std::printf("off %ld %d 0\n", at, event.noteOff.pitch);
        }
        if (live)
            std::this_thread::sleep_until(
                start + std::chrono::duration_cast<std::chrono::steady_clock::duration>(
                            std::chrono::duration<double>(static_cast<double>(done) / rate)));
    }
    plugin.processor->setProcessing(false);
    plugin.component->setActive(false);
    return 0;
}

} // namespace

int main(int count, char** arguments) {
    if (count < 5) {
        std::fprintf(stderr, "lars_midi <audio> <rate> <block> <offline|live> [title=value...]\n");
        return 2;
    }
    return lars::run([&] { return play(arguments, count); });
}
