// SPDX-License-Identifier: GPL-3.0-or-later
// Where the engine is: what its runtime file says (PROTOCOL.md, "Finding the engine").
#pragma once

#include <stdexcept>
#include <string>

namespace lars {

// What went wrong with the engine, in one line that says what to do.
struct EngineError : std::runtime_error {
    EngineError(int code_, const std::string& message) : std::runtime_error(message), code(code_) {}
    int code; // PROTOCOL.md's, or 16 where the engine is not there
};

constexpr int connectionLost = 16;

struct Address {
    std::string socket; // path of the Unix socket; empty: TCP
    std::string host;
    int port = 0;
    std::string token; // for TCP
};

// The folder of the runtime file; it need not exist, nor be this user's.
std::string runtimeFolder();

// Whether a runtime file is there; an engine may or may not answer.
bool runtimeFileExists();

// Throws EngineError where there is no engine, its runtime file is damaged, or the folder or the
// files in it are not this user's alone.
Address findEngine();

} // namespace lars
