// SPDX-License-Identifier: GPL-3.0-or-later
// The part of the plugin that plays what was rendered once, and captures for it.
#include "processor/PluginProcessor.h"

namespace lars {

RenderMeans PluginProcessor::renderMeans() const {
    RenderMeans means;
    means.model = modelName(Task::files);
    if (means.model.isEmpty())
        means.model = juce::String::fromUTF8(defaultModel(link.status().models, false).c_str());
    means.preset = presetOf(choices.now().quality);
    return means;
}

// Begins or ends a capture, as the parameter says. Not on the audio thread of a live host.
void PluginProcessor::followCapture() {
    const bool on = captureValue->load() > 0.5f && choices.now().mode == 2;
    if (on != once.wantsCapture())
        once.setCapturing(on, renderMeans());
}

// Where the host is, if it plays.
std::optional<std::int64_t> PluginProcessor::hostPosition() {
    auto* const head = getPlayHead();
    if (head == nullptr)
        return std::nullopt;
    const auto now = head->getPosition();
    if (!now.hasValue() || !now->getTimeInSamples().hasValue())
        return std::nullopt;
    std::int64_t at = *now->getTimeInSamples();
    // JUCE's VST3 wrapper says 0 of all that is before the timeline; the beats say where that is.
    const auto beats = now->getPpqPosition(), tempo = now->getBpm();
    if (at == 0 && beats.hasValue() && *beats < 0.0 && tempo.hasValue() && *tempo > 0.0)
        at = std::llround(*beats * 60.0 / *tempo * getSampleRate());
    once.player().follow(at, now->getIsPlaying());
    return now->getIsPlaying() ? std::optional<std::int64_t>(at) : std::nullopt;
}

// The stems of the samples that begin at `start` of the block.
void PluginProcessor::processRendered(const float* const* in, int channels, int start, int count,
                                      bool dry, bool wait) {
    const auto at = blockPosition ? std::optional<std::int64_t>(*blockPosition + start)
                                  : std::nullopt;
    for (int channel = 0; channel < channels; ++channel)
        juce::FloatVectorOperations::copy(mixtureLines[static_cast<std::size_t>(channel)],
                                          in[channel], count);
    // Hosts may fade in when the transport starts; what was captured there before is better. No
    // renderer does so.
    constexpr double fadeSeconds = 0.1;
    if (at)
        once.add(in, channels, count, *at, wait, !wait && untilSettled > 0);
    untilSettled = at ? juce::jmax(0, untilSettled - count)
                      : juce::roundToInt(fadeSeconds * currentRate.load());
    once.player().give(in, channels, at, count, stemLines.data(), dry);
}

} // namespace lars
