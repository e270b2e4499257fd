// SPDX-License-Identifier: GPL-3.0-or-later
// Starts `lars serve`, or whatever command the user has set, as a process of its own that outlives
// the host's tracks.
#pragma once

#include <string>

namespace lars {

class Launcher {
public:
    // Throws EngineError where the command cannot be run, or the runtime folder is not this user's
    // alone. Its output goes into engine.log in that folder.
    void start(const std::string& command);

    // Whether the process that was started has ended, which a running engine does not.
    bool hasEnded();

    // Why: the last line of its output.
    static std::string lastWords();

    // Where to read more.
    static std::string logFile();

private:
    long process = 0;
};

} // namespace lars
