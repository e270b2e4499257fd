// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/EngineLink.h"

#include <algorithm>
#include <cmath>

namespace lars {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using std::chrono::seconds;

// An engine that was killed in mid-render has so long to come back; one that was started, so long
// to load.
constexpr auto comeBackWithin = seconds(60);
constexpr auto startWithin = seconds(60);
constexpr auto startAgainAfter = seconds(30);
constexpr auto statsEvery = seconds(1);
// A live client that cannot get rid of its audio drops blocks rather than let it grow old.
constexpr std::size_t mostUnsent = 1 << 20;
// The engine plans with blocks that are this much longer: so long may it take this thread, which
// the audio thread may not wake, to notice one.
constexpr double noticeSeconds = 0.002;
// What is believed of latencies that a session says.
constexpr double mostLatencySeconds = 60.0;
constexpr std::size_t mostKnown = 4096;
constexpr int backOff[] = {20, 50, 100, 200, 500, 1000, 2000};

} // namespace

struct EngineLink::Stream {
    StreamSettings settings;
    std::uint32_t version = 0, openRequest = 0, statsRequest = 0;
    std::uint32_t plan = 0; // 0: not open yet
    std::uint32_t epoch = 0, life = 0;
    std::int64_t expected = 0; // position of the next audio
    bool fresh = true;         // nothing was sent yet
    bool failed = false;       // an offline stream that has stopped until the next life
    protocol::Stems coming;    // on its way into the queue
    std::uint32_t given = 0;   // frames of it that are
    Clock::time_point asked = Clock::now();
    std::vector<float> piece;
};

EngineLink::EngineLink(std::string clientName) : name(std::move(clientName)) {
    thread = std::thread([this] { run(); }); // when all else is made
}

EngineLink::~EngineLink() {
    {
        const std::lock_guard<std::mutex> lock(mutex);
        quit = true;
    }
    shared.hopeful.store(false);
    shared.link.wake();
    thread.join();
    freeRetired();
    delete shared.pending.exchange(nullptr);
}

void EngineLink::configure(const StreamSettings& settings) {
    {
        const std::lock_guard<std::mutex> lock(mutex);
        if (version != 0 && settings == wanted && readyVersion == version &&
            shown.state == LinkState::ready) {
            wanted.silence = settings.silence;
            return;
        }
        wanted = settings;
        ++version;
        const bool fits = version > 1 && planSettings.channels == settings.channels &&
                          planSettings.block == settings.block;
        const int guess = guessLatency(settings);
        if (shown.state == LinkState::away)
            shown.message.clear(); // it looks again
        if (!fits || guess != newestLatency.load())
            publish(guess, settings,
                    planStems.empty() ? std::vector<std::string>(busStems.begin(), busStems.end())
                                      : planStems);
    }
    shared.link.wake();
}

bool EngineLink::waitUntilReady(int limit) {
    shared.link.wake();
    std::unique_lock<std::mutex> lock(mutex);
    const auto settled = [this] {
        return readyVersion == version ||
               (shown.state == LinkState::away && !shared.hopeful.load());
    };
    // The thread's first look around must have happened: until then it is away without a reason.
    changed.wait_for(lock, milliseconds(limit), [&] {
        return settled() && !(shown.message.empty() && readyVersion != version);
    });
    return readyVersion == version && shown.state == LinkState::ready;
}

LinkStatus EngineLink::status() const {
    const std::lock_guard<std::mutex> lock(mutex);
    auto now = shown;
    now.latency = newestLatency.load();
    now.missing = shared.missing.load();
    now.late = shared.late.load();
    now.unsent += shared.unsent.load();
    return now;
}

void EngineLink::setCommand(const std::string& line, bool byItself) {
    {
        const std::lock_guard<std::mutex> lock(mutex);
        if ((line.empty() || line == command) && byItself == automatic)
            return;
        if (!line.empty())
            command = line;
        if (byItself && !automatic && shown.state == LinkState::away) {
            startAsked = true;
            shown.message.clear(); // it is about to change
        }
        automatic = byItself;
    }
    shared.link.wake();
}

void EngineLink::startEngine() {
    {
        const std::lock_guard<std::mutex> lock(mutex);
        startAsked = true;
    }
    shared.link.wake();
}

void EngineLink::retry() {
    {
        const std::lock_guard<std::mutex> lock(mutex);
        ++version;
    }
    shared.link.wake();
}

std::map<std::string, int> EngineLink::latencies() const {
    const std::lock_guard<std::mutex> lock(mutex);
    return known;
}

