// SPDX-License-Identifier: GPL-3.0-or-later
// Writes stems into a folder of the user's, in the background.
#pragma once

#include <atomic>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include <juce_audio_formats/juce_audio_formats.h>

namespace lars {

enum class SaveFormat { wavFloat, wav24, wav16, flac24, flac16 };
inline constexpr std::array<const char*, 5> saveFormatNames{
    "WAV, 32-bit float", "WAV, 24 bits", "WAV, 16 bits", "FLAC, 24 bits", "FLAC, 16 bits"};
juce::String endingOf(SaveFormat format);

class StemSaver {
public:
    ~StemSaver();

    // Files to read, and their names without ending; not while it saves.
    void start(std::vector<std::pair<juce::File, juce::String>> work, const juce::File& folder,
               SaveFormat format);
    bool isSaving() const { return saving.load(); }
    // How it ended, once.
    std::optional<std::pair<juce::String, bool>> takeResult();

    // One file, complete or not at all.
    static juce::Result write(const juce::File& from, const juce::File& to, SaveFormat format);

private:
    std::thread thread;
    std::atomic<bool> saving{false}, stop{false};
    std::mutex mutex; // of the result
    std::optional<std::pair<juce::String, bool>> result; // a line, and whether it failed
};

} // namespace lars
