// SPDX-License-Identifier: GPL-3.0-or-later
#include "processor/MidiOut.h"

namespace lars {
namespace {

constexpr float normal = 50.0f; // per cent of sensitivity: velocities as they were heard

float valueOf(const std::atomic<float>* parameter, float most) {
    const float value = parameter->load();
    return std::isfinite(value) ? juce::jlimit(0.0f, most, value) : 0.0f;
}

} // namespace

MidiOut::MidiOut(const juce::AudioProcessorValueTreeState& state) {
    for (std::size_t i = 0; i < drums.size(); ++i)
        drums[i] = {state.getRawParameterValue(ids::note(busStems[i])),
                    state.getRawParameterValue(ids::sensitivity(busStems[i]))};
}

bool MidiOut::add(const juce::MidiMessage& message, int sample, juce::MidiBuffer& to) {
    if (events >= mostInBlock)
        return false;
    ++events;
    to.addEvent(message, sample);
    return true;
}

// Below the normal sensitivity, hits that are less sure are left out, and all are softer.
void MidiOut::hit(const HitPiece& hit, int sample, juce::MidiBuffer& to) {
    const auto& drum = drums[static_cast<std::size_t>(hit.stem)];
    const float share = valueOf(drum.sensitivity, 100.0f) / normal; // 0 to 2
    if (share <= 0.0f || hit.certainty < 1.0f - share)
        return;
    const int note = juce::jlimit(0, 127, juce::roundToInt(valueOf(drum.note, 127.0f)) + hit.shift);
    const int velocity = juce::jlimit(1, 127, juce::roundToInt(hit.velocity * share));
    auto* place = &sounding.front();
    for (auto& one : sounding) {
        if (one.note == note) {
            add(juce::MidiMessage::noteOff(channel, note), sample, to); // struck again
            one.note = -1;
        }
        if (one.note < 0)
            place = &one;
    }
    if (place->note >= 0)
        add(juce::MidiMessage::noteOff(channel, place->note), sample, to);
    place->note = -1;
    if (add(juce::MidiMessage::noteOn(channel, note, static_cast<juce::uint8>(velocity)), sample, to))
        *place = {note, sample + length};
}

void MidiOut::finish(int start, int count, juce::MidiBuffer& to) {
    for (auto& one : sounding)
        if (one.note >= 0 && one.left < start + count &&
            add(juce::MidiMessage::noteOff(channel, one.note), juce::jmax(start, one.left), to))
            one.note = -1;
}

void MidiOut::endBlock(int count) {
    events = 0;
    for (auto& one : sounding)
        one.left -= count;
}

void MidiOut::stop(juce::MidiBuffer& to) {
    for (auto& one : sounding)
        if (std::exchange(one.note, -1) >= 0)
            add(juce::MidiMessage::noteOff(channel, one.note), 0, to);
}

} // namespace lars
