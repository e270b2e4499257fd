// SPDX-License-Identifier: GPL-3.0-or-later
#include "player/StemSaver.h"

#include <filesystem>

namespace lars {
namespace {

bool isFlac(SaveFormat format) {
    return format == SaveFormat::flac24 || format == SaveFormat::flac16;
}

int bitsOf(SaveFormat format) {
    switch (format) {
    case SaveFormat::wavFloat:
        return 32;
    case SaveFormat::wav24:
    case SaveFormat::flac24:
        return 24;
    default:
        return 16;
    }
}

juce::Result cannotWrite(const juce::File& file) {
    return juce::Result::fail("cannot write " + file.getFullPathName() +
                              ": is the disk full, or the folder read-only?");
}

// At another depth; what is beyond full scale is clipped.
juce::Result convert(const juce::File& from, const juce::File& to, SaveFormat format) {
    juce::WavAudioFormat wav;
    juce::FlacAudioFormat flac;
    std::unique_ptr<juce::AudioFormatReader> reader(
        wav.createReaderFor(from.createInputStream().release(), true));
    if (reader == nullptr)
        return juce::Result::fail("cannot read " + from.getFullPathName());
    auto stream = to.createOutputStream();
    if (stream == nullptr)
        return cannotWrite(to);
    juce::AudioFormat& kind = isFlac(format) ? static_cast<juce::AudioFormat&>(flac) : wav;
    if (!kind.getPossibleSampleRates().isEmpty() &&
        !kind.getPossibleSampleRates().contains(juce::roundToInt(reader->sampleRate)))
        return juce::Result::fail(kind.getFormatName() + " has no rate of " +
                                  juce::String(reader->sampleRate) + " Hz; choose WAV");
    std::unique_ptr<juce::AudioFormatWriter> writer(
        kind.createWriterFor(stream.get(), reader->sampleRate, reader->numChannels,
                             bitsOf(format), {}, 0));
    if (writer == nullptr)
        return cannotWrite(to);
    stream.release(); // the writer's
    if (!writer->writeFromAudioReader(*reader, 0, reader->lengthInSamples))
        return cannotWrite(to);
    writer.reset(); // writes what is missing, and does not say whether it could
    const std::unique_ptr<juce::AudioFormatReader> written(
        kind.createReaderFor(to.createInputStream().release(), true));
    return written != nullptr && written->lengthInSamples == reader->lengthInSamples
               ? juce::Result::ok()
               : cannotWrite(to);
}

} // namespace

juce::String endingOf(SaveFormat format) {
    return isFlac(format) ? ".flac" : ".wav";
}

StemSaver::~StemSaver() {
    stop.store(true);
    if (thread.joinable())
        thread.join();
}

juce::Result StemSaver::write(const juce::File& from, const juce::File& to, SaveFormat format) {
    const juce::TemporaryFile partial(to);
    auto done = juce::Result::ok();
    if (format == SaveFormat::wavFloat) {
        if (!from.copyFileTo(partial.getFile()))
            done = cannotWrite(to);
        // The stems of a render are read-only, and on macOS a copy is what its original is.
        std::error_code ignored;
        std::filesystem::permissions(
            std::filesystem::u8path(partial.getFile().getFullPathName().toStdString()),
            std::filesystem::perms::owner_write, std::filesystem::perm_options::add, ignored);
    } else {
        done = convert(from, partial.getFile(), format);
    }
    if (done.wasOk() && !partial.overwriteTargetFileWithTemporary())
        done = cannotWrite(to);
    return done;
}

void StemSaver::start(std::vector<std::pair<juce::File, juce::String>> work,
                      const juce::File& folder, SaveFormat format) {
    if (thread.joinable())
        thread.join();
    saving.store(true);
    thread = std::thread([this, work = std::move(work), folder, format] {
        auto done = folder.createDirectory();
        for (const auto& [from, name] : work)
            if (done.wasOk() && !stop.load())
                done = write(from,
                             folder.getChildFile(name + endingOf(format)).getNonexistentSibling(),
                             format);
        const auto line = done.failed()
                              ? done.getErrorMessage()
                              : "Saved " + juce::String(static_cast<int>(work.size())) +
                                    (work.size() == 1 ? " stem in " : " stems in ") +
                                    folder.getFullPathName();
        {
            const std::lock_guard<std::mutex> lock(mutex);
            result = std::make_pair(line, done.failed());
        }
        saving.store(false);
    });
}

std::optional<std::pair<juce::String, bool>> StemSaver::takeResult() {
    const std::lock_guard<std::mutex> lock(mutex);
    return std::exchange(result, std::nullopt);
}

} // namespace lars
