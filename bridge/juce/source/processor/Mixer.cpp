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
    std::array<float, busCount + 2> goal{};
    for (std::size_t i = 0; i < faders.size(); ++i)
        goal[i] = wetShare * faders[i].factor(anySolo);
    goal[noFader] = anySolo ? 0.0f : wetShare;
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
        for (std::size_t stem = 0; stem < bus.size(); ++stem) {
            const auto which = bus[stem] < 0 ? noFader : static_cast<std::size_t>(bus[stem]);
            add(target, stems[static_cast<int>(stem) * channels + from], wet[which], goal[which],
                count);
        }
        add(target, residual[from], wet[residualFader], goal[residualFader], count);
        add(target, mixture[from], dry, dryGoal, count);
    }
    wet = goal;
    dry = dryGoal;
}

} // namespace lars
