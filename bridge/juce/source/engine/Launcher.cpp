// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/Launcher.h"

#include <juce_core/juce_core.h>

#include "engine/Address.h"
#include "engine/Private.h"

#if !JUCE_WINDOWS
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>
#endif

namespace lars {
namespace {
constexpr auto logName = "engine.log";
}

std::string Launcher::logFile() {
    return runtimeFolder() + "/" + logName;
}

#if JUCE_WINDOWS

void Launcher::start(const std::string& command) {
    juce::ChildProcess child;
    if (!child.start(juce::String::fromUTF8(command.c_str()), 0))
        throw EngineError(connectionLost, "cannot run: " + command);
    process = 1;
}

bool Launcher::hasEnded() {
    return false;
}

#else

void Launcher::start(const std::string& command) {
    juce::StringArray words;
    words.addTokens(juce::String::fromUTF8(command.c_str()), " ", "\"'");
    words.removeEmptyStrings();
    std::vector<std::string> parts;
    for (const auto& word : words)
        parts.push_back(word.unquoted().toStdString());
    if (parts.empty())
        throw EngineError(connectionLost, "the engine's command is empty; set it to: lars serve");
    std::vector<char*> arguments;
    for (auto& part : parts)
        arguments.push_back(part.data());
    arguments.push_back(nullptr);

    // Hosts bring libraries of their own, which an engine must not be made to load.
    std::vector<std::string> kept;
    for (char** entry = environ; *entry != nullptr; ++entry) {
        const std::string variable(*entry);
        if (variable.rfind("LD_LIBRARY_PATH=", 0) != 0 && variable.rfind("LD_PRELOAD=", 0) != 0)
            kept.push_back(variable);
    }
    std::vector<char*> environment;
    for (auto& variable : kept)
        environment.push_back(variable.data());
    environment.push_back(nullptr);

    const int log = PrivateFolder::make(runtimeFolder()).write(logName);
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, log, 1);
    posix_spawn_file_actions_adddup2(&files, log, 2);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    short flags = POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK;
#if defined(POSIX_SPAWN_SETSID)
    flags |= POSIX_SPAWN_SETSID;
#endif
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setflags(&attributes, flags);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    pid_t child = 0;
    const int failed = posix_spawnp(&child, arguments[0], &files, &attributes, arguments.data(),
                                    environment.data());
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    ::close(log);
    if (failed != 0)
        throw EngineError(connectionLost, "cannot run \"" + command + "\" (" +
                                              std::string(std::strerror(failed)) +
                                              "); set the engine's command");
    process = child;
}

bool Launcher::hasEnded() {
    if (process == 0)
        return false;
    int status = 0;
    if (::waitpid(static_cast<pid_t>(process), &status, WNOHANG) == 0)
        return false;
    process = 0;
    return true;
}

#endif

} // namespace lars
