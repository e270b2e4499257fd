// SPDX-License-Identifier: GPL-3.0-or-later
// For tests of what is heard: files of noise, playing them, faders.
#pragma once

#include "Catch.h"
#include "processor/PluginProcessor.h"

namespace lars {

inline constexpr double rate = 44100.0;

inline void writeWav(const juce::File& file, const juce::AudioBuffer<float>& audio,
                     double ofRate = rate) {
    juce::WavAudioFormat wav;
    auto stream = file.createOutputStream();
    REQUIRE(stream != nullptr);
    const std::unique_ptr<juce::AudioFormatWriter> writer(
        wav.createWriterFor(stream.get(), ofRate, 2, 32, {}, 0));
    REQUIRE(writer != nullptr);
    stream.release();
    REQUIRE(writer->writeFromAudioSampleBuffer(audio, 0, audio.getNumSamples()));
}

inline juce::AudioBuffer<float> noise(int frames, int seed) {
    juce::AudioBuffer<float> audio(2, frames);
    juce::Random random(seed);
    for (int i = 0; i < frames; ++i)
        for (int side = 0; side < 2; ++side)
            audio.setSample(side, i, 0.5f * random.nextFloat() - 0.25f);
    return audio;
}

// As many frames as these, from where it plays; waits for the reading thread.
inline juce::AudioBuffer<float> hear(FilePlayer& player, int frames, int pause = 0) {
    juce::AudioBuffer<float> all(2, frames);
    all.clear();
    for (int done = 0, still = 0; done < frames && still < 5000;) {
        const int part = juce::jmin(64, frames - done);
        // Under a sanitizer, or on a busy machine, the thread is slower than what is heard here; at
        // the file's end there is no more to wait for.
        for (int wait = 0; player.blocksAhead() < 2 && wait < 50; ++wait)
            juce::Thread::sleep(1);
        juce::AudioBuffer<float> block(2, part);
        block.clear();
        player.add(block, 2);
        if (done == 0 && block.getMagnitude(0, part) <= 0.0f) {
            ++still;
            juce::Thread::sleep(2);
            continue;
        }
        for (int side = 0; side < 2; ++side)
            all.copyFrom(side, done, block, side, 0, part);
        done += part;
        if (pause > 0 || done % 512 == 0)
            juce::Thread::sleep(pause > 0 ? pause : 1); // the thread reads on
    }
    return all;
}

inline float difference(const juce::AudioBuffer<float>& one,
                        const juce::AudioBuffer<float>& other) {
    float most = 0.0f;
    for (int side = 0; side < 2; ++side)
        for (int i = 0; i < one.getNumSamples(); ++i)
            most = juce::jmax(most, std::abs(one.getSample(side, i) - other.getSample(side, i)));
    return most;
}

inline void set(PluginProcessor& plugin, const juce::String& id, float value) {
    auto* parameter = plugin.parameters().getParameter(id);
    REQUIRE(parameter != nullptr);
    parameter->beginChangeGesture();
    parameter->setValueNotifyingHost(parameter->convertTo0to1(value));
    parameter->endChangeGesture();
}

inline float get(PluginProcessor& plugin, const juce::String& id) {
    const auto* parameter = plugin.parameters().getParameter(id);
    REQUIRE(parameter != nullptr);
    return parameter->convertFrom0to1(parameter->getValue());
}

} // namespace lars
