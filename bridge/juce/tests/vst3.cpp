// SPDX-License-Identifier: GPL-3.0-or-later
// lars_vst3 <LARS.so> <seconds>: the smallest VST3 host, which does nothing in process() that the
// plugin's wrapper could be blamed for. All buses are on; interpose.c (preloaded) counts.
#include <pluginterfaces/base/funknown.h>
#include <pluginterfaces/base/ipluginbase.h>
#include <pluginterfaces/vst/ivstaudioprocessor.h>
#include <pluginterfaces/vst/ivstcomponent.h>

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <thread>
#include <vector>

#include "Watch.h"

using namespace Steinberg;

namespace Steinberg {
DEF_CLASS_IID(Vst::IComponent)
DEF_CLASS_IID(Vst::IAudioProcessor)
} // namespace Steinberg

namespace {

constexpr int32 most = 512;
constexpr double rate = 44100.0;

// The buffers of one direction: a plane per channel of each bus.
struct Buses {
    std::vector<Vst::AudioBusBuffers> buffers;
    std::vector<std::vector<float>> samples;
    std::vector<std::vector<float*>> channels;

    Buses(Vst::IComponent& component, Vst::BusDirection direction) {
        const auto count = component.getBusCount(Vst::kAudio, direction);
        for (int32 bus = 0; bus < count; ++bus) {
            component.activateBus(Vst::kAudio, direction, bus, true);
            Vst::BusInfo info{};
            component.getBusInfo(Vst::kAudio, direction, bus, info);
            std::vector<float*> planes;
            for (int32 channel = 0; channel < info.channelCount; ++channel) {
                samples.emplace_back(most, 1.0f);
                planes.push_back(samples.back().data());
            }
            channels.push_back(std::move(planes));
        }
        for (auto& planes : channels) {
            Vst::AudioBusBuffers made;
            made.numChannels = static_cast<int32>(planes.size());
            made.channelBuffers32 = planes.data();
            buffers.push_back(made);
        }
    }
};

int play(IPluginFactory& factory, double seconds, const lars::Watch& watch) {
    FUnknownPtr<Vst::IComponent> component;
    for (int32 i = 0; i < factory.countClasses() && !component; ++i) {
        PClassInfo info{};
        factory.getClassInfo(i, &info);
        void* made = nullptr;
        if (factory.createInstance(info.cid, Vst::IComponent::iid, &made) == kResultOk)
            component = owned(static_cast<Vst::IComponent*>(made));
    }
    if (!component || component->initialize(nullptr) != kResultOk)
        return 3;
    FUnknownPtr<Vst::IAudioProcessor> processor(component);
    Buses in(*component, Vst::kInput), out(*component, Vst::kOutput);
    Vst::ProcessSetup setup{Vst::kRealtime, Vst::kSample32, most, rate};
    if (!processor || processor->setupProcessing(setup) != kResultOk ||
        component->setActive(true) != kResultOk)
        return 4;
    std::printf("buses %zu latency %u\n", out.buffers.size(), processor->getLatencySamples());
    std::thread audio([&] {
        constexpr int32 sizes[] = {most, 0, 1, 17, most, 333};
        const auto start = std::chrono::steady_clock::now();
        double done = 0.0;
        int blocks = 0;
        for (; done < seconds * rate; ++blocks) {
            Vst::ProcessData data;
            data.processMode = Vst::kRealtime;
            data.symbolicSampleSize = Vst::kSample32;
            data.numSamples = sizes[static_cast<std::size_t>(blocks) % std::size(sizes)];
            data.numInputs = static_cast<int32>(in.buffers.size());
            data.numOutputs = static_cast<int32>(out.buffers.size());
            data.inputs = in.buffers.data();
            data.outputs = out.buffers.data();
            for (auto& plane : out.samples)
                std::fill(plane.begin(), plane.end(), std::nanf(""));
            watch.arm(true);
            processor->process(data);
            watch.arm(false);
            // Every channel of every bus is written in every block.
            for (const auto& plane : out.samples)
                for (int32 i = 0; i < data.numSamples; ++i)
                    if (!std::isfinite(plane[static_cast<std::size_t>(i)]))
                        std::abort();
            done += data.numSamples;
            std::this_thread::sleep_until(
                start + std::chrono::duration_cast<std::chrono::steady_clock::duration>(
                            std::chrono::duration<double>(done / rate)));
        }
        watch.print();
        std::printf("blocks %d\ncalls %d\n", blocks, watch.calls());
    });
    audio.join();
    component->setActive(false);
    component->terminate();
    return 0;
}

} // namespace

int main(int count, char** arguments) {
    const lars::Watch watch;
    if (count < 3 || !watch.there()) {
        std::fprintf(stderr,
                     "lars_vst3 <LARS.so> <seconds>, with liblars_interpose.so preloaded\n");
        return 2;
    }
    void* library = dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
        std::fprintf(stderr, "%s\n", dlerror());
        return 2;
    }
    const auto enter = reinterpret_cast<bool (*)(void*)>(dlsym(library, "ModuleEntry"));
    const auto leave = reinterpret_cast<bool (*)()>(dlsym(library, "ModuleExit"));
    const auto get = reinterpret_cast<IPluginFactory* (*)()>(dlsym(library, "GetPluginFactory"));
    if (enter == nullptr || leave == nullptr || get == nullptr || !enter(library))
        return 2;
    int result = 0;
    if (auto* factory = get()) {
        result = play(*factory, std::atof(arguments[2]), watch);
        factory->release();
    }
    leave();
    return result;
}
