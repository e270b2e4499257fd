// SPDX-License-Identifier: GPL-3.0-or-later
// lars_vst3 <LARS.so> <seconds>: the smallest VST3 host, which does nothing in process() that the
// plugin's wrapper could be blamed for. All buses are on; interpose.c (preloaded) counts.
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "Vst3Module.h"
#include "Watch.h"

using namespace Steinberg;

namespace Steinberg {
DEF_CLASS_IID(Vst::IComponent)
DEF_CLASS_IID(Vst::IAudioProcessor)
} // namespace Steinberg

namespace {

constexpr int32 most = 512;
constexpr double rate = 44100.0;

int play(const lars::Module& module, double seconds, const lars::Watch& watch) {
    const auto component = module.component();
    if (!component || component->initialize(nullptr) != kResultOk)
        return 3;
    FUnknownPtr<Vst::IAudioProcessor> processor(component);
    lars::Buses in(*component, Vst::kInput, most), out(*component, Vst::kOutput, most);
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
            out.fill(std::nanf(""));
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
    const lars::Module module(arguments[1]);
    return play(module, std::atof(arguments[2]), watch);
}