void EngineLink::addLatencies(const std::map<std::string, int>& more) {
    const std::lock_guard<std::mutex> lock(mutex);
    if (known.size() + more.size() <= mostKnown)
        known.insert(more.begin(), more.end());
}

int EngineLink::guessLatency(const StreamSettings& settings) const {
    const auto found = known.find(settings.latencyKey());
    // A session may say anything, and so much memory is taken.
    return found != known.end() && found->second <= mostLatencySeconds * settings.rate
               ? found->second
               : newestLatency.load();
}

// With the mutex held.
void EngineLink::publish(int latency, const StreamSettings& settings,
                         std::vector<std::string> stems) {
    planStems = stems;
    planSettings = settings;
    auto made = std::make_unique<Plan>(++plans, latency, settings.channels,
                                       std::max(settings.block, 1), std::move(stems));
    newestLatency.store(latency);
    delete shared.pending.exchange(made.release()); // one that nobody has adopted
}

void EngineLink::freeRetired() {
    Plan* old = nullptr;
    while (shared.retired.read(old))
        delete old;
}

void EngineLink::tell(LinkState state, const std::string& message) {
    {
        const std::lock_guard<std::mutex> lock(mutex);
        shown.state = state;
        shown.message = message;
        if (state == LinkState::away || state == LinkState::starting)
            shown.engine.clear();
    }
    changed.notify_all();
    shared.tellRenderer();
}

void EngineLink::run() {
    std::size_t tries = 0;
    for (;;) {
        {
            const std::lock_guard<std::mutex> lock(mutex);
            if (quit)
                return;
        }
        try {
            Connection connection(findEngine(), name, shared.link);
            tries = 0;
            shared.hopeful.store(true);
            {
                const std::lock_guard<std::mutex> lock(mutex);
                shown.engine = connection.engine().engine;
                shown.models = connection.engine().models;
                ++shown.connections;
            }
            serve(connection);
            return;
        } catch (const EngineError& error) {
            std::string problem = error.what();
            const bool starting = mayStart(problem);
            shared.hopeful.store(Clock::now() < hopeUntil);
            tell(starting ? LinkState::starting : LinkState::away, problem);
        } catch (const protocol::ProtocolError& error) {
            shared.hopeful.store(Clock::now() < hopeUntil);
            tell(LinkState::away, std::string("the engine speaks another language (") +
                                      error.what() + "); update the older of the two");
        }
        pause(backOff[std::min(tries++, std::size(backOff) - 1)]);
    }
}

// Starts an engine if that is wanted; whether one is on its way. Sets the problem otherwise.
bool EngineLink::mayStart(std::string& problem) {
    const auto now = Clock::now();
    std::string line;
    {
        const std::lock_guard<std::mutex> lock(mutex);
        const bool recently = startedOnce && now - startedAt < startAgainAfter;
        if (startAsked || (automatic && version != 0 && !recently))
            line = command;
        startAsked = false;
    }
    if (!line.empty()) {
        startedOnce = true;
        startedAt = now;
        starting = false;
        try {
            launcher.start(line);
            starting = true;
            hopeUntil = now + startWithin;
        } catch (const EngineError& error) {
            problem = error.what();
            return false;
        }
    }
    if (starting && launcher.hasEnded()) {
        starting = false;
        hopeUntil = now;
        ended = true;
    } else if (starting) {
        ended = false;
    }
    if (starting && now - startedAt < startWithin) {
        problem = "the engine is being started";
        return true;
    }
    if (ended)
        problem = "the engine that was started has ended; see " + Launcher::logFile();
    return false;
}

void EngineLink::pause(int limit) {
    const auto until = Clock::now() + milliseconds(limit);
    std::uint32_t before = 0;
    {
        const std::lock_guard<std::mutex> lock(mutex);
        before = version;
    }
    for (auto now = Clock::now(); now < until; now = Clock::now()) {
        discardUp();
        freeRetired();
        const auto left = std::chrono::duration_cast<milliseconds>(until - now).count() + 1;
        shared.link.sleep(static_cast<int>(std::min<long long>(left, 20)));
        const std::lock_guard<std::mutex> lock(mutex);
        if (quit || startAsked || version != before)
            return;
    }
}

void EngineLink::discardUp() {
    Piece head;
    while (shared.up.read(head))
        shared.upAudio.read(nullptr, std::size_t{head.frames} * head.lines);
}

