// SPDX-License-Identifier: GPL-3.0-or-later
#include "player/MidiFiles.h"

#include "engine/Private.h"

namespace lars {
namespace {

constexpr juce::uint32 tempoMilliseconds = 2000; // that a tempo must last before it is a new one
constexpr double leastTempo = 10.0, mostTempo = 990.0;

juce::String fromUtf8(const std::string& line) {
    return juce::String::fromUTF8(line.c_str());
}

juce::Result copy(const juce::File& from, const juce::File& to) {
    const juce::TemporaryFile partial(to);
    return from.copyFileTo(partial.getFile()) && partial.overwriteTargetFileWithTemporary()
               ? juce::Result::ok()
               : juce::Result::fail("cannot write " + to.getFullPathName() +
                                    ": is the disk full, or the folder read-only?");
}

} // namespace

MidiFiles::MidiFiles(FileSession& files, FileJob& transcription, std::function<double()> ofHost)
    : session(files), job(transcription), hostTempo(std::move(ofHost)) {}

MidiFiles::~MidiFiles() {
    if (isWorking())
        job.stop();
    if (folder != juce::File())
        folder.deleteRecursively();
}

MidiFiles::Order MidiFiles::wanted() {
    const auto said = hostTempo();
    const auto now = juce::Time::getMillisecondCounter();
    if (std::abs(said - seenTempo) >= 0.005) {
        seenTempo = said;
        seenSince = now;
    }
    // Not for every step of a tempo that goes up and down.
    if (all.empty() || now - seenSince >= tempoMilliseconds)
        tempo = seenTempo >= leastTempo && seenTempo <= mostTempo ? seenTempo : 0.0;
    if (session.stems().empty())
        return {};
    return {session.stems().front().file.getParentDirectory().getFullPathName(), tempo};
}

void MidiFiles::update() {
    if (isWorking()) {
        const auto status = job.status();
        if (status.state != FileJobStatus::State::running)
            finish(status);
    }
    const auto order = wanted();
    made = nullptr;
    for (const auto& one : all)
        if (!order.source.isEmpty() && one->order == order)
            made = one.get();
    if (order.source.isEmpty() || made != nullptr)
        text = {};
    else if (!isWorking() && !(order == failed))
        start(order);
}

void MidiFiles::start(const Order& order) {
    failed = order; // until it is made
    const auto place = juce::File::getSpecialLocation(juce::File::tempDirectory)
                           .getChildFile("lars-" + juce::Uuid().toString());
    if (folder == juce::File()) {
        if (!makeNewPrivateFolder(place.getFullPathName().toStdString())) {
            text = "cannot make a folder for MIDI files in " +
                   place.getParentDirectory().getFullPathName();
            return;
        }
        folder = place;
    }
    working = order;
    TranscribeRequest request;
    request.source = order.source.toStdString();
    request.folder = folder.getChildFile(juce::String(++folders)).getFullPathName().toStdString();
    request.tempo = order.tempo;
    for (const auto& stem : session.stems())
        request.stems.push_back(stem.name.toStdString());
    job.start(request);
}

void MidiFiles::finish(const FileJobStatus& status) {
    const auto order = std::exchange(working, {});
    if (status.state != FileJobStatus::State::done) {
        text = fromUtf8(status.message);
        return;
    }
    auto one = std::make_unique<Made>();
    one->order = order;
    for (const auto& file : status.files)
        one->files.add(juce::File(fromUtf8(file)));
    all.push_back(std::move(one));
    failed = {};
}

juce::File MidiFiles::of(const juce::String& stem) const {
    if (made != nullptr)
        for (int i = 1; i < made->files.size(); ++i)
            if (made->files.getReference(i).getFileNameWithoutExtension() == stem)
                return made->files.getReference(i);
    return {};
}

juce::StringArray MidiFiles::copiesForDragging(const juce::StringArray& stems) {
    juce::StringArray paths;
    auto result = FileSession::dragFolder().createDirectory();
    for (const auto& stem : stems) {
        const auto from = of(stem);
        if (result.failed() || from == juce::File())
            continue;
        auto to = FileSession::dragFolder().getChildFile(
            juce::File::createLegalFileName(session.file().getFileNameWithoutExtension() + "_" +
                                            stem + ".mid"));
        if (!to.hasIdenticalContentTo(from)) {
            to = to.getNonexistentSibling();
            result = copy(from, to);
        }
        paths.add(to.getFullPathName());
    }
    text = result.getErrorMessage();
    return result.wasOk() ? paths : juce::StringArray();
}

juce::Result MidiFiles::save(const juce::File& target) const {
    return made == nullptr ? juce::Result::fail("the hits are not there yet")
                           : copy(made->files.getFirst(), target);
}

} // namespace lars
