// SPDX-License-Identifier: GPL-3.0-or-later
// The files that the window works on: loaded, separated, their stems saved. It goes on when the
// window is closed. Message thread only.
#pragma once

#include "engine/FileJob.h"
#include "player/FilePlayer.h"
#include "player/Loudness.h"
#include "player/Remaining.h"
#include "player/StemSaver.h"

namespace lars {

// A file of the list, and what was made of it.
struct SessionFile {
    juce::File source;
    juce::File playable;        // the source, or what the engine made of it; none before that
    juce::File scratch, folder; // of `playable` and of the stems; they go with the file
    std::vector<StemFile> stems;
    juce::String madeBy; // model of the stems; empty for the default
};

class FileSession : private juce::Timer {
public:
    FileSession(FilePlayer& player, FileJob& separation, FileJob& conversion);
    ~FileSession() override;

    // Puts files at the end of the list and selects the first of them. One that is in the list
    // already is only selected.
    void add(const juce::Array<juce::File>& files);
    juce::Result load(const juce::File& file);
    void select(std::size_t place);
    // Takes the selected file, and what was made of it, off the list.
    void remove();

    const std::vector<SessionFile>& files() const { return list; }
    int selected() const { return current; } // -1: none
    // The selected file; empty where there is none.
    const SessionFile& now() const {
        static const SessionFile none;
        return current < 0 ? none : list[static_cast<std::size_t>(current)];
    }
    const juce::File& file() const { return now().source; }
    const std::vector<StemFile>& stems() const { return now().stems; }
    // Whether the selected file can be played: one that only the engine reads takes a moment.
    bool isPlayable() const { return now().playable != juce::File(); }
    bool isReading() const { return reading >= 0; }

    // Separates the selected file in the engine, or all that have no stems yet, one after the
    // other; the stems come when a file is done, unless it fails.
    void separate(const juce::String& model, const juce::String& preset);
    void separateAll(const juce::String& model, const juce::String& preset);
    void cancel();
    bool isSeparating() const { return separating >= 0; }
    int separatingPlace() const { return separating; }
    int waiting() const { return static_cast<int>(queue.size()); }
    double progress() const { return isSeparating() ? job.status().progress : 0.0; }
    // How far a separation is, in words, with the time that is left as soon as that is known.
    juce::String progressText() const;

    // The original and the stems as the faders have them are heard equally loud: whichever is
    // louder is turned down, at most by 24 dB. Measured in the background when there are stems.
    void setEqualLoudness(bool on);
    bool isEqualLoudness() const { return equal; }
    bool canEqualLoudness() const { return loudness.table() != nullptr; }
    // By the faders as they are now; often.
    void updateLoudness();

    // Writes stems, by their places in `stems()`, into a folder, as <file>_<stem>.<ending>, in the
    // background. Each file appears complete or not at all; one that is there stays, and the new
    // one gets a number.
    void save(const std::vector<std::size_t>& which, const juce::File& folder, SaveFormat format);
    bool isSaving() const { return saver.isSaving(); }
    // Where stems were saved last; none before.
    const juce::File& savedFolder() const { return saveFolder; }

    // The same at once, for dragging: into a folder that stays, as hosts may go on using the files.
    // A copy from an earlier drag is used again. Empty where that failed; `message` says why.
    juce::StringArray copiesForDragging(const std::vector<std::size_t>& which);
    static juce::File dragFolder();

    // How the last thing ended, in one line; `failed` when it did not work.
    const juce::String& message() const { return text; }
    bool failed() const { return bad; }
    // Another number after every change of list, file, stems or message.
    int version() const { return changes; }

private:
    void timerCallback() override;
    void tell(const juce::String& line, bool isBad);
    void start(std::size_t place);
    void startNext();
    void finish(const FileJobStatus& status);
    void read(std::size_t place);
    void finishReading(const FileJobStatus& status);
    juce::Result show();
    static void discard(SessionFile& file);
    juce::String nameOf(const StemFile& stem) const;
    void measure();
    void discardCancelled();
    FilePlayer& player;
    FileJob &job, &conversion;
    std::vector<SessionFile> list;
    int current = -1, separating = -1, reading = -1; // places; -1: none
    std::vector<juce::File> queue;                   // sources that wait to be separated
    juce::File jobFolder, readFolder;
    juce::Array<juce::File> cancelled; // folders that the engine may still write into
    Remaining remaining;
    LoudnessMeter loudness;
    bool equal = false;
    juce::String askedModel, askedPreset, text;
    bool bad = false;
    int changes = 0;
    StemSaver saver;
    juce::File saveFolder;
};

} // namespace lars