void EngineLink::serve(Connection& connection) {
    Stream stream;
    stream.piece.resize(std::size_t{Exchange::pieceFrames} * protocol::maxNames * 2);
    std::uint64_t blocks = 0;
    auto active = Clock::now();
    try {
        for (;;) {
            bool reopen = false, silence = false;
            {
                const std::lock_guard<std::mutex> lock(mutex);
                if (quit)
                    return;
                startAsked = false;
                reopen = version != 0 && version != stream.version;
                if (reopen) {
                    stream.settings = wanted;
                    stream.version = version;
                }
                silence = wanted.silence;
            }
            if (reopen)
                open(connection, stream);
            const bool busy = stream.given < stream.coming.frames;
            const auto now = Clock::now();
            if (const auto count = shared.blocks.load(); count != blocks) {
                blocks = count;
                active = now;
            }
            const bool playing = now - active < seconds(1);
            connection.pump(busy ? 1 : playing ? 1 : 20, !busy);
            while (moveDown(stream)) {
                auto message = connection.next();
                if (!message)
                    break;
                handle(connection, stream, *message);
            }
            if (stream.plan != 0 && silence != stream.settings.silence) {
                stream.settings.silence = silence;
                protocol::Parameter fallback;
                fallback.name = "fallback";
                fallback.value = silence ? 1.0 : 0.0;
                connection.ask(fallback);
            }
            moveUp(connection, stream);
            freeRetired();
            if (stream.plan != 0 && now - stream.asked > statsEvery) {
                stream.asked = now;
                stream.statsRequest = connection.ask(protocol::Stats{});
            }
        }
    } catch (...) {
        if (stream.plan != 0)
            hopeUntil = Clock::now() + comeBackWithin;
        {
            const std::lock_guard<std::mutex> lock(mutex);
            readyVersion = 0;
        }
        throw;
    }
}

void EngineLink::open(Connection& connection, Stream& stream) {
    const auto& settings = stream.settings;
    protocol::Open asked;
    asked.mode = settings.offline ? protocol::Open::offline : protocol::Open::live;
    asked.fallback = settings.silence ? protocol::Open::silence : protocol::Open::dry;
    asked.channels = static_cast<std::uint16_t>(settings.channels);
    const auto notice = std::ceil(noticeSeconds * settings.rate);
    asked.maxBlock = static_cast<std::uint32_t>(
        std::clamp(settings.block + notice, 1.0, double{protocol::maxBlock}));
    asked.sampleRate = settings.rate;
    asked.preset = settings.offline ? settings.preset : "";
    if (settings.offline && !settings.waits)
        asked.batch = 1; // what is played now should not wait for more to compute
    asked.model = settings.model;
    if (asked.model.empty())
        asked.model = defaultModel(connection.engine().models, !settings.offline);
    asked.epoch = ++stream.epoch;
    stream.plan = 0;
    stream.coming = {};
    stream.given = 0;
    stream.openRequest = connection.ask(asked);
    shared.hopeful.store(true);
    {
        const std::lock_guard<std::mutex> lock(mutex);
        shown.model = asked.model;
        shown.rate = settings.rate;
        shown.realTimeRatio = 0.0;
        shown.replaced = shown.dropped = 0;
    }
    tell(LinkState::opening, "the engine is loading " + asked.model);
}

void EngineLink::handle(Connection&, Stream& stream, protocol::Message& message) {
    if (auto* stems = std::get_if<protocol::Stems>(&message)) {
        if (stream.plan != 0 && stems->epoch == stream.epoch) {
            stream.coming = std::move(*stems);
            stream.given = 0;
        }
    } else if (const auto* open = std::get_if<protocol::Opened>(&message)) {
        if (open->request == stream.openRequest)
            opened(stream, *open);
    } else if (const auto* error = std::get_if<protocol::Error>(&message)) {
        if (stream.plan == 0 && error->request == stream.openRequest) {
            {
                const std::lock_guard<std::mutex> lock(mutex);
                readyVersion = stream.version;
            }
            shared.hopeful.store(false);
            tell(LinkState::refused, error->message);
            return;
        }
        if (error->epoch != 0 && error->epoch != stream.epoch)
            return;
        // Live goes on; offline has stopped until the next reset.
        stream.failed = stream.settings.offline;
        if (stream.failed)
            shared.hopeful.store(false);
        {
            const std::lock_guard<std::mutex> lock(mutex);
            ++shown.errors;
        }
        tell(stream.failed ? LinkState::refused : LinkState::ready, error->message);
    } else if (const auto* stats = std::get_if<protocol::Statistics>(&message)) {
        const std::lock_guard<std::mutex> lock(mutex);
        shown.realTimeRatio = stats->realTimeRatio;
        shown.replaced = stats->replaced;
        shown.dropped = stats->dropped;
    }
}

