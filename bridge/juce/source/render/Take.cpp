// SPDX-License-Identifier: GPL-3.0-or-later
#include "render/Take.h"

#include <juce_audio_formats/juce_audio_formats.h>

namespace lars {
namespace {

// Rounded down, also of numbers below 0.
std::int64_t divide(std::int64_t number, std::int64_t by) {
    return number >= 0 ? number / by : -((-number + by - 1) / by);
}

} // namespace

Take::Take(const juce::File& scratch, double rate, int channels)
    : file(scratch), sampleRate(rate), channelCount(channels) {
    file.deleteFile();
    out = file.createOutputStream();
}

Take::~Take() {
    out.reset();
    file.deleteFile();
}

juce::int64 Take::placeOf(std::int64_t page, bool make) {
    const auto found = pages.find(page);
    if (found != pages.end())
        return found->second;
    if (!make)
        return -1;
    const auto place = static_cast<juce::int64>(pages.size());
    pages.emplace(page, place);
    return place;
}

bool Take::put(std::int64_t position, const float* frames, int count, bool yields) {
    if (out == nullptr || count <= 0)
        return count <= 0;
    const Span span{position, position + count};
    Spans then = heard;
    then.add(span);
    if (static_cast<double>(then.whole().end - then.whole().begin) > longest * sampleRate)
        return false;
    for (const auto& part : yields ? heard.missing(span) : std::vector<Span>{span})
        if (!write(part.begin, frames + (part.begin - position) * channelCount,
                   static_cast<int>(part.end - part.begin)))
            return false;
    heard = std::move(then);
    return true;
}

bool Take::write(std::int64_t position, const float* frames, int count) {
    const auto frameBytes = static_cast<juce::int64>(sizeof(float)) * channelCount;
    for (int done = 0; done < count;) {
        const auto now = position + done;
        const auto page = divide(now, pageFrames);
        const auto offset = now - page * pageFrames;
        const auto part =
            static_cast<int>(juce::jmin<std::int64_t>(count - done, pageFrames - offset));
        const auto at = (placeOf(page, true) * pageFrames + offset) * frameBytes;
        if ((out->getPosition() != at && !out->setPosition(at)) ||
            !out->write(frames + static_cast<std::ptrdiff_t>(done) * channelCount,
                        static_cast<std::size_t>(part * frameBytes)))
            return false;
        done += part;
    }
    return true;
}

juce::Result Take::write(const juce::File& wav) {
    const auto bad = [](const juce::File& which) {
        return juce::Result::fail("cannot write " + which.getFullPathName() +
                                  ": is the disk full?");
    };
    if (heard.empty())
        return juce::Result::fail("nothing was captured");
    if (out != nullptr)
        out->flush();
    if (out == nullptr || out->getStatus().failed())
        return bad(file);
    juce::FileInputStream in(file);
    if (in.failedToOpen())
        return bad(file);
    const juce::TemporaryFile partial(wav);
    juce::WavAudioFormat format;
    auto stream = partial.getFile().createOutputStream();
    std::unique_ptr<juce::AudioFormatWriter> writer;
    if (stream != nullptr)
        writer.reset(format.createWriterFor(
            stream.get(), sampleRate, static_cast<unsigned int>(channelCount), 32, {}, 0));
    if (writer == nullptr)
        return bad(wav);
    stream.release(); // the writer's
    const auto whole = heard.whole();
    const auto spans = heard.list();
    constexpr int most = 1 << 14;
    std::vector<float> frames(static_cast<std::size_t>(most * channelCount));
    juce::AudioBuffer<float> planes(channelCount, most);
    std::size_t span = 0;
    for (auto at = whole.begin; at < whole.end;) {
        while (spans[span].end <= at)
            ++span;
        // Silence up to the next span, or what was heard up to the end of a page.
        const bool silent = at < spans[span].begin;
        const auto page = divide(at, pageFrames);
        const auto until = silent ? spans[span].begin
                                  : juce::jmin(spans[span].end, (page + 1) * pageFrames);
        const auto part = static_cast<int>(juce::jmin<std::int64_t>(most, until - at));
        planes.clear();
        if (!silent) {
            const auto bytes = static_cast<int>(sizeof(float)) * part * channelCount;
            in.setPosition((placeOf(page, false) * pageFrames + at - page * pageFrames) *
                           channelCount * static_cast<juce::int64>(sizeof(float)));
            if (in.read(frames.data(), bytes) != bytes)
                return juce::Result::fail("cannot read " + file.getFullPathName());
            for (int channel = 0; channel < channelCount; ++channel)
                for (int i = 0; i < part; ++i)
                    planes.setSample(channel, i,
                                     frames[static_cast<std::size_t>(i * channelCount + channel)]);
        }
        if (!writer->writeFromAudioSampleBuffer(planes, 0, part))
            return bad(wav);
        at += part;
    }
    writer.reset();
    const std::unique_ptr<juce::AudioFormatReader> written(
        format.createReaderFor(partial.getFile().createInputStream().release(), true));
    if (written == nullptr || written->lengthInSamples != whole.end - whole.begin ||
        !partial.overwriteTargetFileWithTemporary())
        return bad(wav);
    return juce::Result::ok();
}

} // namespace lars
