// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/Installed.h"

#include <juce_core/juce_core.h>

#include "engine/Address.h"
#include "engine/Private.h"

namespace lars {
namespace {

#if JUCE_WINDOWS
constexpr auto program = "lars.exe";
#else
constexpr auto program = "lars";
#endif
constexpr int mostWords = 16;

juce::File fileAt(const std::string& path) {
    return juce::File(juce::String::fromUTF8(path.c_str()));
}

bool canRun(const juce::File& file) {
#if JUCE_WINDOWS
    return file.existsAsFile();
#else
    return file.existsAsFile() && ::access(file.getFullPathName().toRawUTF8(), X_OK) == 0;
#endif
}

juce::String variable(const char* name) {
    return juce::SystemStats::getEnvironmentVariable(name, {});
}

// A file that others can write is not the user's word.
std::optional<std::vector<std::string>> recorded() {
    const auto path = installedFile();
    if (!isOwnFile(path))
        return std::nullopt;
    const auto list = juce::JSON::parse(fileAt(path)).getProperty("command", {});
    std::vector<std::string> words;
    for (int i = 0; i < juce::jmin(list.size(), mostWords); ++i)
        words.push_back(list[i].toString().toStdString());
    if (words.empty() || !juce::File::isAbsolutePath(words.front()) || !canRun(fileAt(words[0])))
        return std::nullopt;
    return words;
}

std::vector<juce::File> places() {
    std::vector<juce::File> result;
    juce::StringArray path;
#if JUCE_WINDOWS
    path.addTokens(variable("PATH"), ";", "\"");
#else
    path.addTokens(variable("PATH"), ":", "");
#endif
    for (const auto& folder : path)
        if (juce::File::isAbsolutePath(folder))
            result.push_back(juce::File(folder).getChildFile(program));
    const auto home = juce::File::getSpecialLocation(juce::File::userHomeDirectory);
    for (const auto* folder : {".local/bin", "bin", ".local/share/pipx/venvs/lars-plugin/bin",
                               ".local/share/uv/tools/lars-plugin/bin", "miniforge3/bin",
                               "miniconda3/bin", "anaconda3/bin"})
        result.push_back(home.getChildFile(folder).getChildFile(program));
#if !JUCE_WINDOWS
    for (const auto* folder : {"/usr/local/bin", "/opt/homebrew/bin", "/opt/local/bin", "/usr/bin"})
        result.push_back(juce::File(folder).getChildFile(program));
#endif
    return result;
}

} // namespace

std::string installedFile() {
#if JUCE_WINDOWS
    auto folder = juce::File::getSpecialLocation(juce::File::windowsLocalAppData);
#elif JUCE_MAC
    auto folder = juce::File::getSpecialLocation(juce::File::userApplicationDataDirectory)
                      .getChildFile("Application Support");
#else
    auto folder = juce::File::getSpecialLocation(juce::File::userHomeDirectory)
                      .getChildFile(".local/share");
    const auto own = variable("XDG_DATA_HOME");
    if (juce::File::isAbsolutePath(own))
        folder = juce::File(own);
#endif
    return folder.getChildFile("lars").getChildFile("installed.json").getFullPathName()
        .toStdString();
}

std::vector<std::string> wordsOf(const std::string& command) {
    juce::StringArray words;
    words.addTokens(juce::String::fromUTF8(command.c_str()), " ", "\"'");
    words.removeEmptyStrings();
    std::vector<std::string> result;
    for (const auto& word : words)
        result.push_back(word.unquoted().toStdString());
    return result;
}

std::optional<std::vector<std::string>> findLars() {
    if (auto words = recorded())
        return words;
    for (const auto& place : places())
        if (canRun(place))
            return std::vector<std::string>{place.getFullPathName().toStdString()};
    return std::nullopt;
}

std::vector<std::string> engineWords(const std::string& command) {
    auto words = wordsOf(command);
    if (words.empty())
        throw EngineError(connectionLost, std::string("the engine's command is empty; set it to: ") +
                                              defaultCommand);
    if (words.front() != "lars")
        return words;
    auto found = findLars();
    if (!found)
        throw EngineError(connectionLost,
                          "lars is not installed, or not where the plugin looks (" +
                              installedFile() + ", the PATH, ~/.local/bin, /usr/local/bin); run "
                              "\"lars serve\" once in a terminal, or give its full path as the "
                              "engine's command");
    found->insert(found->end(), words.begin() + 1, words.end());
    return *found;
}

} // namespace lars
