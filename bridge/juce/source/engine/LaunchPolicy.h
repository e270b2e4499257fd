// SPDX-License-Identifier: GPL-3.0-or-later
// When an engine is started, and how long it is worth waiting for one.
//
// Owns the launcher, the user's command and the wish to start. The wish may come from any thread
// but the audio thread; the decisions are the engine's thread's, which says what time it is.
#pragma once

#include <chrono>
#include <mutex>
#include <optional>
#include <string>

#include "engine/Installed.h"
#include "engine/Launcher.h"

namespace lars {

class LaunchPolicy {
public:
    using Time = std::chrono::steady_clock::time_point;

    // Any thread but the audio thread.

    // The command that starts an engine, and whether to do so without being asked. An empty command
    // leaves it as it is. Where it is to start by itself from now on and `atOnce` says so, that is
    // the first wish: both are set together, so that no decision falls between. Whether anything
    // has changed.
    bool set(const std::string& line, bool byItself, bool atOnce = false);
    // Starts an engine at the next decision, whatever has been tried before.
    void ask();
    bool requested() const;

    // The engine's thread.

    struct Decision {
        bool starting = false; // an engine is on its way
        std::string problem;   // what to show
    };
    // No engine was found, and `problem` says why. Starts one if that is wanted: if somebody asked,
    // or by itself if there is a stream to open and none was started in the last 30 s.
    Decision decide(bool streamIsOrdered, const std::string& problem, Time now);
    // An engine is there: nobody needs another, and what went wrong is over.
    void found();
    // An engine that had a stream open is gone: it may come back.
    void lost(Time now);
    // Whether an engine may be there in a moment.
    bool isHopeful(Time now) const { return now < hopeUntil; }

private:
    void start(const std::string& line, Time now);

    enum class Process { none, starting, ended };

    mutable std::mutex mutex; // of the next two lines
    std::string command = defaultCommand;
    bool automatic = false, wanted = false;

    Launcher launcher;
    Process process = Process::none;
    std::string failure; // why there is none, of the last start
    int failures = 0;    // since an engine was there
    std::optional<Time> startedAt;
    Time hopeUntil{};
};

} // namespace lars
