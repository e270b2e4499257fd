// SPDX-License-Identifier: GPL-3.0-or-later
// The plugin as a host has it, for tests: its parts connected, and what is found wrong. For the one
// source of a program, as the SDK's ids are defined here.
#pragma once

#include <cstdlib>

#include "Findings.h"
#include "Vst3Module.h"

namespace Steinberg {
DEF_CLASS_IID(Vst::IComponent)
DEF_CLASS_IID(Vst::IAudioProcessor)
DEF_CLASS_IID(Vst::IEditController)
DEF_CLASS_IID(Vst::IConnectionPoint)
DEF_CLASS_IID(Vst::IParameterChanges)
DEF_CLASS_IID(Vst::IParamValueQueue)
} // namespace Steinberg

namespace lars {

inline constexpr int32 most = 1024;
// The module, loaded once.
inline const Module& loadModule() {
    static const Module loaded([] {
        const auto* file = std::getenv("LARS_TEST_VST3");
        if (file == nullptr)
            throw std::runtime_error("set LARS_TEST_VST3 to the plugin's LARS.so");
        return file;
    }());
    return loaded;
}

inline Findings findings;

inline void check(bool good, const char* what, int at = -1) {
    findings.check(good, what, at);
}

// A block of so many samples.
inline Vst::ProcessData blockOf(Buses& in, Buses& out, int32 count, int32 mode) {
    Vst::ProcessData data;
    data.processMode = mode;
    data.symbolicSampleSize = Vst::kSample32;
    data.numSamples = count;
    data.numInputs = static_cast<int32>(in.buffers.size());
    data.numOutputs = static_cast<int32>(out.buffers.size());
    data.inputs = in.buffers.data();
    data.outputs = out.buffers.data();
    return data;
}

// Component, processor and controller, connected as a host connects them.
struct Plugin {
    IPtr<Vst::IComponent> component;
    FUnknownPtr<Vst::IAudioProcessor> processor;
    IPtr<Vst::IEditController> controller;

    explicit Plugin(const Module& module)
        : component(module.component()), processor(component.get()) {
        TUID id{};
        if (!component || component->initialize(nullptr) != kResultOk || !processor ||
            component->getControllerClassId(id) != kResultOk)
            throw std::runtime_error("no component");
        controller = module.make<Vst::IEditController>(id);
        if (!controller || controller->initialize(nullptr) != kResultOk)
            throw std::runtime_error("no controller");
        FUnknownPtr<Vst::IConnectionPoint> one(component.get()), other(controller.get());
        if (one && other) {
            one->connect(other);
            other->connect(one);
        }
        Bytes state;
        component->getState(&state);
        state.at = 0;
        controller->setComponentState(&state);
    }
    ~Plugin() {
        FUnknownPtr<Vst::IConnectionPoint> one(component.get()), other(controller.get());
        if (one && other) {
            one->disconnect(other);
            other->disconnect(one);
        }
        controller->terminate();
        component->terminate();
    }

    bool prepare(double rate, int32 block, int32 mode = Vst::kRealtime) {
        Vst::ProcessSetup setup{mode, Vst::kSample32, block, rate};
        return processor->setupProcessing(setup) == kResultOk;
    }

    void process(Buses& in, Buses& out, int32 count, Vst::IParameterChanges* changes = nullptr) {
        auto data = blockOf(in, out, count, Vst::kRealtime);
        data.inputParameterChanges = changes;
        check(processor->process(data) == kResultOk, "a block is processed", count);
    }
};

} // namespace lars
