// SPDX-License-Identifier: GPL-3.0-or-later
// lars_conformance: what Steinberg's validator asks of a VST3, by a host of our own: classes,
// buses, arrangements, parameters, states, transitions, processing. LARS_TEST_VST3 is the LARS.so.
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <random>
#include <set>
#include <string>
#include <thread>

#include "Catch.h"
#include "Vst3Plugin.h"

namespace Steinberg {
DEF_CLASS_IID(IPlugView)
} // namespace Steinberg

using namespace lars;

TEST_CASE("Classes have names and ids, and instances begin, end and begin again") {
    const auto& module = loadModule();
    PFactoryInfo about{};
    check(module.classes().getFactoryInfo(&about) == kResultOk && about.vendor[0] != 0, "a vendor");
    std::set<std::string> ids;
    for (int32 i = 0; i < module.classes().countClasses(); ++i) {
        PClassInfo info{};
        check(module.classes().getClassInfo(i, &info) == kResultOk && info.name[0] != 0, "a class");
        check(ids.insert(std::string(info.cid, sizeof info.cid)).second, "an id twice", i);
    }
    std::vector<std::unique_ptr<Plugin>> several;
    for (int i = 0; i < 5; ++i)
        several.push_back(std::make_unique<Plugin>(module));
    several.erase(several.begin() + 1); // not in the order in which they were made
    // Ended and begun again.
    auto& component = *several[0]->component;
    check(component.terminate() == kResultOk && component.initialize(nullptr) == kResultOk,
          "ends and begins again");
    CHECK(findings.take() == "");
}

TEST_CASE("Buses are eight outputs and one input, mono or stereo") {
    const auto& module = loadModule();
    Plugin plugin(module);
    auto& component = *plugin.component;
    Vst::BusInfo info{};
    for (const auto direction : {Vst::kInput, Vst::kOutput}) {
        const auto count = component.getBusCount(Vst::kAudio, direction);
        check(count == (direction == Vst::kInput ? 1 : 8), "the number of buses", count);
        for (const int32 beyond : {-1, count, 1000}) {
            check(component.getBusInfo(Vst::kAudio, direction, beyond, info) != kResultOk &&
                      component.activateBus(Vst::kAudio, direction, beyond, true) != kResultOk,
                  "a bus that is not there", beyond);
        }
        for (int32 bus = 0; bus < count; ++bus) {
            check(component.getBusInfo(Vst::kAudio, direction, bus, info) == kResultOk &&
                      info.channelCount == 2 && info.name[0] != 0 &&
                      info.busType == (bus == 0 ? Vst::kMain : Vst::kAux),
                  "a bus", bus);
            for (const bool on : {true, false, true})
                check(component.activateBus(Vst::kAudio, direction, bus, on) == kResultOk,
                      "a bus goes on and off", bus);
            Vst::SpeakerArrangement speakers = 0;
            check(plugin.processor->getBusArrangement(direction, bus, speakers) == kResultOk &&
                      speakers == Vst::SpeakerArr::kStereo,
                  "an arrangement", bus);
        }
    }
    check(component.getBusCount(Vst::kEvent, Vst::kInput) == 0, "no notes in");
    check(component.getBusCount(Vst::kEvent, Vst::kOutput) == 1, "notes out");
    using namespace Vst::SpeakerArr;
    const auto arrange = [&](Vst::SpeakerArrangement in, Vst::SpeakerArrangement out) {
        std::vector<Vst::SpeakerArrangement> ins{in}, outs(7, out);
        return plugin.processor->setBusArrangements(ins.data(), 1, outs.data(), 7) == kResultTrue;
    };
    check(arrange(kMono, kMono) && arrange(kMono, kStereo) && arrange(kStereo, kStereo),
          "mono and stereo");
    check(!arrange(k51, k51) && !arrange(kStereo, k51), "no surround");
    Vst::SpeakerArrangement kept = 0;
    plugin.processor->getBusArrangement(Vst::kInput, 0, kept);
    check(kept == kStereo, "a refused arrangement changes nothing");
    CHECK(findings.take() == "");
}

