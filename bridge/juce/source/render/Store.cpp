// SPDX-License-Identifier: GPL-3.0-or-later
#include "render/Store.h"

#include <cmath>
#include <filesystem>

#include "engine/Installed.h"
#include "engine/Json.h"
#include "engine/Private.h"
#include "protocol/Limits.h"

namespace lars {
namespace {

constexpr int mostBytes = 1 << 20; // of a description
constexpr int mostSpans = 1 << 14;
constexpr int mostStems = 15; // as of a file
constexpr std::int64_t mostFrames = std::int64_t{1} << 40;

std::string path(const juce::File& file) {
    return file.getFullPathName().toStdString();
}

bool isRate(double rate) {
    return rate >= 1000.0 && rate <= 768000.0;
}

// A name that is a file's in every folder, and no path.
bool isStemName(const juce::String& name) {
    return name.isNotEmpty() && name.length() <= 64 && !name.startsWithChar('.') &&
           juce::File::createLegalFileName(name) == name;
}

std::int64_t scale(std::int64_t samples, double from, double to) {
    return juce::approximatelyEqual(from, to)
               ? samples
               : static_cast<std::int64_t>(std::llround(static_cast<double>(samples) / from * to));
}

std::optional<RenderRecord> parse(const juce::var& values) {
    RenderRecord record;
    record.rate = values["rate"];
    record.startRate = values["startRate"];
    record.channels = values["channels"];
    record.frames = static_cast<juce::int64>(values["frames"]);
    record.start = static_cast<juce::int64>(values["start"]);
    record.source = values["source"].toString();
    record.model = values["model"].toString();
    record.preset = values["preset"].toString();
    const auto* spans = values["spans"].getArray();
    const auto* stems = values["stems"].getArray();
    if (!isRate(record.rate) || !isRate(record.startRate) || record.channels < 1 ||
        record.channels > 2 || record.frames < 1 || record.frames > mostFrames ||
        record.start < -mostFrames || record.start > mostFrames || spans == nullptr ||
        stems == nullptr || spans->size() > mostSpans || stems->size() > mostStems)
        return std::nullopt;
    Spans sorted;
    for (const auto& one : *spans) {
        if (!one.isArray() || one.size() != 2)
            return std::nullopt;
        const Span span{static_cast<juce::int64>(one[0]), static_cast<juce::int64>(one[1])};
        if (span.begin < 0 || span.end > record.frames)
            return std::nullopt;
        sorted.add(span);
    }
    record.spans = sorted.list();
    for (const auto& one : *stems) {
        const StemRecord stem{one["name"].toString(),
                              static_cast<std::uint64_t>(
                                  one["checksum"].toString().getHexValue64())};
        if (!isStemName(stem.name))
            return std::nullopt;
        record.stems.push_back(stem);
    }
    return record;
}

juce::var describe(const RenderRecord& record) {
    auto* values = new juce::DynamicObject();
    const juce::var result(values);
    values->setProperty("version", 1);
    values->setProperty("rate", record.rate);
    values->setProperty("channels", record.channels);
    values->setProperty("frames", static_cast<juce::int64>(record.frames));
    values->setProperty("start", static_cast<juce::int64>(record.start));
    values->setProperty("startRate", record.startRate);
    values->setProperty("source", record.source);
    values->setProperty("model", record.model);
    values->setProperty("preset", record.preset);
    juce::Array<juce::var> spans, stems;
    for (const auto& span : record.spans)
        spans.add(juce::Array<juce::var>{static_cast<juce::int64>(span.begin),
                                         static_cast<juce::int64>(span.end)});
    for (const auto& stem : record.stems) {
        auto* one = new juce::DynamicObject();
        one->setProperty("name", stem.name);
        one->setProperty("checksum",
                         juce::String::toHexString(static_cast<juce::int64>(stem.checksum)));
        stems.add(one);
    }
    values->setProperty("spans", spans);
    values->setProperty("stems", stems);
    return result;
}

} // namespace

std::int64_t RenderRecord::startAt(double otherRate) const {
    return scale(start, startRate, otherRate);
}

std::vector<Span> RenderRecord::spansAt(double otherRate) const {
    std::vector<Span> result;
    for (const auto& span : spans)
        result.push_back({scale(span.begin, rate, otherRate), scale(span.end, rate, otherRate)});
    return result;
}

std::vector<Span> RenderRecord::onTimeline() const {
    auto result = spansAt(startRate);
    for (auto& span : result) {
        span.begin += start;
        span.end += start;
    }
    return result;
}

namespace store {

bool isId(const juce::String& text) {
    return text.length() == 32 && text.containsOnly("0123456789abcdef");
}

juce::File root() {
    return juce::File(juce::String::fromUTF8(installedFile().c_str())).getSiblingFile("renders");
}

juce::File folderOf(const juce::String& id) {
    return isId(id) ? root().getChildFile(id) : juce::File();
}

juce::File sourceOf(const juce::String& id) {
    return folderOf(id).getChildFile("track.wav");
}

juce::File stemsOf(const juce::String& id, const RenderRecord& record, double rate) {
    return folderOf(id).getChildFile(juce::approximatelyEqual(rate, record.rate)
                                         ? juce::String("stems")
                                         : "stems-" + juce::String(juce::roundToInt(rate)));
}

juce::Result make(juce::String& id) {
    const auto place = root();
    if (const auto done = place.getParentDirectory().createDirectory(); done.failed())
        return done;
    makeNewPrivateFolder(path(place)); // unless it is there
    id = juce::Uuid().toString();
    if (!isOwnFolder(path(place)) || !makeNewPrivateFolder(path(folderOf(id))))
        return juce::Result::fail("cannot make a folder in " + place.getFullPathName() +
                                  ": is it yours, and is there room?");
    return juce::Result::ok();
}

std::optional<RenderRecord> read(const juce::String& id, juce::String& problem) {
    const auto folder = folderOf(id);
    const auto file = folder.getChildFile("render.json");
    if (!isId(id) || !isOwnFolder(path(folder)) || !file.existsAsFile()) {
        problem = "the stems of this session are not on this machine (render " + id +
                  "): capture the track again";
        return std::nullopt;
    }
    juce::var values;
    std::optional<RenderRecord> result;
    const auto text = file.getSize() <= mostBytes ? file.loadFileAsString() : juce::String();
    if (isShallow(text) && juce::JSON::parse(text, values).wasOk())
        result = parse(values);
    if (!result)
        problem = file.getFullPathName() + " is damaged: capture the track again";
    return result;
}

juce::Result write(const juce::String& id, const RenderRecord& record) {
    const auto file = folderOf(id).getChildFile("render.json");
    // By a temporary name first.
    return file.replaceWithText(juce::JSON::toString(describe(record)), false, false, "\n")
               ? juce::Result::ok()
               : juce::Result::fail("cannot write " + file.getFullPathName() +
                                    ": is the disk full?");
}

juce::Result remove(const juce::String& id) {
    const auto folder = folderOf(id);
    return !isId(id) || !folder.exists() || folder.deleteRecursively()
               ? juce::Result::ok()
               : juce::Result::fail("cannot delete " + folder.getFullPathName());
}

juce::Result copy(const juce::File& from, const juce::File& to) {
    std::error_code failure;
    std::filesystem::create_hard_link(std::filesystem::u8path(path(from)),
                                      std::filesystem::u8path(path(to)), failure);
    return !failure || from.copyFileTo(to)
               ? juce::Result::ok()
               : juce::Result::fail("cannot write " + to.getFullPathName() +
                                    ": is the disk full?");
}

} // namespace store

} // namespace lars
