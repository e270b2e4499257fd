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
constexpr auto tooOld = "the engine is too old for effects; start the new one";

} // namespace

StreamSession::StreamSession(Connection& engine, Exchange& exchange, LinkBoard& orders,
                             ChainDesk& effects)
    : connection(engine), shared(exchange), board(orders), chains(effects),
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
    if (chains.takeEffectsWanted()) {
        if (connection.version() >= 3)
            connection.ask(protocol::Effects{});
        else
            chains.failed(tooOld);
    }
    if (plan != 0)
        askForChains();
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
    hearRequest = chainRequest = 0;
    chainVersion = chainEffects = 0;
    halted = total = false;
    dropStems();
    openRequest = connection.ask(wanted);
    asked = true;
    board.opening(wanted.model, settings.rate);
}

// No stream is wanted: the engine's ends, and what comes of it is nobody's.
void StreamSession::close() {
    plan = openRequest = hearRequest = chainRequest = 0;
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
    } else if (const auto* state = std::get_if<protocol::ChainState>(&message)) {
        if (chainRequest != 0 && state->request == chainRequest)
            chained(*state);
    } else if (const auto* effects = std::get_if<protocol::EffectsReport>(&message)) {
        chains.effects(readEffects(effects->report));
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
    if (!askForChains())
        askToHear();
}

// The effects behind the stems, if others are wanted than were sent last; whether they were asked
// for. The states of plugins only where they may have to be loaded.
bool StreamSession::askForChains() {
    if (chainRequest != 0)
        return false;
    const auto wish = chains.newerThan(chainVersion);
    if (!wish)
        return false;
    const bool first = std::exchange(chainVersion, wish->version) == 0;
    if (first && wish->chains.empty())
        return false;
    if (connection.version() < 3) {
        chains.failed(wish->chains.empty() ? "" : tooOld);
        return false;
    }
    protocol::Chain wanted;
    wanted.epoch = epoch;
    wanted.total = 1;
    wanted.states = std::exchange(chainEffects, wish->effects) != wish->effects ? 1 : 0;
    auto text = writeChains(wish->chains, wanted.states != 0);
    if (text.size() > protocol::maxChain)
        text = writeChains(wish->chains, false);
    if (text.size() > protocol::maxChain) {
        chains.failed("these are too many effects for one message; remove some");
        return false;
    }
    wanted.chains.assign(text.begin(), text.end());
    chainRequest = connection.ask(std::move(wanted));
    return true;
}

// Where the latency is another, the audio thread gets another plan, and the engine a RESET with the
// first audio of that.
void StreamSession::chained(const protocol::ChainState& state) {
    chainRequest = 0;
    chains.answered(readChainReport(state.chains));
    answer.latency = state.latency;
    answer.boardLatency = state.boardLatency;
    total = state.total != 0;
    halted = halted || state.anew != 0;
    if (plan == 0) {
        askToHear();
    } else if (state.anew != 0) {
        dropStems();
        openedAndHears(hearLatency);
    }
}

void StreamSession::askToHear() {
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
    hearLatency = latency;
    const auto result = board.opened(order, answer, latency, total);
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
    if (chainRequest != 0 && error.request == chainRequest) {
        chainRequest = 0;
        chains.failed(error.message);
        if (plan == 0)
            askToHear();
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
    const bool another = halted || (life == 0 ? head.position != 0 : head.life != life);
    const bool moved =
        order.settings.offline ? head.position != expected : head.position < expected;
    if (stopped && !another)
        return;
    if (another || moved) {
        protocol::Reset reset;
        reset.epoch = ++epoch;
        reset.position = static_cast<std::uint64_t>(head.position);
        connection.ask(reset);
        halted = false;
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
