// SPDX-License-Identifier: GPL-3.0-or-later
#include "player/FileSession.h"

#include "engine/Private.h"

namespace lars {
namespace {

constexpr int pollMilliseconds = 100;
// As the network gives them: nothing is clipped, and the stems add up to the file.
constexpr auto bits = "32f";

std::string path(const juce::File& file) {
    return file.getFullPathName().toStdString();
}

} // namespace

FileSession::FileSession(FilePlayer& filePlayer, FileJob& fileJob)
    : player(filePlayer), job(fileJob) {}

FileSession::~FileSession() {
    stopTimer();
    stopSaving.store(true);
    if (saver.joinable())
        saver.join();
    if (separating)
        job.stop();
    jobFolder.deleteRecursively();
    folder.deleteRecursively();
}

juce::Result FileSession::load(const juce::File& file) {
    const auto result = player.load(file);
    if (result.failed()) {
        tell(result.getErrorMessage(), true);
        return result;
    }
    if (separating) {
        job.cancel();
        jobFolder.deleteRecursively();
    }
    separating = false;
    source = file;
    dropStems();
    tell({}, false);
    return result;
}

void FileSession::dropStems() {
    made.clear();
    folder.deleteRecursively();
    folder = juce::File();
}

void FileSession::separate(const juce::String& model, const juce::String& preset) {
    if (source == juce::File() || separating)
        return;
    const auto place = juce::File::getSpecialLocation(juce::File::tempDirectory)
                           .getChildFile("lars-" + juce::Uuid().toString());
    // In a folder that all users share, so it must be new and open to nobody else.
    if (!makeNewPrivateFolder(path(place))) {
        tell("cannot make the folder " + place.getFullPathName() + " for the stems", true);
        return;
    }
    FileJobRequest request;
    request.source = path(source);
    request.folder = path(place.getChildFile("stems"));
    request.model = model.toStdString();
    request.preset = preset.toStdString();
    request.bits = bits;
    // The stems that are there stay until the new ones come.
    jobFolder = place;
    askedModel = model;
    separating = true;
    tell({}, false);
    job.start(request);
    startTimer(pollMilliseconds);
}

void FileSession::timerCallback() {
    if (separating) {
        const auto status = job.status();
        if (status.state != FileJobStatus::State::running)
            finish(status);
    }
    if (!saving.load()) {
        const std::lock_guard<std::mutex> lock(mutex);
        if (!std::exchange(saveTold, true))
            tell(saved, saveFailed);
    }
    if (!separating && !saving.load())
        stopTimer();
}

void FileSession::finish(const FileJobStatus& status) {
    separating = false;
    if (status.state != FileJobStatus::State::done) {
        jobFolder.deleteRecursively();
        const bool cancelled = status.state == FileJobStatus::State::cancelled;
        tell(cancelled ? juce::String("Cancelled") : juce::String::fromUTF8(status.message.c_str()),
             !cancelled);
        return;
    }
    std::vector<StemFile> stems;
    for (const auto& name : status.files) {
        const juce::File file(juce::String::fromUTF8(name.c_str()));
        stems.push_back({file.getFileNameWithoutExtension(), file});
    }
    const auto result = player.setStems(stems);
    if (result.failed()) {
        jobFolder.deleteRecursively();
        tell("the stems cannot be played: " + result.getErrorMessage(), true);
        return;
    }
    dropStems();
    folder = jobFolder;
    made = std::move(stems);
    madeBy = askedModel;
    tell(juce::String(static_cast<int>(made.size())) + " stems", false);
}

void FileSession::tell(const juce::String& line, bool isBad) {
    text = line;
    bad = isBad;
    ++changes;
}

// Saving.

juce::String FileSession::nameOf(const StemFile& stem) const {
    return juce::File::createLegalFileName(source.getFileNameWithoutExtension() + "_" + stem.name) +
           ".wav";
}

juce::Result FileSession::copy(const juce::File& from, const juce::File& to) {
    const juce::TemporaryFile partial(to);
    if (!from.copyFileTo(partial.getFile()) || !partial.overwriteTargetFileWithTemporary())
        return juce::Result::fail("cannot write " + to.getFullPathName() +
                                  ": is the disk full, or the folder read-only?");
    return juce::Result::ok();
}

void FileSession::save(const std::vector<std::size_t>& which, const juce::File& target) {
    if (saving.load() || which.empty())
        return;
    std::vector<std::pair<juce::File, juce::String>> work;
    for (const auto i : which)
        if (i < made.size())
            work.emplace_back(made[i].file, nameOf(made[i]));
    if (saver.joinable())
        saver.join();
    saving.store(true);
    {
        const std::lock_guard<std::mutex> lock(mutex);
        saveTold = false;
    }
    tell("Saving", false);
    saver = std::thread([this, work, target] {
        auto result = target.createDirectory();
        for (const auto& [from, name] : work)
            if (result.wasOk() && !stopSaving.load())
                result = copy(from, target.getChildFile(name).getNonexistentSibling());
        {
            const std::lock_guard<std::mutex> lock(mutex);
            saveFailed = result.failed();
            saved = saveFailed ? result.getErrorMessage()
                               : "Saved " + juce::String(static_cast<int>(work.size())) +
                                     (work.size() == 1 ? " stem in " : " stems in ") +
                                     target.getFullPathName();
        }
        saving.store(false);
    });
    startTimer(pollMilliseconds);
}

juce::File FileSession::dragFolder() {
    return juce::File::getSpecialLocation(juce::File::userMusicDirectory).getChildFile("LARS");
}

juce::StringArray FileSession::copiesForDragging(const std::vector<std::size_t>& which) {
    juce::StringArray paths;
    auto result = dragFolder().createDirectory();
    for (const auto i : which) {
        if (result.failed() || i >= made.size())
            break;
        auto to = dragFolder().getChildFile(nameOf(made[i]));
        if (!to.hasIdenticalContentTo(made[i].file)) {
            to = to.getNonexistentSibling();
            result = copy(made[i].file, to);
        }
        paths.add(to.getFullPathName());
    }
    if (result.failed()) {
        tell(result.getErrorMessage(), true);
        return {};
    }
    return paths;
}

} // namespace lars
