// SPDX-License-Identifier: GPL-3.0-or-later
#include "processor/Mixer.h"

namespace lars {
namespace {

void add(float* target, const float* source, float from, float to, int count) {
    if (!(from < to) && !(to < from)) {
        juce::FloatVectorOperations::addWithMultiply(target, source, to, count);
        return;
    }
    const float step = (to - from) / static_cast<float>(count);
    for (int i = 0; i < count; ++i)
        target[i] += source[i] * (from + step * static_cast<float>(i + 1));
}

} // namespace

Mixer::Mixer(const juce::AudioProcessorValueTreeState& state)
    : mix(state.getRawParameterValue(ids::mix)) {
    for (std::size_t i = 0; i < faders.size(); ++i)
        faders[i] = {state.getRawParameterValue(ids::gain(busStems[i])),
                     state.getRawParameterValue(ids::mute(busStems[i])),
                     state.getRawParameterValue(ids::solo(busStems[i])),
                     state.getRawParameterValue(ids::pan(busStems[i]))};
}

void Mixer::process(const float* const* stems, const std::vector<int>& bus, int channels,
                    const float* const* mixture, float* const* main, int mainChannels, int count) {
    const float percent = mix->load();
    const float wetShare = percent > 99.99f ? 1.0f : percent > 0.0f ? percent / 100.0f : 0.0f;
    bool anySolo = false;
    for (const auto& fader : faders)
        anySolo = anySolo || fader.solo->load() > 0.5f;
    std::array<Sides, busCount + 1> goal{};
    for (std::size_t i = 0; i < faders.size(); ++i) {
        const auto& fader = faders[i];
        const bool heard = fader.mute->load() < 0.5f && (!anySolo || fader.solo->load() > 0.5f);
        const float gain = heard ? wetShare * gainFactor(fader.gain->load()) : 0.0f;
        const auto sides = mainChannels > 1 ? balance(fader.pan->load()) : Sides{1.0f, 1.0f};
        goal[i] = {gain * sides[0], gain * sides[1]};
    }
    goal[busCount].fill(anySolo ? 0.0f : wetShare);
    const float dryGoal = 1.0f - wetShare;
    if (snapping) {
        wet = goal;
        dry = dryGoal;
        snapping = false;
    }
    for (int channel = 0; channel < mainChannels; ++channel) {
        auto* target = main[channel];
        const int from = juce::jmin(channel, channels - 1); // mono goes to both sides
        juce::FloatVectorOperations::clear(target, count);
        const auto side = static_cast<std::size_t>(juce::jmin(channel, 1));
        for (std::size_t stem = 0; stem < bus.size(); ++stem) {
            const auto which = static_cast<std::size_t>(bus[stem] < 0 ? busCount : bus[stem]);
            const auto* source = stems[static_cast<int>(stem) * channels + from];
            add(target, source, wet[which][side], goal[which][side], count);
            if (which < meters.size())
                meters[which].tell(channel, source, count, goal[which][side]);
        }
        add(target, mixture[from], dry, dryGoal, count);
    }
    wet = goal;
    dry = dryGoal;
}

} // namespace lars
