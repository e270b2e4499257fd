// SPDX-License-Identifier: GPL-3.0-or-later
// lars_buses <audio> <rate> <block> <output> [<parameter title>=<value>...]: a VST3 host that renders
// audio (raw float32, stereo, interleaved) through the plugin with all its buses on, and writes all
// of their channels, interleaved, from the first sample to the end of the audio and the latency. It
// prints "channels <number> latency <samples>". LARS_TEST_VST3 names the plugin.
#include "Vst3Audio.h"

using namespace Steinberg;

namespace {

int render(char** arguments, int count) {
    const auto audio = lars::readFloats(arguments[1]);
    const double rate = std::atof(arguments[2]);
    const int32 block = std::atoi(arguments[3]);
    const lars::Module& module = lars::loadModule();
    lars::Plugin plugin(module);
    lars::Buses in(*plugin.component, Vst::kInput, block);
    lars::Buses out(*plugin.component, Vst::kOutput, block);
    lars::Changes changes;
    for (int i = 5; i < count; ++i)
        changes.points.push_back(lars::valueOf(plugin, arguments[i]));
    auto data = lars::blockOf(in, out, block, Vst::kOffline);
    if (!lars::settle(plugin, in, data, changes, rate, block) ||
        !plugin.prepare(rate, block, Vst::kOffline) ||
        plugin.component->setActive(true) != kResultOk)
        return 4;
    plugin.processor->setProcessing(true);
    const auto latency = static_cast<long>(plugin.processor->getLatencySamples());
    std::printf("channels %zu latency %ld\n", out.samples.size(), latency);
    std::ofstream target(arguments[4], std::ios::binary);
    std::vector<float> line(out.samples.size());
    const auto whole = static_cast<long>(audio.size() / 2) + latency;
    for (long done = 0; done < whole; done += block) {
        lars::fillFrom(in, audio, done, block);
        if (plugin.processor->process(data) != kResultOk)
            return 5;
        for (int32 i = 0; i < block && done + i < whole; ++i) {
            for (std::size_t channel = 0; channel < line.size(); ++channel)
                line[channel] = out.samples[channel][static_cast<std::size_t>(i)];
            target.write(reinterpret_cast<const char*>(line.data()),
                         static_cast<std::streamsize>(line.size() * sizeof(float)));
        }
    }
    plugin.processor->setProcessing(false);
    plugin.component->setActive(false);
    return target.good() ? 0 : 7;
}

} // namespace

int main(int count, char** arguments) {
    if (count < 5) {
        std::fprintf(stderr, "lars_buses <audio> <rate> <block> <output> [title=value...]\n");
        return 2;
    }
    return lars::run([&] { return render(arguments, count); });
}