TEST_CASE("Parameters have names, ranges and texts, and one is the bypass") {
    const auto& module = loadModule();
    Plugin plugin(module);
    auto& controller = *plugin.controller;
    std::set<Vst::ParamID> ids;
    std::set<std::u16string> titles;
    int bypasses = 0;
    for (int32 i = 0; i < controller.getParameterCount(); ++i) {
        Vst::ParameterInfo info{};
        check(controller.getParameterInfo(i, info) == kResultOk && info.title[0] != 0, "a name", i);
        check(ids.insert(info.id).second && titles.insert(info.title).second, "one of each", i);
        check(info.defaultNormalizedValue >= 0.0 && info.defaultNormalizedValue <= 1.0, "def", i);
        bypasses += (info.flags & Vst::ParameterInfo::kIsBypass) != 0 ? 1 : 0;
        for (const double value : {0.0, 1.0, 0.5, info.defaultNormalizedValue}) {
            check(controller.setParamNormalized(info.id, value) == kResultOk, "is set", i);
            const auto now = controller.getParamNormalized(info.id);
            const double step = info.stepCount > 0 ? 0.5 / info.stepCount : 0.001;
            check(std::abs(now - value) <= step + 1e-6, "is what was set", i);
            const auto plain = controller.normalizedParamToPlain(info.id, now);
            check(std::abs(controller.plainParamToNormalized(info.id, plain) - now) <= step, "pl",
                  i);
            Vst::String128 text{};
            Vst::ParamValue again = -1.0;
            check(controller.getParamStringByValue(info.id, now, text) == kResultOk && text[0] != 0,
                  "a text", i);
            check(controller.getParamValueByString(info.id, text, again) == kResultOk &&
                      std::abs(again - now) <= step + 0.002,
                  "a value of its text", i);
        }
    }
    check(bypasses == 1, "one bypass", bypasses);
    check(controller.getParameterCount() == 48, "parameters", controller.getParameterCount());
    CHECK(findings.take() == "");
}

TEST_CASE("A state comes back as it was, and a damaged one does no harm") {
    const auto& module = loadModule();
    Plugin plugin(module), other(module);
    Bytes state;
    check(plugin.component->getState(&state) == kResultOk && !state.data.empty(), "a state");
    state.at = 0;
    check(other.component->setState(&state) == kResultOk, "it is taken");
    Bytes again;
    other.component->getState(&again);
    check(again.data == state.data, "it is given back as it was");
    std::mt19937 random(1);
    for (int turn = 0; turn < 200; ++turn) {
        Bytes damaged;
        damaged.data = state.data;
        damaged.data.resize(random() % (state.data.size() + 1));
        for (int i = 0; i < 4 && !damaged.data.empty(); ++i)
            damaged.data[random() % damaged.data.size()] = static_cast<char>(random());
        other.component->setState(&damaged);
    }
    Buses in(*other.component, Vst::kInput, most), out(*other.component, Vst::kOutput, most);
    check(other.prepare(44100.0, most) && other.component->setActive(true) == kResultOk, "plays");
    other.process(in, out, most);
    other.component->setActive(false);
    CHECK(findings.take() == "");
}

namespace {

// Values as a host sees them after it has loaded a state: processor first, controller then.
std::vector<double> load(Plugin& plugin, Bytes& state) {
    state.at = 0;
    check(plugin.component->setState(&state) == kResultOk, "a state is taken");
    Bytes now;
    plugin.component->getState(&now);
    now.at = 0;
    plugin.controller->setComponentState(&now);
    std::vector<double> values;
    for (int32 i = 0; i < plugin.controller->getParameterCount(); ++i) {
        Vst::ParameterInfo info{};
        plugin.controller->getParameterInfo(i, info);
        values.push_back(plugin.controller->getParamNormalized(info.id));
    }
    return values;
}

// Without what an engine adds to a state: latencies, and names for places.
std::string parametersIn(const Bytes& state) {
    const std::string text(state.data.begin(), state.data.end());
    const auto start = text.find("<parameters>");
    check(start != std::string::npos, "parameters in a state");
    return start == std::string::npos ? std::string() : text.substr(start);
}

} // namespace

