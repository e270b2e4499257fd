// SPDX-License-Identifier: GPL-3.0-or-later
// A VST3 module loaded as hosts load it, and what hosts need to talk to what is in it.
#pragma once

#include <dlfcn.h>

#include <pluginterfaces/base/funknown.h>
#include <pluginterfaces/base/ibstream.h>
#include <pluginterfaces/base/ipluginbase.h>
#include <pluginterfaces/gui/iplugview.h>
#include <pluginterfaces/vst/ivstaudioprocessor.h>
#include <pluginterfaces/vst/ivstcomponent.h>
#include <pluginterfaces/vst/ivsteditcontroller.h>
#include <pluginterfaces/vst/ivstmessage.h>
#include <pluginterfaces/vst/ivstparameterchanges.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <vector>

namespace lars {

using namespace Steinberg;

class Module {
public:
    explicit Module(const char* file) {
        library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
        if (library == nullptr)
            throw std::runtime_error(dlerror());
        const auto enter = reinterpret_cast<bool (*)(void*)>(dlsym(library, "ModuleEntry"));
        const auto get =
            reinterpret_cast<IPluginFactory* (*)()>(dlsym(library, "GetPluginFactory"));
        if (enter == nullptr || get == nullptr || !enter(library))
            throw std::runtime_error("no VST3 module");
        factory = get();
        if (factory == nullptr)
            throw std::runtime_error("no factory");
    }
    ~Module() {
        factory->release();
        if (const auto leave = reinterpret_cast<bool (*)()>(dlsym(library, "ModuleExit")))
            leave();
    }
    Module(const Module&) = delete;
    Module& operator=(const Module&) = delete;

    IPluginFactory& classes() const { return *factory; }

    template <typename Interface>
    IPtr<Interface> make(const TUID& id) const {
        void* result = nullptr;
        if (factory->createInstance(id, Interface::iid, &result) != kResultOk)
            return nullptr;
        return owned(static_cast<Interface*>(result));
    }

    // The first class that makes a component.
    IPtr<Vst::IComponent> component() const {
        for (int32 i = 0; i < factory->countClasses(); ++i) {
            PClassInfo info{};
            factory->getClassInfo(i, &info);
            if (auto result = make<Vst::IComponent>(info.cid))
                return result;
        }
        return nullptr;
    }

private:
    void* library = nullptr;
    IPluginFactory* factory = nullptr;
};

// The buffers of one direction: a plane per channel of each bus, with a mark behind its end.
struct Buses {
    static constexpr float mark = 1234.5f;
    std::vector<Vst::AudioBusBuffers> buffers;
    std::vector<std::vector<float>> samples;
    std::vector<std::vector<float*>> channels;

    Buses(Vst::IComponent& component, Vst::BusDirection direction, int32 most) {
        const auto count = component.getBusCount(Vst::kAudio, direction);
        for (int32 bus = 0; bus < count; ++bus) {
            component.activateBus(Vst::kAudio, direction, bus, true);
            Vst::BusInfo info{};
            component.getBusInfo(Vst::kAudio, direction, bus, info);
            std::vector<float*> planes;
            for (int32 channel = 0; channel < info.channelCount; ++channel) {
                samples.emplace_back(static_cast<std::size_t>(most) + 1, 1.0f);
                samples.back().back() = mark;
                planes.push_back(samples.back().data());
            }
            channels.push_back(std::move(planes));
        }
        for (auto& planes : channels) {
            Vst::AudioBusBuffers result;
            result.numChannels = static_cast<int32>(planes.size());
            result.channelBuffers32 = planes.data();
            buffers.push_back(result);
        }
    }

    // Every sample but the mark.
    void fill(float value) {
        for (auto& plane : samples)
            std::fill(plane.begin(), plane.end() - 1, value);
    }
};

// What of a host's objects is the same for all: they live where they are declared.
template <typename Interface>
class Here : public Interface {
public:
    tresult PLUGIN_API queryInterface(const TUID id, void** out) override {
        if (FUnknownPrivate::iidEqual(id, Interface::iid) ||
            FUnknownPrivate::iidEqual(id, FUnknown::iid)) {
            *out = this;
            return kResultOk;
        }
        *out = nullptr;
        return kNoInterface;
    }
    uint32 PLUGIN_API addRef() override { return 1; }
    uint32 PLUGIN_API release() override { return 1; }
};

// A state in memory.
class Bytes : public Here<IBStream> {
public:
    std::vector<char> data;
    std::size_t at = 0;

    tresult PLUGIN_API read(void* to, int32 count, int32* done) override {
        const auto part = std::min(static_cast<std::size_t>(std::max(count, 0)), data.size() - at);
        std::memcpy(to, data.data() + at, part);
        at += part;
        if (done != nullptr)
            *done = static_cast<int32>(part);
        return kResultOk;
    }
    tresult PLUGIN_API write(void* from, int32 count, int32* done) override {
        const auto size = static_cast<std::size_t>(std::max(count, 0));
        data.resize(std::max(data.size(), at + size));
        std::memcpy(data.data() + at, from, size);
        at += size;
        if (done != nullptr)
            *done = count;
        return kResultOk;
    }
    tresult PLUGIN_API seek(int64 to, int32 mode, int64* result) override {
        const auto from = mode == kIBSeekSet ? 0 : mode == kIBSeekCur ? at : data.size();
        const auto wanted = static_cast<int64>(from) + to;
        if (wanted < 0 || wanted > static_cast<int64>(data.size()))
            return kResultFalse;
        at = static_cast<std::size_t>(wanted);
        if (result != nullptr)
            *result = wanted;
        return kResultOk;
    }
    tresult PLUGIN_API tell(int64* place) override {
        *place = static_cast<int64>(at);
        return kResultOk;
    }
};

// One value of one parameter in a block.
class Point : public Here<Vst::IParamValueQueue> {
public:
    Vst::ParamID id = 0;
    int32 offset = 0;
    Vst::ParamValue value = 0.0;

    Vst::ParamID PLUGIN_API getParameterId() override { return id; }
    int32 PLUGIN_API getPointCount() override { return 1; }
    tresult PLUGIN_API getPoint(int32 index, int32& at, Vst::ParamValue& to) override {
        if (index != 0)
            return kInvalidArgument;
        at = offset;
        to = value;
        return kResultOk;
    }
    tresult PLUGIN_API addPoint(int32, Vst::ParamValue, int32&) override { return kNotImplemented; }
};

class Changes : public Here<Vst::IParameterChanges> {
public:
    std::vector<Point> points;

    int32 PLUGIN_API getParameterCount() override { return static_cast<int32>(points.size()); }
    Vst::IParamValueQueue* PLUGIN_API getParameterData(int32 index) override {
        return index >= 0 && index < getParameterCount() ? &points[static_cast<std::size_t>(index)]
                                                         : nullptr;
    }
    Vst::IParamValueQueue* PLUGIN_API addParameterData(const Vst::ParamID&, int32&) override {
        return nullptr;
    }
};

} // namespace lars
