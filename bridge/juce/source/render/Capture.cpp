// SPDX-License-Identifier: GPL-3.0-or-later
#include "render/Capture.h"

namespace lars {
namespace {

constexpr auto drainEvery = std::chrono::milliseconds(10);
constexpr auto roomEvery = std::chrono::milliseconds(1);

} // namespace

// The draining thread reads `takes` only while it runs, and it is set before that.
void Capture::begin(const juce::File& scratch, double rate, int channels) {
    end();
    if (made == nullptr) {
        made = std::make_unique<Queue>();
        queue.store(made.get());
    }
    {
        const std::lock_guard<std::mutex> lock(mutex);
        take = std::make_unique<Take>(scratch, rate, channels);
    }
    lostSamples.store(0);
    quit.store(false);
    ++takes;
    thread = std::thread([this] { run(); });
    active.store(takes);
}

std::unique_ptr<Take> Capture::end() {
    active.store(0);
    if (!thread.joinable())
        return nullptr;
    quit.store(true);
    thread.join();
    const std::lock_guard<std::mutex> lock(mutex);
    return std::move(take);
}

std::vector<Span> Capture::spans() const {
    const std::lock_guard<std::mutex> lock(mutex);
    return take != nullptr ? take->spans().list() : std::vector<Span>();
}

void Capture::add(const float* const* in, int channels, int count, std::int64_t position,
                  bool wait, bool yields) noexcept {
    const auto number = active.load();
    auto* const to = queue.load();
    if (number == 0 || to == nullptr)
        return;
    for (int done = 0; done < count;) {
        const int part = std::min(pieceFrames, count - done);
        const auto size = static_cast<std::size_t>(part) * static_cast<std::size_t>(channels);
        while (wait && active.load() == number &&
               (to->heads.room() == 0 || to->audio.room() < size))
            std::this_thread::sleep_for(roomEvery);
        if (to->heads.room() == 0 || to->audio.room() < size) {
            lostSamples.fetch_add(static_cast<std::uint64_t>(count - done));
            return;
        }
        for (int channel = 0; channel < channels; ++channel)
            to->audio.stage(in[channel] + done, static_cast<std::size_t>(part),
                            static_cast<std::size_t>(channel) * static_cast<std::size_t>(part));
        to->audio.commit(size);
        to->heads.write({number, position + done, part, channels, yields});
        done += part;
    }
}

void Capture::run() {
    while (!quit.load()) {
        drain();
        std::this_thread::sleep_for(drainEvery);
    }
    drain();
}

void Capture::drain() {
    Piece head;
    while (queue.load()->heads.read(head)) {
        const auto size = static_cast<std::size_t>(head.frames) *
                          static_cast<std::size_t>(head.channels);
        planes.resize(size);
        queue.load()->audio.read(planes.data(), size);
        const std::lock_guard<std::mutex> lock(mutex);
        if (head.take != takes || take == nullptr || take->channels() != head.channels)
            continue;
        frames.resize(size);
        const auto part = static_cast<std::size_t>(head.frames);
        const auto channels = static_cast<std::size_t>(head.channels);
        for (std::size_t channel = 0; channel < channels; ++channel)
            for (std::size_t i = 0; i < part; ++i)
                frames[i * channels + channel] = planes[channel * part + i];
        if (!take->put(head.position, frames.data(), head.frames, head.yields))
            lostSamples.fetch_add(part);
    }
}

} // namespace lars
