// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/StemPlayer.h"

#include "protocol/Limits.h"

namespace lars {

StemPlayer::StemPlayer(Exchange& exchange) : shared(exchange) {
    piece.resize(std::size_t{Exchange::pieceFrames} * protocol::maxNames * 2);
}

StemPlayer::~StemPlayer() {
    delete current;
}

bool StemPlayer::adopt() {
    if (shared.pending.load(std::memory_order_relaxed) == nullptr ||
        (current != nullptr && shared.retired.room() == 0))
        return false;
    auto* const result = shared.pending.exchange(nullptr);
    if (result == nullptr)
        return false;
    if (current != nullptr)
        shared.retired.write(current);
    current = result;
    restart();
    return true;
}

void StemPlayer::restart() {
    ++life;
    sent = 0;
    opened = shared.opened.load();
    queue.restart();
    if (current != nullptr)
        current->aligner.restart();
}

void StemPlayer::process(const float* const* in, int count, float* const* stems,
                         float* const* mixture, bool dry, bool wait) {
    auto& aligner = current->aligner;
    shared.blocks.fetch_add(1, std::memory_order_relaxed);
    aligner.take(in, count);
    send(wait);
    receive();
    const auto complete = [&] {
        return aligner.complete(count) &&
               (!current->hears || queue.complete(aligner.position() + count));
    };
    if (wait && !complete()) {
        shared.waiting.store(true);
        while (!complete() && shared.hopeful.load()) {
            shared.waitForStems();
            send(true);
            receive();
        }
        shared.waiting.store(false);
    }
    began = aligner.position();
    const int replaced = aligner.give(stems, mixture, count, dry);
    shared.missing.fetch_add(static_cast<std::uint64_t>(replaced), std::memory_order_relaxed);
}

void StemPlayer::send(bool wait) {
    auto& aligner = current->aligner;
    if (const auto now = shared.opened.load(); now != opened) {
        opened = now;
        // A renderer's stream goes on, in another engine, with what it has not yet played.
        if (wait)
            sent = aligner.begin();
    }
    const auto channels = static_cast<std::size_t>(aligner.channels());
    while (sent < aligner.end()) {
        const float* lines[protocol::maxChannels];
        const int frames = aligner.mixtureAt(sent, Exchange::pieceFrames, lines);
        const auto samples = static_cast<std::size_t>(frames) * channels;
        if (shared.up.room() == 0 || shared.upAudio.room() < samples)
            break;
        for (std::size_t channel = 0; channel < channels; ++channel)
            shared.upAudio.stage(lines[channel], static_cast<std::size_t>(frames),
                                 channel * static_cast<std::size_t>(frames));
        shared.upAudio.commit(samples);
        shared.up.write({current->id, life, sent, static_cast<std::uint32_t>(frames),
                         static_cast<std::uint32_t>(channels)});
        sent += frames;
    }
    if (!wait && sent < aligner.end()) {
        // Live, a block that cannot be sent is left out; the positions tell.
        shared.unsent.fetch_add(static_cast<std::uint64_t>(aligner.end() - sent),
                                std::memory_order_relaxed);
        sent = aligner.end();
    }
}

void StemPlayer::receive() {
    HitPiece hit;
    while (shared.hits.read(hit))
        if (hit.life == life)
            queue.take(hit);
    auto& aligner = current->aligner;
    const auto lateBefore = aligner.late();
    StemsPiece head;
    while (shared.down.read(head)) {
        const auto samples = std::size_t{head.frames} * head.lines;
        const bool ours =
            head.life == life && samples <= piece.size() &&
            head.lines == static_cast<std::uint32_t>(aligner.lines());
        shared.downAudio.read(ours ? piece.data() : nullptr, samples);
        if (ours)
            aligner.store(head.position, piece.data(), static_cast<int>(head.frames),
                          head.replaced);
    }
    shared.late.fetch_add(aligner.late() - lateBefore, std::memory_order_relaxed);
}

} // namespace lars