// Hosts set parameters to any float. What is saved then comes back exactly, in the same instance
// after other values and in a new one, and whatever has steps stands on one of them.
TEST_CASE("Any float that a host sets is saved and restored exactly") {
    const auto& module = loadModule();
    Plugin plugin(module);
    auto& controller = *plugin.controller;
    const auto count = controller.getParameterCount();
    check(plugin.prepare(44100.0, 64) && plugin.component->setActive(true) == kResultOk, "on");
    Buses in(*plugin.component, Vst::kInput, 64), out(*plugin.component, Vst::kOutput, 64);
    std::mt19937 random(4);
    const auto setAll = [&](double bad) {
        Changes changes;
        for (int32 i = 0; i < count; ++i) {
            Vst::ParameterInfo info{};
            controller.getParameterInfo(i, info);
            Point point;
            point.id = info.id;
            point.value = std::isfinite(bad) && bad >= 0.0 ? (random() % 100001) / 100000.0 : bad;
            changes.points.push_back(point);
            if (random() % 2 == 0)
                controller.setParamNormalized(info.id, point.value);
        }
        plugin.process(in, out, 64, &changes);
    };
    for (int turn = 0; turn < 60; ++turn) {
        const double values[] = {0.0, 0.0, 0.0, std::nan(""), -1e30, HUGE_VAL};
        setAll(values[static_cast<std::size_t>(turn) % std::size(values)]);
        Bytes saved;
        plugin.component->getState(&saved);
        const auto wanted = load(plugin, saved);
        for (int32 i = 0; i < count; ++i) {
            Vst::ParameterInfo info{};
            controller.getParameterInfo(i, info);
            const double value = wanted[static_cast<std::size_t>(i)];
            check(value >= 0.0 && value <= 1.0, "a value in range", i);
            const double steps = value * info.stepCount;
            check(info.stepCount == 0 || std::abs(steps - std::round(steps)) < 1e-4, "a step", i);
        }
        for (int other = 0; other < 3; ++other) {
            setAll(0.0);
            check(load(plugin, saved) == wanted, "restored after other values", turn);
        }
        Plugin fresh(module);
        check(load(fresh, saved) == wanted, "restored in another instance", turn);
        Bytes again;
        fresh.component->getState(&again);
        check(parametersIn(again) == parametersIn(saved), "saved again as it was", turn);
    }
    plugin.component->setActive(false);
    CHECK(findings.take() == "");
}

namespace {

// Every plane is written, up to the block's end and not beyond it, and the input is left alone.
void written(const Buses& in, const Buses& out, int32 count) {
    for (const auto* side : {&in, &out})
        for (const auto& plane : side->samples)
            check(plane.back() > Buses::mark - 1.0f, "nothing is written behind the end", count);
    for (const auto& plane : out.samples)
        for (int32 i = 0; i < count; ++i)
            check(std::isfinite(plane[static_cast<std::size_t>(i)]), "every sample is there", i);
    for (const auto& plane : in.samples)
        for (int32 i = 0; i < count; ++i)
            check(std::abs(plane[static_cast<std::size_t>(i)] - 0.25f) < 1e-9f, "the input", i);
}

} // namespace

