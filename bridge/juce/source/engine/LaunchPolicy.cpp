// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/LaunchPolicy.h"

#include "engine/Address.h"

namespace lars {
namespace {

using std::chrono::seconds;

// An engine that was killed in mid-render has so long to come back; one that was started, so long
// to load.
constexpr auto comeBackWithin = seconds(60);
constexpr auto startWithin = seconds(60);
constexpr auto startAgainAfter = seconds(30);

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
    const Guard lock(mutex);
    wanted = false;
}

void LaunchPolicy::lost(Time now) {
    hopeUntil = now + comeBackWithin;
}

LaunchPolicy::Decision LaunchPolicy::decide(bool streamIsOrdered, const std::string& problem,
                                            Time now) {
    std::string line;
    {
        const Guard lock(mutex);
        const bool recently = startedAt && now - *startedAt < startAgainAfter;
        if (wanted || (automatic && streamIsOrdered && !recently))
            line = command;
        wanted = false;
    }
    if (!line.empty()) {
        startedAt = now;
        if (process == Process::starting)
            process = Process::none;
        try {
            launcher.start(line);
        } catch (const EngineError& error) {
            return {false, error.what()};
        }
        process = Process::starting;
        hopeUntil = now + startWithin;
    }
    if (process == Process::starting && launcher.hasEnded()) {
        process = Process::ended;
        hopeUntil = now;
    }
    if (process == Process::starting && now - *startedAt < startWithin)
        return {true, "the engine is being started"};
    if (process == Process::ended)
        return {false, "the engine that was started has ended; see " + Launcher::logFile()};
    return {false, problem};
}

} // namespace lars
