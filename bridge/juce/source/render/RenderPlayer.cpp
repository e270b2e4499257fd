// SPDX-License-Identifier: GPL-3.0-or-later
#include "render/RenderPlayer.h"

#include <algorithm>

namespace lars {
namespace {

constexpr double tendBefore = 1.0, tendAfter = 5.0; // seconds around where the host is

} // namespace

RenderPlayer::~RenderPlayer() {
    freeRetired();
    delete pending.exchange(nullptr);
    delete current;
}

void RenderPlayer::publish(std::unique_ptr<Rendering> next) {
    delete pending.exchange(next.release()); // one that nobody has adopted
}

bool RenderPlayer::freeRetired() {
    Rendering* old = nullptr;
    while (retired.read(old))
        delete old;
    return pending.load() == nullptr;
}

void RenderPlayer::tend(const Rendering& rendering) const {
    if (rendering.stems.empty())
        return;
    const auto rate = rendering.stems.front()->rate();
    const auto at = position.load() - rendering.start;
    for (const auto& stem : rendering.stems)
        stem->touch(at - static_cast<std::int64_t>(tendBefore * rate),
                    at + static_cast<std::int64_t>(tendAfter * rate));
}

void RenderPlayer::adopt() noexcept {
    if (pending.load(std::memory_order_relaxed) == nullptr || retired.room() == 0)
        return;
    if (auto* const next = pending.exchange(nullptr)) {
        retired.write(current);
        current = next;
    }
}

void RenderPlayer::give(const float* const* in, int channels, std::optional<std::int64_t> at,
                        int count, float* const* stems, bool dry) noexcept {
    if (!at || current->stems.empty()) {
        giveShares(in, channels, 0, count, stems, dry);
        if (at)
            missingSamples.fetch_add(static_cast<std::uint64_t>(count));
        return;
    }
    const auto first = *at - current->start;
    const auto& spans = current->spans;
    // The first span that ends behind this place.
    auto span =
        std::upper_bound(spans.begin(), spans.end(), first,
                         [](std::int64_t place, const Span& one) { return place < one.end; });
    for (int done = 0; done < count;) {
        const auto frame = first + done;
        while (span != spans.end() && span->end <= frame)
            ++span;
        const bool there = span != spans.end() && span->begin <= frame;
        auto part = static_cast<std::int64_t>(count - done);
        if (span != spans.end())
            part = std::min(part, (there ? span->end : span->begin) - frame);
        if (there) {
            giveStems(channels, frame, done, static_cast<int>(part), stems);
        } else {
            giveShares(in, channels, done, static_cast<int>(part), stems, dry);
            missingSamples.fetch_add(static_cast<std::uint64_t>(part));
        }
        done += static_cast<int>(part);
    }
}

void RenderPlayer::giveShares(const float* const* in, int channels, int from, int count,
                              float* const* stems, bool dry) noexcept {
    const float share = dry ? 1.0f / static_cast<float>(current->bus.size()) : 0.0f;
    for (std::size_t stem = 0; stem < current->bus.size(); ++stem)
        for (int channel = 0; channel < channels; ++channel) {
            const auto* source = in[channel] + from;
            std::transform(source, source + count,
                           stems[static_cast<int>(stem) * channels + channel] + from,
                           [share](float value) { return value * share; });
        }
}

void RenderPlayer::giveStems(int channels, std::int64_t frame, int from, int count,
                             float* const* stems) noexcept {
    for (std::size_t stem = 0; stem < current->stems.size(); ++stem) {
        const auto& wave = *current->stems[stem];
        for (int channel = 0; channel < channels; ++channel) {
            auto* target = stems[static_cast<int>(stem) * channels + channel] + from;
            wave.read(std::min(channel, wave.channels() - 1), frame, count, target);
            if (channels == 1 && wave.channels() == 2) // a stereo render on a mono track
                for (int i = 0; i < count; ++i) {
                    float right = 0.0f;
                    wave.read(1, frame + i, 1, &right);
                    target[i] = 0.5f * (target[i] + right);
                }
        }
    }
}

} // namespace lars
