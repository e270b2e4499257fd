// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/Launcher.h"

#include <juce_core/juce_core.h>

#include "engine/Address.h"
#include "engine/Installed.h"
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
constexpr std::size_t mostLog = 1 << 22;
constexpr std::size_t mostReason = 300;
} // namespace

std::string Launcher::logFile() {
    return runtimeFolder() + "/" + logName;
}

// The last line that says something.
std::string Launcher::lastWords() {
    std::string text;
    try {
        if (const auto folder = PrivateFolder::find(runtimeFolder()))
            text = folder->read(logName, mostLog).value_or("");
    } catch (const EngineError& error) {
        return error.what();
    }
    const auto end = text.find_last_not_of(" \r\n\t");
    if (end == std::string::npos)
        return "it said nothing";
    const auto line = text.find_last_of('\n', end);
    const auto begin = line == std::string::npos ? 0 : line + 1;
    auto last = text.substr(begin, std::min(end + 1 - begin, mostReason));
    while (!last.empty() && !juce::CharPointer_UTF8::isValidString(last.data(),
                                                                   static_cast<int>(last.size())))
        last.pop_back();
    return last;
}

#if JUCE_WINDOWS

void Launcher::start(const std::string& command) {
    juce::ChildProcess child;
    juce::StringArray words;
    for (const auto& word : engineWords(command))
        words.add(juce::String::fromUTF8(word.c_str()));
    if (!child.start(words, 0))
        throw EngineError(connectionLost, "cannot run: " + command);
    process = 1;
}

bool Launcher::hasEnded() {
    return false;
}

#else

namespace {
std::string joined(const std::vector<std::string>& words) {
    std::string line;
    for (const auto& word : words)
        line += (line.empty() ? "" : " ") + word;
    return line;
}
} // namespace

void Launcher::start(const std::string& command) {
    auto parts = engineWords(command);
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
        throw EngineError(connectionLost, "cannot run \"" + joined(parts) + "\" (" +
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
