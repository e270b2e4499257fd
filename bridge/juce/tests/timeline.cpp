// SPDX-License-Identifier: GPL-3.0-or-later
// lars_timeline: a VST3 host with a timeline, that does what it reads from its input, a line each,
// and answers each with a line. LARS_TEST_VST3 names the plugin. Audio is raw float32, interleaved:
// the track stereo, what comes out with the channels of all buses side by side.
//
//   prepare <rate> <block> <live|offline>    the latency
//   set <parameter title>=<value, 0 to 1>    takes effect in the next block
//   play <track> <begin> <end> <out>         the transport plays these samples of the track, which
//                                            begins at 0; before and behind it there is silence
//   stand <track> <begin> <end> <out>        likewise, while the transport stands still
//   save <file>, load <file>                 the state
//   wait <milliseconds>
#include <chrono>
#include <iostream>
#include <sstream>
#include <thread>

#include "Vst3Audio.h"

#include <pluginterfaces/vst/ivstprocesscontext.h>

using namespace Steinberg;

namespace {

class Host {
public:
    explicit Host(const lars::Module& module) : plugin(module) {}
    ~Host() { release(); }

    std::string answer(const std::string& line) {
        std::istringstream words(line);
        std::string what;
        words >> what;
        if (what == "prepare")
            return prepare(words);
        if (what == "play" || what == "stand")
            return play(words, what == "play");
        if (what == "set")
            return set(line.substr(4));
        std::string rest;
        words >> rest;
        if (what == "save" || what == "load")
            return state(rest, what == "save");
        if (what == "wait") {
            std::this_thread::sleep_for(std::chrono::milliseconds(std::stoi(rest)));
            return "waited";
        }
        throw std::runtime_error("no such command: " + line);
    }

private:
    void release() {
        if (in == nullptr)
            return;
        plugin.processor->setProcessing(false);
        plugin.component->setActive(false);
        in.reset();
        out.reset();
    }

    std::string prepare(std::istringstream& words) {
        release();
        std::string mode;
        words >> rate >> block >> mode;
        offline = mode == "offline";
        in = std::make_unique<lars::Buses>(*plugin.component, Vst::kInput, block);
        out = std::make_unique<lars::Buses>(*plugin.component, Vst::kOutput, block);
        if (!plugin.prepare(rate, block, offline ? Vst::kOffline : Vst::kRealtime) ||
            plugin.component->setActive(true) != kResultOk)
            throw std::runtime_error("cannot be prepared");
        plugin.processor->setProcessing(true);
        return "latency " + std::to_string(plugin.processor->getLatencySamples());
    }

    std::string set(const std::string& pair) {
        changes.points.push_back(lars::valueOf(plugin, pair));
        return "set";
    }

    std::string play(std::istringstream& words, bool plays) {
        std::string track, target;
        long begin = 0, end = 0;
        words >> track >> begin >> end >> target;
        const auto samples = lars::readFloats(track);
        std::ofstream made(target, std::ios::binary);
        Vst::ProcessContext context{};
        context.sampleRate = rate;
        context.tempo = tempo += 7.0; // another one each time
        context.state =
            Vst::ProcessContext::kTempoValid | Vst::ProcessContext::kProjectTimeMusicValid;
        if (plays)
            context.state |= Vst::ProcessContext::kPlaying;
        auto data = lars::blockOf(*in, *out, block, offline ? Vst::kOffline : Vst::kRealtime);
        data.processContext = &context;
        for (long at = begin; at < end; at += data.numSamples) {
            data.numSamples = static_cast<int32>(std::min<long>(block, end - at));
            context.projectTimeSamples = at;
            context.projectTimeMusic = static_cast<double>(at) / rate * context.tempo / 60.0;
            lars::fillFrom(*in, samples, at, data.numSamples);
            data.inputParameterChanges = changes.points.empty() ? nullptr : &changes;
            if (plugin.processor->process(data) != kResultOk)
                throw std::runtime_error("a block was refused");
            changes.points.clear();
            for (int32 i = 0; i < data.numSamples; ++i)
                for (const auto& plane : out->samples)
                    made.write(reinterpret_cast<const char*>(&plane[static_cast<std::size_t>(i)]),
                               sizeof(float));
        }
        return "channels " + std::to_string(out->samples.size());
    }

    std::string state(const std::string& file, bool saves) {
        lars::Bytes bytes;
        if (saves) {
            plugin.component->getState(&bytes);
            std::ofstream(file, std::ios::binary)
                .write(bytes.data.data(), static_cast<std::streamsize>(bytes.data.size()));
            return "saved";
        }
        bytes.data = lars::readBytes(file);
        plugin.component->setState(&bytes);
        bytes.at = 0;
        plugin.controller->setComponentState(&bytes);
        return "loaded";
    }

    lars::Plugin plugin;
    lars::Changes changes;
    std::unique_ptr<lars::Buses> in, out;
    double rate = 44100.0, tempo = 100.0;
    int32 block = 512;
    bool offline = false;
};

} // namespace

int main() {
    return lars::run([] {
        const lars::Module& module = lars::loadModule();
        Host host(module);
        for (std::string line; std::getline(std::cin, line);)
            std::cout << host.answer(line) << std::endl;
        return 0;
    });
}