TEST_CASE("Blocks of any size are written whole, after any transition") {
    const auto& module = loadModule();
    Plugin plugin(module);
    auto& processor = *plugin.processor;
    check(processor.canProcessSampleSize(Vst::kSample32) == kResultOk, "single precision");
    check(processor.canProcessSampleSize(Vst::kSample64) != kResultOk, "no double precision");
    std::vector<Vst::ParamID> ids;
    for (int32 i = 0; i < plugin.controller->getParameterCount(); ++i) {
        Vst::ParameterInfo info{};
        plugin.controller->getParameterInfo(i, info);
        ids.push_back(info.id);
    }
    std::mt19937 random(2);
    constexpr double rates[] = {22050.0, 44100.0, 48000.0, 96000.0, 192000.0};
    for (int turn = 0; turn < 20; ++turn) {
        const auto block = 1 + static_cast<int32>(random() % most);
        check(plugin.prepare(rates[random() % std::size(rates)], block,
                             turn % 7 == 6 ? Vst::kPrefetch : Vst::kRealtime),
              "is set up", turn);
        Buses in(*plugin.component, Vst::kInput, block),
            out(*plugin.component, Vst::kOutput, block);
        in.fill(0.25f);
        check(plugin.component->setActive(true) == kResultOk, "goes on", turn);
        processor.setProcessing(true);
        for (int part = 0; part < 20; ++part) {
            const auto count = static_cast<int32>(random() % static_cast<unsigned>(block + 1));
            Changes changes;
            for (const auto id : ids)
                if (random() % 4 == 0) {
                    Point point;
                    point.id = id;
                    point.offset = count > 0 ? static_cast<int32>(random()) % count : 0;
                    point.offset = std::abs(point.offset);
                    point.value = (random() % 101) / 100.0;
                    changes.points.push_back(point);
                }
            out.fill(std::nanf(""));
            plugin.process(in, out, count, &changes);
            written(in, out, count);
        }
        // Parameters alone, without any buffers.
        Vst::ProcessData nothing;
        nothing.symbolicSampleSize = Vst::kSample32;
        check(processor.process(nothing) == kResultOk, "parameters without audio");
        // In place: the main output over the input.
        in.fill(0.25f);
        for (std::size_t channel = 0; channel < 2; ++channel)
            out.channels[0][channel] = in.channels[0][channel];
        plugin.process(in, out, block);
        for (const auto& plane : in.samples)
            check(std::isfinite(plane[0]), "in place", turn);
        processor.setProcessing(false);
        check(plugin.component->setActive(false) == kResultOk, "goes off", turn);
        check(processor.getTailSamples() == Vst::kNoTail, "no tail", turn);
    }
    CHECK(findings.take() == "");
}

TEST_CASE("States and views come and go while audio runs") {
    const auto& module = loadModule();
    Plugin plugin(module);
    check(plugin.prepare(48000.0, 128) && plugin.component->setActive(true) == kResultOk, "on");
    Buses in(*plugin.component, Vst::kInput, 128), out(*plugin.component, Vst::kOutput, 128);
    in.fill(0.25f);
    std::atomic<bool> stop{false};
    std::thread audio([&] {
        while (!stop.load()) {
            plugin.process(in, out, 128);
            written(in, out, 128);
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
    });
    for (int turn = 0; turn < 30; ++turn) {
        Bytes state;
        plugin.component->getState(&state);
        state.at = 0;
        plugin.component->setState(&state);
        plugin.processor->getLatencySamples();
        if (auto* view = plugin.controller->createView(Vst::ViewType::kEditor)) {
            ViewRect size;
            check(view->isPlatformTypeSupported(kPlatformTypeX11EmbedWindowID) == kResultTrue &&
                      view->isPlatformTypeSupported("nonsense") != kResultTrue &&
                      view->getSize(&size) == kResultTrue && size.getWidth() > 0 &&
                      view->canResize() == kResultTrue,
                  "a view", turn);
            view->release();
        } else {
            check(false, "a view is made", turn);
        }
    }
    stop.store(true);
    audio.join();
    plugin.component->setActive(false);
    CHECK(findings.take() == "");
}
