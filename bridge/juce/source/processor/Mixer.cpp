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
    : faders(fadersOf(state)), mix(state.getRawParameterValue(ids::mix)) {}

void Mixer::process(const float* const* stems, const std::vector<int>& bus, int channels,
                    const float* const* residual, const float* const* mixture,
                    float* const* main, int mainChannels, int count) {
    const float percent = mix->load();
    const float wetShare = percent > 99.99f ? 1.0f : percent > 0.0f ? percent / 100.0f : 0.0f;
    bool anySolo = false;
    for (const auto& fader : faders)
        anySolo = anySolo || fader.isSolo();
    std::array<Sides, busCount + 2> goal{};
    for (std::size_t i = 0; i < faders.size(); ++i) {
        const float middle = faders[i].factor(anySolo);
        // A mono output has no sides.
        const auto sides = mainChannels > 1 ? faders[i].sides(anySolo) : Sides{middle, middle};
        goal[i] = {wetShare * sides[0], wetShare * sides[1]};
    }
    goal[noFader].fill(anySolo ? 0.0f : wetShare);
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
            const auto which = bus[stem] < 0 ? noFader : static_cast<std::size_t>(bus[stem]);
            const auto* source = stems[static_cast<int>(stem) * channels + from];
            add(target, source, wet[which][side], goal[which][side], count);
            if (which < meters.size())
                meters[which].tell(channel, source, count, goal[which][side]);
        }
        add(target, residual[from], wet[residualFader][side], goal[residualFader][side], count);
        add(target, mixture[from], dry, dryGoal, count);
    }
    wet = goal;
    dry = dryGoal;
}

} // namespace lars
