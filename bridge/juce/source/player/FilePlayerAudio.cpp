// SPDX-License-Identifier: GPL-3.0-or-later
// What the player does on the audio thread.
#include "player/FilePlayer.h"

namespace lars {
namespace {

float towards(float from, float to, float step) noexcept {
    return from < to ? juce::jmin(to, from + step) : juce::jmax(to, from - step);
}

} // namespace

// The audio thread.

const FilePlayer::Block* FilePlayer::front() const noexcept {
    const auto first = taken.load();
    return written.load() == first ? nullptr : &ring[first % ringBlocks];
}

bool FilePlayer::weigh(int count, Weights& goal) const noexcept {
    goal = {};
    if (count < 2 || !stemsHeard.load()) {
        goal[0].fill(fileTrim.load());
        return false;
    }
    weighStems(count - 1, goal);
    const float trim = stemsTrim.load();
    for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i)
        for (auto& side : goal[i])
            side *= trim;
    return true;
}

void FilePlayer::weighStems(int count, Weights& goal) const noexcept {
    std::array<Fader, mostStems> used{};
    const auto& rest = faders[residualFader];
    bool anySolo = rest.isSolo();
    const auto present = static_cast<std::size_t>(count);
    for (std::size_t i = 0; i < present; ++i) {
        const int which = bus[i].load();
        const auto& own = ownFaders[i];
        used[i] = which >= 0 ? faders[static_cast<std::size_t>(which)]
                             : Fader{&own.gain, &own.mute, &own.solo, &own.pan};
        anySolo = anySolo || used[i].isSolo();
    }
    // What no stem has is the file less the stems.
    goal[0] = rest.sides(anySolo);
    for (std::size_t i = 0; i < present; ++i) {
        const auto sides = used[i].sides(anySolo);
        goal[i + 1] = {sides[0] - goal[0][0], sides[1] - goal[0][1]};
    }
}

std::vector<std::array<float, 2>> FilePlayer::mixGains(int count) const {
    Weights goal{};
    count = juce::jlimit(0, mostStems, count);
    weighStems(count, goal);
    std::vector<std::array<float, 2>> gains(goal.begin() + 1, goal.begin() + 1 + count);
    gains.push_back(goal[0]);
    return gains;
}

void FilePlayer::add(juce::AudioBuffer<float>& buffer, int channels) noexcept {
    const auto wanted = epoch.load();
    const bool plays = playing.load();
    const int count = buffer.getNumSamples();
    for (int done = 0; done < count;) {
        const auto* block = front();
        if (envelope <= 0.0f) {
            // Silent: on to where the last jump went.
            while (block != nullptr && block->epoch != wanted) {
                taken.fetch_add(1);
                block = front();
            }
            if (heardEpoch != wanted)
                offset = 0;
            if (block != nullptr)
                heardEpoch = wanted;
            if (block == nullptr || !plays)
                return;
            weigh(block->tracks, weights);
            // The file's first attack is its own; anywhere else a fade begins.
            envelope = block->seconds <= 0.0 && offset == 0 ? 1.0f : fadeStep;
        }
        const float goal = plays && heardEpoch == wanted ? 1.0f : 0.0f;
        if (block == nullptr || block->epoch != heardEpoch) {
            envelope = 0.0f; // the reading thread is behind, or has gone on to another place
            if (heardEpoch == wanted)
                return;
            continue;
        }
        int part = juce::jmin(count - done, block->frames - offset);
        if (goal < envelope)
            part =
                juce::jmin(part, juce::jmax(1, static_cast<int>(std::ceil(envelope / fadeStep))));
        mix(*block, buffer, channels, done, part, goal);
        done += part;
        offset += part;
        if (heardEpoch == wanted) {
            const double now = block->seconds + offset / heardRate, whole = lengthSeconds.load();
            heardSeconds.store(block->wrapAt > 0.0 && now >= block->wrapAt
                                   ? now - block->wrapAt + block->wrapTo
                                   : juce::jmin(now, whole));
        }
        if (offset < block->frames)
            continue;
        const bool last = block->last;
        taken.fetch_add(1);
        offset = 0;
        if (last) {
            envelope = 0.0f;
            if (epoch.load() == heardEpoch) {
                playing.store(false);
                heardSeconds.store(lengthSeconds.load());
            }
            return;
        }
    }
}

void FilePlayer::mix(const Block& block, juce::AudioBuffer<float>& buffer, int channels, int start,
                     int count, float goal) noexcept {
    Weights goals;
    const bool stems = weigh(block.tracks, goals);
    std::array<float, blockFrames> fade;
    for (int i = 0; i < count; ++i)
        fade[static_cast<std::size_t>(i)] = envelope = towards(envelope, goal, fadeStep);
    const auto first = static_cast<std::size_t>(offset);
    for (std::size_t track = 0; track < static_cast<std::size_t>(block.tracks); ++track) {
        // A mono output has no sides: there the louder one's, which is the centre's.
        for (int channel = 0; channel < channels; ++channel) {
            auto& weight = weights[track][static_cast<std::size_t>(channel)];
            const auto goalSides = goals[track];
            const float to = channels > 1 ? goalSides[static_cast<std::size_t>(channel)]
                                          : juce::jmax(goalSides[0], goalSides[1]);
            const auto* source =
                block.samples[track][static_cast<std::size_t>(channel)].data() + first;
            auto* target = buffer.getWritePointer(channel, start);
            // Behind the stem's fader, which is what it gets beside its part of the file.
            if (track > 0 && stems)
                meters[track - 1].tell(channel, source, count, (to + goals[0][0]) * envelope);
            for (int i = 0; i < count; ++i) {
                weight = towards(weight, to, fadeStep);
                target[i] += weight * fade[static_cast<std::size_t>(i)] * source[i];
            }
        }
    }
}

} // namespace lars
