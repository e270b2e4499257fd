// SPDX-License-Identifier: GPL-3.0-or-later
#include "processor/UserSettings.h"

#include "engine/Private.h"

namespace lars {
namespace {

constexpr auto commandKey = "engineCommand";
constexpr auto automaticKey = "startEngine";
constexpr auto advancedKey = "showAdvanced";

juce::PropertiesFile::Options options() {
    juce::PropertiesFile::Options result;
    result.millisecondsBeforeSaving = -1; // only when it is told to
    return result;
}

} // namespace

juce::File UserSettings::file() {
    auto folder = juce::File::getSpecialLocation(juce::File::userApplicationDataDirectory);
#if JUCE_MAC
    folder = folder.getChildFile("Application Support");
#elif !JUCE_WINDOWS
    const auto own = juce::SystemStats::getEnvironmentVariable("XDG_CONFIG_HOME", {});
    if (juce::File::isAbsolutePath(own))
        folder = juce::File(own);
#endif
    return folder.getChildFile("LARS").getChildFile("plugin.settings");
}

UserSettings::UserSettings() {
    read();
}

UserSettings::Values UserSettings::get() const {
    const std::lock_guard<std::mutex> lock(mutex);
    return values;
}

// With the mutex held, or alone.
void UserSettings::read() {
    const auto where = file();
    readAt = where.getLastModificationTime();
    values = {};
    if (!where.exists())
        return;
    // A file that others can write is as little the user's as a session is; and it may have said no.
    values.automatic = false;
    if (!isOwnFile(where.getFullPathName().toStdString()))
        return;
    const juce::PropertiesFile kept(where, options());
    const auto command = kept.getValue(commandKey).trim();
    if (command.isNotEmpty())
        values.command = command;
    values.automatic = kept.getBoolValue(automaticKey, true);
    values.advanced = kept.getBoolValue(advancedKey, false);
}

void UserSettings::refresh() {
    const std::lock_guard<std::mutex> lock(mutex);
    if (file().getLastModificationTime() != readAt)
        read();
}

juce::Result UserSettings::set(const Values& wanted) {
    const std::lock_guard<std::mutex> lock(mutex);
    if (wanted == values)
        return juce::Result::ok();
    values = wanted;
    const auto where = file();
    juce::PropertiesFile kept(where, options());
    kept.setValue(commandKey, values.command);
    kept.setValue(automaticKey, values.automatic);
    kept.setValue(advancedKey, values.advanced);
    const bool written = where.getParentDirectory().createDirectory().wasOk() && kept.save();
    readAt = where.getLastModificationTime();
    if (!written)
        return juce::Result::fail("cannot write " + where.getFullPathName() +
                                  ": the engine's command is kept until the host ends");
    return juce::Result::ok();
}

} // namespace lars
