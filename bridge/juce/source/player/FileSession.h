// SPDX-License-Identifier: GPL-3.0-or-later
// The file that the window works on: loaded, separated, its stems saved. It goes on when the window
// is closed. Message thread only.
#pragma once

#include "engine/FileJob.h"
#include "player/FilePlayer.h"

namespace lars {

class FileSession : private juce::Timer {
public:
    FileSession(FilePlayer& player, FileJob& job);
    ~FileSession() override;

    juce::Result load(const juce::File& file);
    const juce::File& file() const { return source; }
    const std::vector<StemFile>& stems() const { return made; }
    // Of the stems; empty for the default.
    const juce::String& stemsModel() const { return madeBy; }

    // Separates the file in the engine; the stems come when it is done, unless it fails.
    void separate(const juce::String& model, const juce::String& preset);
    void cancel() { job.cancel(); }
    bool isSeparating() const { return separating; }
    double progress() const { return separating ? job.status().progress : 0.0; }

    // Writes stems, by their places in `stems()`, into a folder, as <file>_<stem>.wav, in the
    // background. Each file appears complete or not at all; one that is there stays, and the new
    // one gets a number.
    void save(const std::vector<std::size_t>& which, const juce::File& folder);
    bool isSaving() const { return saving.load(); }

    // The same at once, for dragging: into a folder that stays, as hosts may go on using the files.
    // A copy from an earlier drag is used again. Empty where that failed; `message` says why.
    juce::StringArray copiesForDragging(const std::vector<std::size_t>& which);
    static juce::File dragFolder();

    // How the last thing ended, in one line; `failed` when it did not work.
    const juce::String& message() const { return text; }
    bool failed() const { return bad; }
    // Another number after every change of file, stems or message.
    int version() const { return changes; }

private:
    void timerCallback() override;
    void tell(const juce::String& line, bool isBad);
    void finish(const FileJobStatus& status);
    void dropStems();
    juce::String nameOf(const StemFile& stem) const;
    static juce::Result copy(const juce::File& from, const juce::File& to);

    FilePlayer& player;
    FileJob& job;
    juce::File source;
    juce::File folder, jobFolder; // of the stems, and of those to come; they go when the stems do
    std::vector<StemFile> made;
    juce::String madeBy, askedModel, text;
    bool separating = false, bad = false;
    int changes = 0;

    std::thread saver;
    std::atomic<bool> saving{false}, stopSaving{false};
    std::mutex mutex; // of what the saver says at its end
    juce::String saved;
    bool saveFailed = false, saveTold = true;
};

} // namespace lars
