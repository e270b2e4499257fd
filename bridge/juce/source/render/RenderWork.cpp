// SPDX-License-Identifier: GPL-3.0-or-later
// The part of RenderSession that makes renders: by the engine, or of a file's stems.
#include "render/RenderSession.h"

namespace lars {
namespace {

constexpr auto pollEvery = std::chrono::milliseconds(20);
constexpr auto bits = "32f"; // as the network gives them

std::string path(const juce::File& file) {
    return file.getFullPathName().toStdString();
}

juce::String fromUtf8(const std::string& line) {
    return juce::String::fromUTF8(line.c_str());
}

} // namespace

// Something that the engine does, to its end; `from` and `share` say what part of the work it is.
FileJobStatus RenderSession::finish(EngineRequest request, Work kind, double from, double share) {
    if (from <= 0.0) {
        show(kind);
        remaining.start(Remaining::clock());
    }
    job.whyNoEngine = whyNoEngine;
    job.start(std::move(request));
    for (;;) {
        const auto status = job.status();
        if (status.state != FileJobStatus::State::running)
            return status;
        tend();
        std::unique_lock<std::mutex> lock(mutex);
        shown.progress = from + share * status.progress;
        remaining.at(shown.progress, Remaining::clock());
        shown.remaining = remaining.seconds(Remaining::clock()).value_or(-1.0);
        if (cancelled || quit)
            job.cancel();
        if (quit) {
            lock.unlock();
            job.stop();
            return job.status();
        }
        changed.wait_for(lock, pollEvery);
    }
}

void RenderSession::separateNow(const RenderMeans& means) {
    juce::String take, render, problem;
    {
        const Guard lock(mutex);
        take = shown.take;
        render = shown.render;
        if (cancelled || isStale())
            return;
    }
    auto id = take.isNotEmpty() ? take : render;
    if (id.isEmpty())
        return tell(juce::Result::fail("there is nothing to separate: capture the track first"));
    auto record = store::read(id, problem);
    if (!record)
        return tell(juce::Result::fail(problem));
    const auto source = store::sourceOf(id);
    if (!source.existsAsFile())
        return tell(juce::Result::fail(
            record->source.isEmpty()
                ? source.getFullPathName() + " is not there: capture the track again"
                : "these stems come from " + record->source +
                      ": separate that in the file section and use it again"));
    // What has stems already stays as it is: an earlier save of the session may need it.
    const bool again = !record->stems.empty();
    if (again) {
        auto done = store::make(id);
        if (done.wasOk())
            done = store::copy(source, store::sourceOf(id));
        if (done.failed())
            return tell(done);
        record->stems.clear();
    }
    const auto made = separateInto(id, *record, means);
    if (made.failed())
        tell(made);
    if ((made.failed() || !adopt(id, *record)) && again)
        store::remove(id);
}

juce::Result RenderSession::separateInto(const juce::String& id, RenderRecord& record,
                                         const RenderMeans& means) {
    FileJobRequest request;
    request.source = path(store::sourceOf(id));
    request.folder = path(store::stemsOf(id, record, record.rate));
    request.model = means.model.toStdString();
    request.preset = means.preset.toStdString();
    request.bits = bits;
    request.overwrite = true;
    const auto status = finish(request, Work::separating);
    if (status.state != FileJobStatus::State::done)
        return juce::Result::fail(status.state == FileJobStatus::State::cancelled
                                      ? juce::String("Cancelled")
                                      : fromUtf8(status.message));
    show(Work::loading);
    Files files;
    for (const auto& name : status.files) {
        const juce::File made(fromUtf8(name));
        files.emplace_back(made.getFileNameWithoutExtension(), made);
    }
    const auto frames = record.frames;
    record.model = means.model;
    record.preset = means.preset;
    auto done = describe(files, record);
    if (done.wasOk() && record.frames != frames)
        done = juce::Result::fail("the engine's stems are not as long as the track");
    return done.wasOk() ? store::write(id, record) : done;
}

// Makes it the session's render, and loads it. False where another session was restored meanwhile.
bool RenderSession::adopt(const juce::String& id, const RenderRecord& record) {
    juce::StringArray before;
    double rate = 0.0;
    {
        const Guard lock(mutex);
        if (isStale())
            return false;
        before = {std::exchange(shown.render, id), std::exchange(shown.take, {})};
        shown.captured.clear();
        rate = hostRate > 0.0 ? hostRate : record.rate;
    }
    const auto done = loadAt(id, record, rate);
    if (done.failed())
        playNothing();
    discard(before);
    tell(done);
    return true;
}

// Deletes those that the session has no more and that no state has had, and what is left of
// sessions before.
void RenderSession::discard(juce::StringArray ids) {
    {
        const Guard lock(mutex);
        ids.addArray(left);
        left.clear();
    }
    for (const auto& id : ids) {
        bool ends = false;
        {
            const Guard lock(mutex);
            if (keepsAll || id.isEmpty() || kept.count(id) > 0 || id == shown.render ||
                id == shown.take)
                continue;
            ends = quit;
        }
        if (!ends)
            waitForRetired();
        store::remove(id);
    }
}

// The stems at the host's rate, beside those at their own.
juce::Result RenderSession::convert(const juce::String& id, const RenderRecord& record,
                                    double rate) {
    const auto from = store::stemsOf(id, record, record.rate);
    const auto to = store::stemsOf(id, record, rate);
    const auto partial = to.getSiblingFile(to.getFileName() + ".part");
    partial.deleteRecursively();
    auto done = partial.createDirectory();
    const double share = 1.0 / static_cast<double>(record.stems.size());
    for (std::size_t i = 0; i < record.stems.size() && done.wasOk(); ++i) {
        const auto name = record.stems[i].name + ".wav";
        ConvertRequest request;
        request.source = from.getChildFile(name).getFullPathName().toStdString();
        request.target = partial.getChildFile(name).getFullPathName().toStdString();
        request.rate = rate;
        const auto status =
            finish(request, Work::converting, static_cast<double>(i) * share, share);
        if (status.state != FileJobStatus::State::done)
            done = juce::Result::fail("the stems are at " + juce::String(record.rate) +
                                      " Hz and the host is at " + juce::String(rate) + " Hz: " +
                                      juce::String::fromUTF8(status.message.c_str()));
    }
    if (done.wasOk() && !partial.moveFileTo(to))
        done = juce::Result::fail("cannot write " + to.getFullPathName());
    if (done.failed())
        partial.deleteRecursively();
    return done;
}

// What there is to say of files: they must be of one rate, length and number of channels.
juce::Result RenderSession::describe(const Files& files, RenderRecord& record) {
    record.stems.clear();
    for (const auto& [name, file] : files) {
        juce::String problem;
        const auto wave = MappedWav::open(file, problem);
        if (wave == nullptr)
            return juce::Result::fail(problem);
        if (record.stems.empty()) {
            record.rate = wave->rate();
            record.channels = wave->channels();
            record.frames = wave->frames();
        }
        if (wave->channels() != record.channels || wave->frames() != record.frames ||
            !juce::approximatelyEqual(wave->rate(), record.rate))
            return juce::Result::fail("the stems of this file are not of one length");
        record.stems.push_back({name, wave->checksum()});
    }
    return files.empty() ? juce::Result::fail("this file has no stems yet: separate it first")
                         : juce::Result::ok();
}

void RenderSession::copyFile(const juce::String& name, const Files& from,
                             const juce::String& model, std::int64_t start, double rate) {
    show(Work::copying);
    RenderRecord record;
    record.source = name;
    record.model = model;
    record.start = start;
    record.startRate = rate;
    juce::String id;
    auto done = describe(from, record);
    record.spans = {{0, record.frames}};
    if (done.wasOk())
        done = store::make(id);
    if (done.failed())
        return tell(done);
    const auto folder = store::stemsOf(id, record, record.rate);
    done = folder.createDirectory();
    for (const auto& [stem, file] : from)
        if (done.wasOk())
            done = store::copy(file, folder.getChildFile(stem + ".wav"));
    if (done.wasOk())
        done = store::write(id, record);
    if (done.failed())
        tell(done);
    if (done.failed() || !adopt(id, record))
        store::remove(id);
}

} // namespace lars
