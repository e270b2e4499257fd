// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/Address.h"

#include <juce_core/juce_core.h>

#if !JUCE_WINDOWS
#include <sys/stat.h>
#include <unistd.h>
#endif

namespace lars {
namespace {

constexpr juce::int64 mostBytes = 1 << 14; // that are believed to be a runtime file

juce::File runtimeFile() {
    return juce::File(juce::String::fromUTF8(runtimeFolder().c_str())).getChildFile("engine.json");
}

std::string readToken(const juce::String& path) {
    const juce::File file(path);
#if !JUCE_WINDOWS
    struct stat info {};
    if (::lstat(file.getFullPathName().toRawUTF8(), &info) != 0 || !S_ISREG(info.st_mode) ||
        info.st_uid != ::geteuid() || (info.st_mode & 0077) != 0)
        throw EngineError(14, "the token file " + path.toStdString() +
                                  " is missing or open to other users; restart lars serve");
#endif
    const auto token = file.loadFileAsString().trim();
    if (token.length() != 64)
        throw EngineError(14, path.toStdString() + " does not hold a token; restart lars serve");
    return token.toStdString();
}

} // namespace

std::string runtimeFolder() {
    const auto variable = [](const char* name) {
        return juce::SystemStats::getEnvironmentVariable(name, {});
    };
    if (const auto chosen = variable("LARS_RUNTIME_DIR"); chosen.isNotEmpty())
        return chosen.toStdString();
    if (const auto own = variable("XDG_RUNTIME_DIR"); own.isNotEmpty())
        return (own + "/lars").toStdString();
#if JUCE_WINDOWS
    return (variable("LOCALAPPDATA") + "\\Temp\\lars").toStdString();
#elif JUCE_MAC
    return (variable("HOME") + "/Library/Caches/TemporaryItems/lars").toStdString();
#else
    const auto id = juce::String(static_cast<juce::int64>(::getuid()));
    const auto own = "/run/user/" + id;
    return ((juce::File(own).isDirectory() ? own : "/tmp/runtime-" + id) + "/lars").toStdString();
#endif
}

bool runtimeFileExists() {
    return runtimeFile().existsAsFile();
}

Address findEngine() {
    const auto file = runtimeFile();
    if (!file.existsAsFile())
        throw EngineError(connectionLost, "no engine is running; start one with: lars serve");
    const auto path = file.getFullPathName().toStdString();
    juce::var values;
    if (file.getSize() > mostBytes || juce::JSON::parse(file.loadFileAsString(), values).failed() ||
        !values.isObject())
        throw EngineError(12, path + " is damaged; delete it and restart lars serve");
    Address found;
#if !JUCE_WINDOWS
    found.socket = values["socket"].toString().toStdString();
#endif
    if (!found.socket.empty())
        return found;
    found.host = values["host"].toString().toStdString();
    found.port = static_cast<int>(values["port"]);
    if (found.host.empty() || found.port <= 0 || found.port > 65535)
        throw EngineError(12, path + " names no address; restart lars serve");
    found.token = readToken(values["token_file"].toString());
    return found;
}

} // namespace lars
