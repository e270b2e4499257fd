// SPDX-License-Identifier: GPL-3.0-or-later
#include "player/FileSession.h"

#include "engine/Private.h"

namespace lars {
namespace {

constexpr int pollMilliseconds = 50;
// As the network gives them: nothing is clipped, and the stems add up to the file.
constexpr auto bits = "32f";

std::string path(const juce::File& file) {
    return file.getFullPathName().toStdString();
}

juce::String fromUtf8(const std::string& line) {
    return juce::String::fromUTF8(line.c_str());
}

// In a folder that all users share, so it must be new and open to nobody else; none if it cannot be.
juce::File newFolder() {
    const auto place = juce::File::getSpecialLocation(juce::File::tempDirectory)
                           .getChildFile("lars-" + juce::Uuid().toString());
    return makeNewPrivateFolder(path(place)) ? place : juce::File();
}

} // namespace

FileSession::FileSession(FilePlayer& filePlayer, FileJob& separation, FileJob& converter)
    : player(filePlayer), job(separation), conversion(converter) {}

FileSession::~FileSession() {
    stopTimer();
    queue.clear();
    if (isReading())
        conversion.stop();
    if (isSeparating())
        job.stop();
    if (!cancelled.isEmpty())
        job.stop();
    discardCancelled();
    jobFolder.deleteRecursively();
    readFolder.deleteRecursively();
    for (auto& file : list)
        discard(file);
}

void FileSession::discard(SessionFile& file) {
    for (const auto& folder : {file.scratch, file.folder})
        if (folder != juce::File())
            folder.deleteRecursively();
}

// The list.

void FileSession::add(const juce::Array<juce::File>& files) {
    int first = -1;
    for (const auto& file : files) {
        const auto there = std::find_if(list.begin(), list.end(),
                                        [&](const auto& one) { return one.source == file; });
        const auto place = static_cast<int>(there - list.begin());
        if (there == list.end()) {
            list.emplace_back();
            list.back().source = file;
        }
        if (first < 0)
            first = place;
    }
    if (first >= 0)
        select(static_cast<std::size_t>(first));
}

juce::Result FileSession::load(const juce::File& file) {
    add({file});
    return bad ? juce::Result::fail(text) : juce::Result::ok();
}

void FileSession::select(std::size_t place) {
    if (place >= list.size())
        return;
    current = static_cast<int>(place);
    const auto result = show();
    measure();
    tell(result.getErrorMessage(), result.failed());
}

// The selected file in the player: at once, or when the engine has read it.
juce::Result FileSession::show() {
    auto& file = list[static_cast<std::size_t>(current)];
    if (file.playable != juce::File()) {
        auto result = player.load(file.playable);
        if (result.wasOk() && !file.stems.empty())
            result = player.setStems(file.stems);
        return result;
    }
    if (!file.source.existsAsFile()) {
        player.unload();
        return juce::Result::fail(file.source.getFullPathName() + " is not there");
    }
    if (player.load(file.source).wasOk()) {
        file.playable = file.source;
        return juce::Result::ok();
    }
    player.unload();
    if (!isReading())
        read(static_cast<std::size_t>(current));
    return juce::Result::ok();
}

void FileSession::remove() {
    if (current < 0)
        return;
    const int place = current;
    // What the engine has begun for it ends, and goes.
    if (separating == place) {
        job.cancel();
        cancelled.add(std::exchange(jobFolder, juce::File()));
    }
    auto& file = list[static_cast<std::size_t>(place)];
    queue.erase(std::remove(queue.begin(), queue.end(), file.source), queue.end());
    if (reading == place) {
        conversion.cancel();
        readFolder.deleteRecursively();
        readFolder = juce::File();
    }
    player.unload();
    loudness.start({}, {});
    discard(file);
    list.erase(list.begin() + place);
    const auto shift = [place](int& one) {
        one = one == place ? -1 : one > place ? one - 1 : one;
    };
    shift(separating);
    shift(reading);
    current = -1;
    if (!list.empty())
        select(static_cast<std::size_t>(juce::jmin(place, static_cast<int>(list.size()) - 1)));
    else
        tell({}, false);
}

// Files that only the engine reads.

void FileSession::read(std::size_t place) {
    const auto folder = newFolder();
    if (folder == juce::File()) {
        tell("cannot make a folder for the audio in " +
                 juce::File::getSpecialLocation(juce::File::tempDirectory).getFullPathName(),
             true);
        return;
    }
    readFolder = folder;
    reading = static_cast<int>(place);
    ConvertRequest request;
    request.source = path(list[place].source);
    request.target = path(folder.getChildFile("audio.wav"));
    conversion.start(request);
    startTimer(pollMilliseconds);
}

void FileSession::finishReading(const FileJobStatus& status) {
    const auto place = static_cast<std::size_t>(std::exchange(reading, -1));
    if (status.state != FileJobStatus::State::done) {
        readFolder.deleteRecursively();
        if (static_cast<int>(place) == current)
            tell(fromUtf8(status.message), true);
    } else {
        auto& file = list[place];
        file.playable = juce::File(fromUtf8(status.files.front()));
        file.scratch = readFolder;
        if (static_cast<int>(place) == current) {
            const auto result = show();
            tell(result.getErrorMessage(), result.failed());
        }
    }
    readFolder = juce::File();
    // Another was selected meanwhile.
    if (current >= 0 && current != static_cast<int>(place) && !isPlayable() && !bad)
        read(static_cast<std::size_t>(current));
}

// Separating.

void FileSession::separate(const juce::String& model, const juce::String& preset) {
    if (current < 0 || isSeparating())
        return;
    askedModel = model;
    askedPreset = preset;
    start(static_cast<std::size_t>(current));
}

void FileSession::separateAll(const juce::String& model, const juce::String& preset) {
    if (isSeparating())
        return;
    queue.clear();
    for (const auto& file : list)
        if (file.stems.empty())
            queue.push_back(file.source);
    askedModel = model;
    askedPreset = preset;
    startNext();
}

void FileSession::startNext() {
    while (!queue.empty() && !isSeparating()) {
        const auto source = queue.front();
        queue.erase(queue.begin());
        for (std::size_t i = 0; i < list.size() && !isSeparating(); ++i)
            if (list[i].source == source)
                start(i);
    }
}

void FileSession::start(std::size_t place) {
    const auto folder = newFolder();
    if (folder == juce::File()) {
        tell("cannot make a folder for the stems in " +
                 juce::File::getSpecialLocation(juce::File::tempDirectory).getFullPathName(),
             true);
        return;
    }
    FileJobRequest request;
    request.source = path(list[place].source);
    request.folder = path(folder.getChildFile("stems"));
    request.model = askedModel.toStdString();
    request.preset = askedPreset.toStdString();
    request.bits = bits;
    // The stems that are there stay until the new ones come. What was cancelled ends here.
    if (!cancelled.isEmpty())
        job.stop();
    discardCancelled();
    remaining.start(Remaining::clock());
    jobFolder = folder;
    separating = static_cast<int>(place);
    tell({}, false);
    job.start(request);
    startTimer(pollMilliseconds);
}

// Answers at once; the engine takes away what it has begun to write, and then its folder goes.
void FileSession::cancel() {
    queue.clear();
    if (!isSeparating())
        return;
    job.cancel();
    cancelled.add(std::exchange(jobFolder, juce::File()));
    separating = -1;
    tell("Cancelled", false);
}

void FileSession::discardCancelled() {
    for (const auto& folder : cancelled)
        folder.deleteRecursively();
    cancelled.clear();
}

void FileSession::timerCallback() {
    if (isSeparating()) {
        const auto status = job.status();
        remaining.at(status.progress, Remaining::clock());
        if (status.state != FileJobStatus::State::running)
            finish(status);
    } else if (!cancelled.isEmpty() && job.status().state != FileJobStatus::State::running) {
        discardCancelled();
    }
    if (isReading()) {
        const auto status = conversion.status();
        if (status.state != FileJobStatus::State::running)
            finishReading(status);
    }
    if (!saver.isSaving())
        if (const auto result = saver.takeResult())
            tell(result->first, result->second);
    if (!isSeparating() && !isReading() && !saver.isSaving() && cancelled.isEmpty())
        stopTimer();
}

void FileSession::finish(const FileJobStatus& status) {
    const auto place = static_cast<std::size_t>(std::exchange(separating, -1));
    auto& file = list[place];
    if (status.state != FileJobStatus::State::done) {
        jobFolder.deleteRecursively();
        jobFolder = juce::File();
        const bool asked = status.state == FileJobStatus::State::cancelled;
        auto why = fromUtf8(status.message);
        if (!asked && list.size() > 1)
            why = file.source.getFileName() + ": " + why;
        tell(asked ? juce::String("Cancelled") : why, !asked);
        startNext();
        return;
    }
    std::vector<StemFile> stems;
    for (const auto& name : status.files) {
        const juce::File made(fromUtf8(name));
        stems.push_back({made.getFileNameWithoutExtension(), made});
    }
    if (static_cast<int>(place) == current) {
        const auto result = player.setStems(stems);
        if (result.failed()) {
            jobFolder.deleteRecursively();
            tell("the stems cannot be played: " + result.getErrorMessage(), true);
            startNext();
            return;
        }
    }
    if (static_cast<int>(place) == current)
        loudness.start({}, {}); // of the stems that go
    if (file.folder != juce::File())
        file.folder.deleteRecursively();
    file.folder = std::exchange(jobFolder, juce::File());
    file.stems = std::move(stems);
    file.madeBy = askedModel;
    if (static_cast<int>(place) == current)
        measure();
    tell(juce::String(static_cast<int>(file.stems.size())) + " stems", false);
    startNext();
}

void FileSession::tell(const juce::String& line, bool isBad) {
    text = line;
    bad = isBad;
    ++changes;
}

// Saving.

juce::String FileSession::nameOf(const StemFile& stem) const {
    return juce::File::createLegalFileName(file().getFileNameWithoutExtension() + "_" + stem.name);
}

void FileSession::save(const std::vector<std::size_t>& which, const juce::File& target,
                       SaveFormat format) {
    if (isSaving() || which.empty())
        return;
    std::vector<std::pair<juce::File, juce::String>> work;
    for (const auto i : which)
        if (i < stems().size())
            work.emplace_back(stems()[i].file, nameOf(stems()[i]));
    saveFolder = target;
    saver.start(std::move(work), target, format);
    tell("Saving", false);
    startTimer(pollMilliseconds);
}

juce::File FileSession::dragFolder() {
    return juce::File::getSpecialLocation(juce::File::userMusicDirectory).getChildFile("LARS");
}

juce::StringArray FileSession::copiesForDragging(const std::vector<std::size_t>& which) {
    juce::StringArray paths;
    auto result = dragFolder().createDirectory();
    for (const auto i : which) {
        if (result.failed() || i >= stems().size())
            break;
        const auto& stem = stems()[i];
        auto to = dragFolder().getChildFile(nameOf(stem) + ".wav");
        if (!to.hasIdenticalContentTo(stem.file)) {
            to = to.getNonexistentSibling();
            result = StemSaver::write(stem.file, to, SaveFormat::wavFloat);
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
