// SPDX-License-Identifier: GPL-3.0-or-later
// lars_midi <audio> <rate> <block> <offline|live> [<parameter title>=<value>...]: a VST3 host that
// sends audio (raw float32, stereo, interleaved) through the plugin, whose MIDI out is on, and prints
// its notes: "on|off <sample of the input> <note> <velocity, 1 to 127>", first what the latency is.
// LARS_TEST_VST3 names the plugin. Live blocks come at real speed, and go on in silence until
// LARS_TEST_NOTES notes have come, for two minutes at most.
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <thread>

#include <pluginterfaces/vst/ivstevents.h>

#include "Vst3Plugin.h"

using namespace Steinberg;

namespace Steinberg {
DEF_CLASS_IID(Vst::IComponent)
DEF_CLASS_IID(Vst::IAudioProcessor)
DEF_CLASS_IID(Vst::IEditController)
DEF_CLASS_IID(Vst::IConnectionPoint)
DEF_CLASS_IID(Vst::IParameterChanges)
DEF_CLASS_IID(Vst::IParamValueQueue)
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

std::string titleOf(const Vst::ParameterInfo& info) {
    std::string title;
    for (const auto* letter = info.title; *letter != 0; ++letter)
        title += static_cast<char>(*letter);
    return title;
}

lars::Point valueOf(lars::Plugin& plugin, const std::string& title, double value) {
    for (int32 i = 0; i < plugin.controller->getParameterCount(); ++i) {
        Vst::ParameterInfo info{};
        plugin.controller->getParameterInfo(i, info);
        if (titleOf(info) == title) {
            lars::Point point;
            point.id = info.id;
            point.value = value;
            return point;
        }
    }
    throw std::runtime_error("no parameter " + title);
}

std::vector<float> readFloats(const char* file) {
    std::ifstream stream(file, std::ios::binary);
    std::vector<char> bytes(std::istreambuf_iterator<char>(stream), {});
    std::vector<float> result(bytes.size() / sizeof(float));
    std::memcpy(result.data(), bytes.data(), result.size() * sizeof(float));
    return result;
}

int play(char** arguments, int count) {
    const auto audio = readFloats(arguments[1]);
    const double rate = std::atof(arguments[2]);
    const int32 block = std::atoi(arguments[3]);
    const bool live = std::strcmp(arguments[4], "live") == 0;
    const lars::Module& module = lars::loadModule();
    lars::Plugin plugin(module);
    lars::Buses in(*plugin.component, Vst::kInput, block);
    lars::Buses out(*plugin.component, Vst::kOutput, block);
    plugin.component->activateBus(Vst::kEvent, Vst::kOutput, 0, true);

    lars::Changes changes;
    changes.points.push_back(valueOf(plugin, "MIDI out", 1.0));
    for (int i = 5; i < count; ++i) {
        const std::string pair(arguments[i]);
        const auto at = pair.find('=');
        changes.points.push_back(
            valueOf(plugin, pair.substr(0, at), std::atof(pair.c_str() + at + 1)));
    }
    Events events;
    Vst::ProcessData data;
    data.symbolicSampleSize = Vst::kSample32;
    data.numInputs = static_cast<int32>(in.buffers.size());
    data.numOutputs = static_cast<int32>(out.buffers.size());
    data.inputs = in.buffers.data();
    data.outputs = out.buffers.data();
    data.outputEvents = &events;
    data.numSamples = block;

    // A render settles what was changed, and so the latency.
    for (const bool renders : {true, !live}) {
        if (!plugin.prepare(rate, block, renders ? Vst::kOffline : Vst::kRealtime) ||
            plugin.component->setActive(true) != kResultOk)
            return 4;
        if (!renders || data.inputParameterChanges != nullptr)
            break;
        plugin.processor->setProcessing(true);
        data.processMode = Vst::kOffline;
        data.inputParameterChanges = &changes;
        in.fill(0.0f);
        plugin.processor->process(data);
        plugin.processor->setProcessing(false);
        plugin.component->setActive(false);
    }
    data.inputParameterChanges = nullptr;
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
        for (std::size_t channel = 0; channel < 2; ++channel)
            for (int32 i = 0; i < block; ++i)
                in.samples[channel][static_cast<std::size_t>(i)] =
                    done + i < frames
                        ? audio[static_cast<std::size_t>(2 * (done + i)) + channel]
                        : 0.0f;
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
    try {
        return play(arguments, count);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 3;
    }
}
