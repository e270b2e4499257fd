// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/Address.h"

#include <juce_core/juce_core.h>

#include "engine/Private.h"

#if !JUCE_WINDOWS
#include <unistd.h>
#endif

namespace lars {
namespace {

constexpr std::size_t mostBytes = 1 << 14; // that are believed to be a runtime file
constexpr auto runtimeFile = "engine.json";

std::string readToken(const std::string& path) {
    const auto text = readPrivate(path, 256);
    if (!text)
        throw EngineError(authRefused,
                          "the token file " + path + " is missing; restart lars serve");
    const auto token = juce::String(*text).trim();
    if (token.length() != 64)
        throw EngineError(authRefused, path + " does not hold a token; restart lars serve");
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
    const auto id = std::to_string(::geteuid());
    const auto own = "/run/user/" + id;
    return isOwnFolder(own) ? own + "/lars" : "/tmp/lars-" + id;
#endif
}

bool runtimeFileExists() {
    return juce::File(juce::String::fromUTF8(runtimeFolder().c_str()))
        .getChildFile(runtimeFile)
        .existsAsFile();
}

Address findEngine() {
    const auto path = runtimeFolder() + "/" + runtimeFile;
    const auto folder = PrivateFolder::find(runtimeFolder());
    if (!folder || !runtimeFileExists())
        throw EngineError(connectionLost, "no engine is running; start one with: lars serve");
    const auto text = folder->read(runtimeFile, mostBytes);
    juce::var values;
    if (!text ||
        juce::JSON::parse(juce::String::fromUTF8(text->data(), static_cast<int>(text->size())),
                          values)
            .failed() ||
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
    found.token = readToken(values["token_file"].toString().toStdString());
    return found;
}

} // namespace lars