void EngineLink::opened(Stream& stream, const protocol::Opened& message) {
    // Offline, the engine has no time for its work in its latency. Where nobody waits for it, and
    // so that playing and rendering have the same delay, it gets half of the model's own here.
    const auto& settings = stream.settings;
    const auto extra = settings.offline
                           ? std::max<std::int64_t>(settings.block, message.modelLatency / 2)
                           : std::int64_t{0};
    const auto latency = static_cast<int>(std::min<std::int64_t>(message.latency + extra, 1 << 26));
    {
        const std::lock_guard<std::mutex> lock(mutex);
        known[settings.latencyKey()] = latency;
        if (stream.version != version)
            return; // something else is wanted by now
        if (latency != newestLatency.load() || message.stems != planStems ||
            planSettings.channels != settings.channels || planSettings.block != settings.block)
            publish(latency, settings, message.stems);
        shown.stems = message.stems;
        shown.modelLatency = static_cast<int>(message.modelLatency);
        shown.resamplingLatency = static_cast<int>(message.resamplingLatency);
        shown.bufferingLatency = static_cast<int>(message.bufferingLatency + extra);
        readyVersion = version;
        stream.plan = plans;
    }
    stream.fresh = true;
    stream.failed = false;
    stream.expected = 0;
    shared.hopeful.store(true);
    shared.generation.fetch_add(1);
    tell(LinkState::ready, "");
}

void EngineLink::moveUp(Connection& connection, Stream& stream) {
    Piece head;
    const bool patient = stream.settings.waits || stream.settings.offline;
    while (!(patient && connection.unsent() >= mostUnsent) && shared.up.read(head)) {
        const auto samples = std::size_t{head.frames} * head.lines;
        const bool ours = stream.plan != 0 && head.plan == stream.plan &&
                          head.lines == static_cast<std::uint32_t>(stream.settings.channels) &&
                          samples <= stream.piece.size();
        shared.upAudio.read(ours ? stream.piece.data() : nullptr, samples);
        if (!ours)
            continue;
        if (connection.unsent() >= mostUnsent) {
            const std::lock_guard<std::mutex> lock(mutex);
            shown.unsent += head.frames;
            continue;
        }
        const bool another = stream.fresh ? head.position != 0 : head.life != stream.life;
        const bool moved = stream.settings.offline ? head.position != stream.expected
                                                   : head.position < stream.expected;
        if (stream.failed && !another)
            continue;
        if (another || moved) {
            protocol::Reset reset;
            reset.epoch = ++stream.epoch;
            reset.position = static_cast<std::uint64_t>(head.position);
            connection.ask(reset);
            stream.coming = {};
            stream.given = 0;
            if (stream.failed) {
                stream.failed = false;
                shared.hopeful.store(true);
                tell(LinkState::ready, "");
            }
        }
        stream.fresh = false;
        stream.life = head.life;
        stream.expected = head.position + head.frames;
        const float* lines[protocol::maxChannels];
        for (std::uint32_t channel = 0; channel < head.lines; ++channel)
            lines[channel] = stream.piece.data() + std::size_t{channel} * head.frames;
        connection.sendAudio(lines, static_cast<std::uint16_t>(head.lines), head.frames,
                             static_cast<std::uint64_t>(head.position), stream.epoch);
    }
    connection.flush();
}

// Whether all of the stems that came are in the queue, and more may come.
bool EngineLink::moveDown(Stream& stream) {
    auto& stems = stream.coming;
    const auto lines = std::uint32_t{stems.streams} * stems.channels;
    while (stream.given < stems.frames) {
        const auto frames =
            std::min<std::uint32_t>(Exchange::pieceFrames, stems.frames - stream.given);
        const auto samples = std::size_t{frames} * lines;
        if (samples > shared.downAudio.capacity()) {
            stream.given = stems.frames;
            break;
        }
        if (shared.down.room() == 0 || shared.downAudio.room() < samples)
            return false;
        for (std::uint32_t line = 0; line < lines; ++line)
            shared.downAudio.stage(stems.samples.data() + std::size_t{line} * stems.frames +
                                       stream.given,
                                   frames, std::size_t{line} * frames);
        shared.downAudio.commit(samples);
        shared.down.write({stream.plan, stream.life,
                           static_cast<std::int64_t>(stems.position) + stream.given, frames,
                           lines});
        stream.given += frames;
        shared.tellRenderer();
    }
    return true;
}

} // namespace lars
