// SPDX-License-Identifier: GPL-3.0-or-later
// lars_hygiene [list], a run of its own, as JUCE's loop of messages runs once in a process: LARS_TEST_LIST has paths of audio files, separated by colons, of
// which the first is one that only the engine reads, and LARS_TEST_SHORT_MODEL a model of the engine.
#include <cstdlib>

#include "Catch.h"
#include "Findings.h"
#include "processor/PluginProcessor.h"

using namespace lars;

namespace {

// One step after the other, each when the one before has come to its end.
class ListOfFiles : private juce::Timer {
public:
    ListOfFiles(const juce::StringArray& paths, juce::String modelName) : model(modelName) {
        for (const auto& path : paths)
            files.add(juce::File(path));
        plugin.setRateAndBufferSizeDetails(44100.0, 256);
        plugin.prepareToPlay(44100.0, 256);
        startTimer(20);
    }

    std::string wrong() { return findings.take(); }
    bool hasEnded() const { return ended; }

private:
    void check(bool good, const char* what) { findings.check(good, what, step); }

    void timerCallback() override {
        auto& session = plugin.fileSession();
        if (session.isReading() || session.isSeparating() || session.isSaving() ||
            session.waiting() > 0) {
            if (++turns > 30000)
                finish("it comes to an end");
            return;
        }
        switch (step++) {
        case 0:
            session.add(files);
            check(static_cast<int>(session.files().size()) == files.size(), "all are in the list");
            check(session.selected() == 0 && session.isReading(), "the engine reads the first");
            break;
        case 1:
            check(session.isPlayable() && !session.failed(), "it can be played");
            check(plugin.filePlayer().length() > 0.1, "it has a length");
            session.add({files[1]});
            check(static_cast<int>(session.files().size()) == files.size(), "none is there twice");
            check(session.selected() == 1 && session.isPlayable(), "the second is selected");
            session.separateAll(model, {});
            check(session.isSeparating(), "the first is on its way");
            break;
        case 2:
            for (const auto& file : session.files())
                check(file.stems.size() == 6, "each has its stems");
            check(plugin.filePlayer().hearsStems(), "the selected one's are heard");
            folder = files[1].getSiblingFile("saved");
            session.save({0, 1}, folder, SaveFormat::flac24);
            break;
        case 3:
            check(folder.getNumberOfChildFiles(juce::File::findFiles, "*.flac") == 2, "are saved");
            check(session.savedFolder() == folder && !session.failed(), "and it is told");
            session.add({files[0].getSiblingFile("nowhere.wav")});
            check(session.failed() && !session.isPlayable(), "one that is not there is told of");
            session.remove();
            check(static_cast<int>(session.files().size()) == files.size(), "and taken off");
            session.select(0);
            check(session.isPlayable() && plugin.filePlayer().hearsStems(), "the first is back");
            session.separate(model, {});
            session.cancel(); // answers at once, and another may begin
            check(!session.isSeparating() && session.message() == "Cancelled", "it is cancelled");
            check(!session.stems().empty(), "the stems from before are still there");
            session.separate(model, {});
            check(session.isSeparating(), "another is on its way");
            session.remove(); // in the middle of it
            break;
        default:
            while (!session.files().empty())
                session.remove();
            check(session.selected() == -1 && !session.isPlayable(), "the list is empty");
            check(plugin.filePlayer().length() <= 0.0, "nothing is played");
            finish(nullptr);
        }
    }

    void finish(const char* what) {
        if (what != nullptr)
            check(false, what);
        ended = true;
        stopTimer();
        juce::MessageManager::getInstance()->stopDispatchLoop();
    }

    PluginProcessor plugin;
    Findings findings;
    juce::Array<juce::File> files;
    juce::File folder;
    const juce::String model;
    int step = 0, turns = 0;
    bool ended = false;
};

} // namespace

TEST_CASE("Files of a list are read, separated in turn, saved, and taken off with their stems",
          "[.list]") {
    const auto* paths = std::getenv("LARS_TEST_LIST");
    const auto* model = std::getenv("LARS_TEST_SHORT_MODEL");
    if (paths == nullptr || model == nullptr) {
        WARN("no engine: LARS_TEST_LIST and LARS_TEST_SHORT_MODEL are not set");
        return;
    }
    ListOfFiles running(juce::StringArray::fromTokens(juce::String::fromUTF8(paths), ":", ""),
                        juce::String::fromUTF8(model));
    juce::MessageManager::getInstance()->runDispatchLoop();
    CHECK(running.hasEnded());
    CHECK(running.wrong() == "");
}
