// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/LaunchPolicy.h"

#include <algorithm>
#include <atomic>

#include "engine/Address.h"

namespace lars {
namespace {

using std::chrono::seconds;

// An engine that was killed in mid-render has so long to come back; one that was started, so long
// to load.
constexpr auto comeBackWithin = seconds(60);
constexpr auto startWithin = seconds(60);
constexpr auto startAgainAfter = seconds(30);
constexpr int mostDoublings = 5; // to a quarter of an hour

// When an instance in this process last started an engine by itself that has not failed: a session
// has many, and one engine is enough for all of them.
std::atomic<LaunchPolicy::Time::rep> startedByAny{0};

using Guard = std::lock_guard<std::mutex>;

} // namespace

bool LaunchPolicy::set(const std::string& line, bool byItself, bool atOnce) {
    const Guard lock(mutex);
    if ((line.empty() || line == command) && byItself == automatic)
        return false;
    if (!line.empty())
        command = line;
    wanted = wanted || (atOnce && byItself && !automatic);
    automatic = byItself;
    return true;
}

void LaunchPolicy::ask() {
    const Guard lock(mutex);
    wanted = true;
}

bool LaunchPolicy::requested() const {
    const Guard lock(mutex);
    return wanted;
}

void LaunchPolicy::found() {
    failure.clear();
    failures = 0;
    if (process == Process::ended)
        process = Process::none;
    const Guard lock(mutex);
    wanted = false;
}

void LaunchPolicy::lost(Time now) {
    hopeUntil = now + comeBackWithin;
}

LaunchPolicy::Decision LaunchPolicy::decide(bool streamIsOrdered, const std::string& problem,
                                            Time now) {
    std::string line;
    bool byAnother = false;
    {
        const Guard lock(mutex);
        const auto pause = startAgainAfter * (1 << std::min(failures, mostDoublings));
        const bool recently = startedAt && now - *startedAt < pause;
        if (wanted)
            line = command;
        else if (automatic && streamIsOrdered && !recently) {
            const Time other{Time::duration(startedByAny.load())};
            byAnother = startedAt != other && now >= other && now - other < startAgainAfter;
            if (!byAnother)
                line = command;
        }
        wanted = false;
    }
    if (byAnother) {
        hopeUntil = std::max(hopeUntil, now + seconds(5));
        return {true, "the engine is being started"};
    }
    if (!line.empty())
        start(line, now);
    if (process == Process::starting && launcher.hasEnded()) {
        process = Process::ended;
        hopeUntil = now;
        startedByAny.store(0);
        ++failures;
        failure = "the engine that was started has ended: " + Launcher::lastWords() + "; see " +
                  Launcher::logFile();
    }
    if (process == Process::starting && now - *startedAt < startWithin)
        return {true, "the engine is being started"};
    return {false, failure.empty() ? problem : failure};
}

void LaunchPolicy::start(const std::string& line, Time now) {
    startedAt = now;
    startedByAny.store(now.time_since_epoch().count());
    process = Process::none;
    failure.clear();
    try {
        launcher.start(line);
    } catch (const EngineError& error) {
        startedByAny.store(0);
        ++failures;
        failure = error.what();
        return;
    }
    process = Process::starting;
    hopeUntil = now + startWithin;
}

} // namespace lars
