// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/Aligner.h"

#include <algorithm>

namespace lars {

Aligner::Aligner(int stems, int channels, int latency, int largest, bool total)
    : stemCount(stems), channelCount(channels), delay(latency), most(largest), withTotal(total),
      size(1) {
    while (size < static_cast<std::size_t>(latency) + 2 * static_cast<std::size_t>(largest))
        size *= 2;
    ring.assign(size * static_cast<std::size_t>(lines()), 0.0f);
    mixtureRing.assign(size * static_cast<std::size_t>(channels), 0.0f);
    have.assign(size, 0);
    restart();
}

void Aligner::restart() {
    std::fill(have.begin(), have.end(), std::uint8_t{0});
    next = -static_cast<std::int64_t>(delay);
    taken = settled = 0;
}

void Aligner::take(const float* const* mixture, int count) {
    for (int done = 0; done < count;) {
        const auto place = at(taken);
        const int part =
            static_cast<int>(std::min(size - place, static_cast<std::size_t>(count - done)));
        for (int channel = 0; channel < channelCount; ++channel)
            std::copy_n(mixture[channel] + done, part,
                        mixtureRing.data() + static_cast<std::size_t>(channel) * size + place);
        std::fill_n(have.data() + place, part, std::uint8_t{0});
        done += part;
        taken += part;
    }
}

void Aligner::store(std::int64_t position, const float* samples, int count, bool replaced) {
    const auto first = std::max(position, next);
    const auto last = std::min(position + count, taken);
    lateSamples += static_cast<std::uint64_t>(std::clamp<std::int64_t>(first - position, 0, count));
    settled = std::max(settled, last);
    for (auto now = first; now < last;) {
        const auto place = at(now);
        const auto part = std::min(static_cast<std::int64_t>(size - place), last - now);
        for (int line = 0; line < lines(); ++line)
            std::copy_n(samples + static_cast<std::ptrdiff_t>(line) * count + (now - position),
                        part, ring.data() + static_cast<std::size_t>(line) * size + place);
        std::fill_n(have.data() + place, part, static_cast<std::uint8_t>(replaced ? 2 : 1));
        now += part;
    }
}

int Aligner::give(float* const* out, float* const* mixtureOut, int count, bool dry) {
    // Before the stream's first sample there is silence.
    const int silent = static_cast<int>(std::clamp<std::int64_t>(-next, 0, count));
    for (int line = 0; line < stemCount * channelCount; ++line)
        std::fill_n(out[line], silent, 0.0f);
    if (mixtureOut != nullptr)
        for (int channel = 0; channel < channelCount; ++channel)
            std::fill_n(mixtureOut[channel], silent, 0.0f);

    int replaced = 0;
    const float share = dry ? 1.0f / static_cast<float>(stemCount) : 0.0f;
    for (int done = silent; done < count;) {
        const auto place = at(next + done);
        const int most_ =
            static_cast<int>(std::min(size - place, static_cast<std::size_t>(count - done)));
        // A run in which the stems are all there, or all missing.
        const auto there = have[place];
        int part = 1;
        while (part < most_ && have[place + static_cast<std::size_t>(part)] == there)
            ++part;
        for (int channel = 0; channel < channelCount; ++channel) {
            const auto* mixture =
                mixtureRing.data() + static_cast<std::size_t>(channel) * size + place;
            if (mixtureOut != nullptr)
                std::copy_n(mixture, part, mixtureOut[channel] + done);
            for (int stem = 0; stem < stemCount; ++stem) {
                auto* target = out[stem * channelCount + channel] + done;
                if (there != 0)
                    std::copy_n(stemRing(stem, channel) + place, part, target);
                else
                    std::transform(mixture, mixture + part, target,
                                   [share](float value) { return value * share; });
            }
        }
        if (there == 0)
            replaced += part;
        done += part;
    }
    next += count;
    settled = std::max(settled, std::max<std::int64_t>(next, 0));
    return replaced;
}

void Aligner::residual(const float* const* stems, const float* const* mixture, int count, bool dry,
                       float* const* out) const {
    const auto there = [&](int i) {
        const auto what = have[at(next - count + i)];
        return what == 1 || (what == 2 && dry);
    };
    for (int channel = 0; channel < channelCount; ++channel) {
        auto* target = out[channel];
        std::copy_n(mixture[channel], count, target);
        if (withTotal) {
            const auto* whole = ring.data() +
                                static_cast<std::size_t>(stemCount * channelCount + channel) * size;
            for (int i = 0; i < count; ++i)
                target[i] -= whole[at(next - count + i)];
        } else {
            for (int stem = 0; stem < stemCount; ++stem) {
                const auto* part = stems[stem * channelCount + channel];
                for (int i = 0; i < count; ++i)
                    target[i] -= part[i];
            }
        }
        for (int i = 0; i < count; ++i)
            if (!there(i))
                target[i] = 0.0f;
    }
}

int Aligner::mixtureAt(std::int64_t position, int count, const float** channelsOut) const {
    const auto place = at(position);
    const auto part = std::min({static_cast<std::int64_t>(count), taken - position,
                                static_cast<std::int64_t>(size - place)});
    for (int channel = 0; channel < channelCount; ++channel)
        channelsOut[channel] =
            mixtureRing.data() + static_cast<std::size_t>(channel) * size + place;
    return static_cast<int>(std::max<std::int64_t>(part, 0));
}

} // namespace lars
