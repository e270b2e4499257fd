// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/StreamSession.h"

#include <algorithm>
#include <cmath>

#include "engine/Offers.h"

namespace lars {
namespace {

using std::chrono::seconds;

constexpr auto statsEvery = seconds(1);
constexpr auto playsFor = seconds(1); // after a block
// A live client that cannot get rid of its audio drops blocks rather than let it grow old.
constexpr std::size_t mostUnsent = 1 << 20;
// The engine plans with blocks that are this much longer: so long may it take this thread, which
// the audio thread may not wake, to notice one.
constexpr double noticeSeconds = 0.002;

} // namespace

StreamSession::StreamSession(Connection& engine, Exchange& exchange, LinkBoard& orders)
    : connection(engine), shared(exchange), board(orders),
      piece(std::size_t{Exchange::pieceFrames} * protocol::maxNames * 2) {}

void StreamSession::step() {
    if (auto newer = board.newerThan(order.number)) {
        order = std::move(*newer);
        open();
    }
    const bool busy = given < coming.frames;
    connection.pump(waitTime(), !busy);
    while (moveDown()) {
        auto message = connection.next();
        if (!message)
            break;
        handle(*message);
    }
    if (const bool silence = board.wantsSilence(); plan != 0 && silence != order.settings.silence) {
        order.settings.silence = silence;
        protocol::Parameter fallback;
        fallback.name = "fallback";
        fallback.value = silence ? 1.0 : 0.0;
        connection.ask(fallback);
    }
    if (board.takeOffersWanted())
        connection.ask(protocol::Status{});
    moveUp();
    if (const auto now = Clock::now(); plan != 0 && now - requested > statsEvery) {
        requested = now;
        connection.ask(protocol::Stats{});
    }
}

// In milliseconds: short while the audio thread plays, or waits for room to be filled.
int StreamSession::waitTime() {
    const auto now = Clock::now();
    if (const auto count = shared.blocks.load(); count != blocks) {
        blocks = count;
        active = now;
    }
    return given < coming.frames || now - active < playsFor ? 1 : 20;
}

void StreamSession::open() {
    const auto& settings = order.settings;
    if (settings.idle)
        return close();
    protocol::Open wanted;
    wanted.mode = settings.offline ? protocol::Open::offline : protocol::Open::live;
    wanted.fallback = settings.silence ? protocol::Open::silence : protocol::Open::dry;
    wanted.channels = static_cast<std::uint16_t>(settings.channels);
    const auto notice = std::ceil(noticeSeconds * settings.rate);
    wanted.maxBlock = static_cast<std::uint32_t>(
        std::clamp(settings.block + notice, 1.0, double{protocol::maxBlock}));
    wanted.sampleRate = settings.rate;
    wanted.preset = settings.offline ? settings.preset : "";
    if (settings.offline && !settings.waits)
        wanted.batch = 1; // what is played now should not wait for more to compute
    wanted.model = settings.model;
    if (wanted.model.empty())
        wanted.model = defaultModel(connection.engine().models, !settings.offline);
    wanted.epoch = ++epoch;
    plan = 0;
    hearRequest = 0;
    dropStems();
    openRequest = connection.ask(wanted);
    asked = true;
    board.opening(wanted.model, settings.rate);
}

// No stream is wanted: the engine's ends, and what comes of it is nobody's.
void StreamSession::close() {
    plan = openRequest = hearRequest = 0;
    ++epoch;
    dropStems();
    if (std::exchange(asked, false))
        connection.ask(protocol::Close{});
    board.tell(LinkState::ready, "");
}

void StreamSession::handle(protocol::Message& message) {
    if (auto* stems = std::get_if<protocol::Stems>(&message)) {
        if (plan != 0 && stems->epoch == epoch) {
            coming = std::move(*stems);
            given = 0;
        }
    } else if (const auto* result = std::get_if<protocol::Opened>(&message)) {
        if (result->request == openRequest)
            opened(*result);
    } else if (const auto* hearing = std::get_if<protocol::Hearing>(&message)) {
        if (hearRequest != 0 && hearing->request == hearRequest)
            openedAndHears(hearing->latency);
    } else if (const auto* one = std::get_if<protocol::Hit>(&message)) {
        if (plan != 0 && one->epoch == epoch)
            hit(*one);
    } else if (const auto* mark = std::get_if<protocol::Heard>(&message)) {
        if (plan != 0 && mark->epoch == epoch) {
            HitPiece piece;
            piece.life = life;
            piece.position = static_cast<std::int64_t>(mark->position);
            shared.hits.write(piece);
            shared.tellRenderer();
        }
    } else if (const auto* error = std::get_if<protocol::Error>(&message)) {
        failed(*error);
    } else if (const auto* figures = std::get_if<protocol::Statistics>(&message)) {
        board.add(*figures);
    } else if (const auto* report = std::get_if<protocol::StatusReport>(&message)) {
        board.offers(readOffers(report->report));
    }
}

void StreamSession::opened(const protocol::Opened& message) {
    answer = message;
    if (!order.settings.hears) {
        openedAndHears(0);
    } else if (connection.version() < 2) {
        openedAndHears(0);
        board.tell(LinkState::ready, "the engine is too old for MIDI; start the new one");
    } else {
        protocol::Hear hear;
        hear.on = 1;
        hearRequest = connection.ask(hear);
    }
}

// The stream is open, and hits come so many samples after their strokes; 0: none come.
void StreamSession::openedAndHears(std::uint32_t latency) {
    hearRequest = 0;
    const auto result = board.opened(order, answer, latency);
    if (result == 0)
        return;
    plan = result;
    life = 0;
    expected = 0;
    stopped = false;
}

void StreamSession::hit(const protocol::Hit& message) {
    HitPiece piece;
    piece.life = life;
    piece.position = static_cast<std::int64_t>(message.position);
    piece.stem = Plan::busOf(message.stem);
    piece.velocity = static_cast<float>(message.velocity);
    piece.certainty = static_cast<float>(std::clamp(message.confidence, 0.0, 1.0));
    // As in General MIDI, where the closed hat is 42, the pedal 44 and the open hat 46.
    if (message.stem == "hihat")
        piece.shift = message.articulation == "open"    ? 4
                      : message.articulation == "pedal" ? 2
                                                        : 0;
    if (piece.stem >= 0)
        shared.hits.write(piece);
}

void StreamSession::failed(const protocol::Error& error) {
    if (order.settings.idle)
        return;
    if (plan == 0 && error.request == openRequest) {
        board.refused(order, error.message);
        return;
    }
    if (hearRequest != 0 && error.request == hearRequest) {
        openedAndHears(0);
        board.tell(LinkState::ready, "no MIDI: " + error.message);
        return;
    }
    if (error.epoch != 0 && error.epoch != epoch)
        return;
    stopped = order.settings.offline; // live goes on
    board.failed(stopped, error.message);
}

void StreamSession::dropStems() {
    coming = {};
    given = 0;
}

void StreamSession::moveUp() {
    AudioPiece head;
    const bool patient = order.settings.waits || order.settings.offline;
    while (!(patient && connection.unsent() >= mostUnsent) && shared.up.read(head)) {
        const auto samples = std::size_t{head.frames} * head.channels;
        const bool ours = plan != 0 && head.plan == plan &&
                          head.channels == static_cast<std::uint32_t>(order.settings.channels) &&
                          samples <= piece.size();
        shared.upAudio.read(ours ? piece.data() : nullptr, samples);
        if (!ours)
            continue;
        if (connection.unsent() >= mostUnsent)
            board.addUnsent(head.frames);
        else
            send(head);
    }
    connection.flush();
}

// The piece whose samples were read. A RESET goes before it if it does not follow the last one.
void StreamSession::send(const AudioPiece& head) {
    const bool another = life == 0 ? head.position != 0 : head.life != life;
    const bool moved =
        order.settings.offline ? head.position != expected : head.position < expected;
    if (stopped && !another)
        return;
    if (another || moved) {
        protocol::Reset reset;
        reset.epoch = ++epoch;
        reset.position = static_cast<std::uint64_t>(head.position);
        connection.ask(reset);
        dropStems();
        if (std::exchange(stopped, false)) {
            shared.hopeful.store(true);
            board.tell(LinkState::ready, "");
        }
    }
    life = head.life;
    expected = head.position + head.frames;
    const float* lines[protocol::maxChannels];
    for (std::uint32_t channel = 0; channel < head.channels; ++channel)
        lines[channel] = piece.data() + std::size_t{channel} * head.frames;
    connection.sendAudio(lines, static_cast<std::uint16_t>(head.channels), head.frames,
                         static_cast<std::uint64_t>(head.position), epoch);
}

// Whether all of the stems that came are in the queue, and more may come.
bool StreamSession::moveDown() {
    const auto lines = std::uint32_t{coming.streams} * coming.channels;
    while (given < coming.frames) {
        const auto frames = std::min<std::uint32_t>(Exchange::pieceFrames, coming.frames - given);
        const auto samples = std::size_t{frames} * lines;
        if (samples > shared.downAudio.capacity()) {
            given = coming.frames;
            break;
        }
        if (shared.down.room() == 0 || shared.downAudio.room() < samples)
            return false;
        for (std::uint32_t line = 0; line < lines; ++line)
            shared.downAudio.stage(coming.samples.data() + std::size_t{line} * coming.frames +
                                       given,
                                   frames, std::size_t{line} * frames);
        shared.downAudio.commit(samples);
        shared.down.write({life, static_cast<std::int64_t>(coming.position) + given, frames, lines,
                           (coming.flags & protocol::Stems::replaced) != 0});
        given += frames;
        shared.tellRenderer();
    }
    return true;
}

} // namespace lars
