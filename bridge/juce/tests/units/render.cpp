// SPDX-License-Identifier: GPL-3.0-or-later
#include <random>
#include <set>

#include <juce_audio_formats/juce_audio_formats.h>

#include "Catch.h"
#include "render/Capture.h"
#include "render/RenderPlayer.h"
#include "render/Store.h"

using namespace lars;

namespace {

struct Folder {
    juce::File place = juce::File::getSpecialLocation(juce::File::tempDirectory)
                           .getChildFile("lars-units-" + juce::Uuid().toString());
    Folder() { place.createDirectory(); }
    ~Folder() { place.deleteRecursively(); }
};

float sampleAt(std::int64_t position, int channel, int pass) {
    return static_cast<float>(position * 10 + channel) + 0.25f * static_cast<float>(pass);
}

} // namespace

TEST_CASE("Spans are the places that were added, in order, and none touches another") {
    std::mt19937 choose(3);
    for (int round = 0; round < 200; ++round) {
        Spans spans;
        std::set<std::int64_t> places;
        for (int turn = 0; turn < 12; ++turn) {
            const auto begin = static_cast<std::int64_t>(choose() % 60) - 30;
            const auto end = begin + static_cast<std::int64_t>(choose() % 9);
            spans.add({begin, end});
            for (auto at = begin; at < end; ++at)
                places.insert(at);
        }
        std::set<std::int64_t> found;
        std::int64_t last = -1000;
        for (const auto& span : spans.list()) {
            CHECK(span.begin > last); // with a gap between them
            for (auto at = span.begin; at < span.end; ++at)
                found.insert(at);
            last = span.end;
        }
        CHECK(found == places);
        const Span whole{-35, 40};
        std::set<std::int64_t> missing;
        for (const auto& span : spans.missing(whole))
            for (auto at = span.begin; at < span.end; ++at)
                missing.insert(at);
        for (auto at = whole.begin; at < whole.end; ++at)
            CHECK(missing.count(at) + places.count(at) == 1);
    }
}

TEST_CASE("A take has what was put last at each place, and silence where there was nothing") {
    const Folder folder;
    const auto channels = GENERATE(1, 2);
    Take take(folder.place.getChildFile("scratch"), 48000.0, channels);
    std::map<std::int64_t, int> heard; // the pass that was last
    std::mt19937 choose(5);
    // Around the ends of pages, which are 65536 frames, and below 0.
    for (int pass = 0; pass < 40; ++pass) {
        const auto position = static_cast<std::int64_t>(choose() % 5) * 65536 - 131072 - 700 +
                              static_cast<std::int64_t>(choose() % 1400);
        const int count = 1 + static_cast<int>(choose() % 2048);
        std::vector<float> frames;
        for (int i = 0; i < count; ++i)
            for (int channel = 0; channel < channels; ++channel)
                frames.push_back(sampleAt(position + i, channel, pass));
        REQUIRE(take.put(position, frames.data(), count));
        for (int i = 0; i < count; ++i)
            heard[position + i] = pass;
    }
    const auto wav = folder.place.getChildFile("take.wav");
    REQUIRE(take.write(wav).wasOk());
    juce::String problem;
    const auto made = MappedWav::open(wav, problem);
    REQUIRE(made != nullptr);
    CHECK(made->rate() == 48000.0);
    CHECK(made->channels() == channels);
    const auto begin = heard.begin()->first;
    REQUIRE(made->frames() == heard.rbegin()->first + 1 - begin);
    bool same = true;
    for (std::int64_t at = 0; at < made->frames(); ++at)
        for (int channel = 0; channel < channels; ++channel) {
            float sample = 0.0f;
            made->read(channel, at, 1, &sample);
            const auto found = heard.find(begin + at);
            const float wanted =
                found == heard.end() ? 0.0f : sampleAt(begin + at, channel, found->second);
            same = same && sample == wanted;
        }
    CHECK(same);
    // What yields fills gaps only.
    Spans before = take.spans();
    const std::vector<float> more(static_cast<std::size_t>(4096 * channels), -1.0f);
    const auto middle = (take.spans().whole().begin + take.spans().whole().end) / 2;
    REQUIRE(take.put(middle - 2048, more.data(), 4096, true));
    REQUIRE(take.write(wav).wasOk());
    const auto filled = MappedWav::open(wav, problem);
    REQUIRE(filled != nullptr);
    for (std::int64_t at = middle - 2048; at < middle + 2048; ++at) {
        float sample = 0.0f;
        filled->read(channels - 1, at - begin, 1, &sample);
        const auto found = heard.find(at);
        if (sample != (found == heard.end() ? -1.0f : sampleAt(at, channels - 1, found->second)))
            FAIL("at " << at);
    }
    CHECK(take.spans().list().size() <= before.list().size() + 1);
    // What is too far off is refused, and what is there stays.
    const float one[2] = {1.0f, 1.0f};
    CHECK_FALSE(take.put(std::int64_t{1} << 40, one, 1));
    CHECK(take.spans().whole().begin == begin);
}

TEST_CASE("A capture has all that was played at its places, in the order in which it was played") {
    const Folder folder;
    Capture capture;
    float left[3000], right[3000];
    const float* lines[2] = {left, right};
    capture.add(lines, 2, 3000, 0, false); // nothing is on yet
    capture.begin(folder.place.getChildFile("scratch"), 44100.0, 2);
    for (int pass = 0; pass < 2; ++pass)
        for (std::int64_t at = 0; at < 60000; at += 3000) {
            for (int i = 0; i < 3000; ++i) {
                left[i] = sampleAt(at + i, 0, pass);
                right[i] = sampleAt(at + i, 1, pass);
            }
            capture.add(lines, 2, 3000, at - 1000, true);
        }
    const auto take = capture.end();
    REQUIRE(take != nullptr);
    CHECK(capture.end() == nullptr);
    CHECK(capture.lost() == 0);
    CHECK(take->spans().list() == std::vector<Span>{{-1000, 59000}});
    const auto wav = folder.place.getChildFile("take.wav");
    REQUIRE(take->write(wav).wasOk());
    juce::String problem;
    const auto made = MappedWav::open(wav, problem);
    REQUIRE(made != nullptr);
    float sample = 0.0f;
    for (std::int64_t at : {0, 1, 2999, 3000, 31234, 59999}) {
        made->read(1, at, 1, &sample);
        CHECK(sample == sampleAt(at, 1, 1));
    }
}

TEST_CASE("A file that is not a WAV file of floats is refused, however it is damaged") {
    const Folder folder;
    const auto wav = folder.place.getChildFile("a.wav");
    {
        Take take(folder.place.getChildFile("scratch"), 44100.0, 2);
        const std::vector<float> frames(2000, 0.5f);
        REQUIRE(take.put(0, frames.data(), 1000));
        REQUIRE(take.write(wav).wasOk());
    }
    juce::MemoryBlock whole;
    REQUIRE(wav.loadFileAsData(whole));
    std::mt19937 choose(7);
    for (int round = 0; round < 500; ++round) {
        auto bytes = whole;
        for (int i = 0; i < 3; ++i) // mostly in the head
            bytes[static_cast<int>(choose() % (round % 2 == 0 ? 120 : bytes.getSize()))] =
                static_cast<char>(choose() % 256);
        if (round % 3 == 0)
            bytes.setSize(choose() % bytes.getSize());
        const auto damaged = folder.place.getChildFile("b" + juce::String(round) + ".wav");
        REQUIRE(damaged.replaceWithData(bytes.getData(), bytes.getSize()));
        juce::String problem;
        if (const auto made = MappedWav::open(damaged, problem)) {
            made->checksum(); // all that it says it has is there
            made->touch(-100, made->frames() + 100);
            CHECK(made->channels() <= 2);
        } else {
            CHECK(problem.contains(damaged.getFullPathName()));
        }
    }
    juce::String problem;
    CHECK(MappedWav::open(folder.place.getChildFile("none.wav"), problem) == nullptr);
    CHECK(problem.contains("not there"));
}

TEST_CASE("A render's description comes back as it was written, and no number names a path") {
    juce::String id, problem;
    REQUIRE(store::make(id).wasOk());
    CHECK(store::isId(id));
    RenderRecord record;
    record.frames = 123456;
    record.start = -44100;
    record.startRate = 48000.0;
    record.spans = {{0, 10}, {20, 123456}};
    record.source = "Drums \"1\" [[[[[[[[[[.mp3";
    record.model = "lars-mini";
    record.preset = "balanced";
    record.stems = {{"kick", 0xFEDCBA9876543210u}, {"hihat", 1}};
    REQUIRE(store::write(id, record).wasOk());
    const auto read = store::read(id, problem);
    REQUIRE(read);
    CHECK(read->frames == record.frames);
    CHECK(read->start == record.start);
    CHECK(read->spans == record.spans);
    CHECK(read->source == record.source);
    CHECK(read->model == record.model);
    REQUIRE(read->stems.size() == 2);
    CHECK(read->stems[0].name == "kick");
    CHECK(read->stems[0].checksum == record.stems[0].checksum);
    CHECK(read->startAt(48000.0) == -44100);
    CHECK(read->startAt(96000.0) == -88200);
    for (const auto* name : {"../kick", "/kick", "a/b", "..", ""}) {
        auto evil = record;
        evil.stems = {{name, 1}};
        REQUIRE(store::write(id, evil).wasOk());
        CHECK_FALSE(store::read(id, problem));
    }
    // The last two are as deep as a megabyte can be: JUCE's parser would go down all the way.
    const auto deep = juce::String::repeatedString("[", (1 << 20) - 8);
    for (const auto& text : {juce::String(R"({"spans": 1})"), juce::String("["),
                             juce::String(R"([{}])"), juce::String(), juce::String(R"(["\)"),
                             deep, R"(['"', )" + deep}) {
        REQUIRE(store::folderOf(id).getChildFile("render.json").replaceWithText(text));
        CHECK_FALSE(store::read(id, problem));
    }
    CHECK(store::remove(id).wasOk());
    CHECK_FALSE(store::read(id, problem));
    for (const auto* text : {"", "..", "../../etc", "0123456789abcdef0123456789abcdeF",
                             "0123456789abcdef0123456789abcde/", "/etc"}) {
        CHECK_FALSE(store::isId(text));
        CHECK(store::folderOf(text) == juce::File());
        CHECK(store::remove(text).wasOk()); // and nothing is removed
    }
}

TEST_CASE("The render's player gives each stem its samples in what was captured, else shares") {
    const Folder folder;
    Take take(folder.place.getChildFile("scratch"), 44100.0, 2);
    std::vector<float> frames;
    for (int i = 0; i < 300; ++i)
        for (int channel = 0; channel < 2; ++channel)
            frames.push_back(sampleAt(i, channel, 0));
    REQUIRE(take.put(0, frames.data(), 300));
    const auto wav = folder.place.getChildFile("kick.wav");
    REQUIRE(take.write(wav).wasOk());
    auto rendering = std::make_unique<Rendering>();
    juce::String problem;
    rendering->bus = {0, -1};
    for (int stem = 0; stem < 2; ++stem)
        rendering->stems.push_back(MappedWav::open(wav, problem));
    rendering->start = 1000;
    rendering->spans = {{0, 100}, {200, 300}};
    RenderPlayer player;
    player.publish(std::move(rendering));
    CHECK_FALSE(player.freeRetired());
    player.adopt();
    CHECK(player.freeRetired());
    REQUIRE(player.bus().size() == 2);

    const std::vector<float> input(700, 0.5f);
    const float* in[2] = {input.data(), input.data()};
    std::vector<std::vector<float>> out(4, std::vector<float>(700));
    float* lines[4] = {out[0].data(), out[1].data(), out[2].data(), out[3].data()};
    const auto expected = [](std::int64_t at, int channel, float share) {
        const auto frame = at - 1000;
        return (frame >= 0 && frame < 100) || (frame >= 200 && frame < 300)
                   ? sampleAt(frame, channel, 0)
                   : share;
    };
    for (const bool dry : {true, false})
        for (const int count : {1, 7, 700})
            for (std::int64_t begin = 700; begin < 1400; begin += count) {
                player.give(in, 2, begin, count, lines, dry);
                bool same = true;
                for (int line = 0; line < 4; ++line)
                    for (int i = 0; i < count; ++i)
                        same = same && lines[line][i] ==
                                           expected(begin + i, line % 2, dry ? 0.25f : 0.0f);
                CHECK(same);
            }
    player.give(in, 2, std::nullopt, 700, lines, true);
    CHECK(out[3] == std::vector<float>(700, 0.25f));
    // A mono track hears the mean of a stereo render.
    player.give(in, 1, 1000, 100, lines, true);
    CHECK(out[0][5] == 0.5f * (sampleAt(5, 0, 0) + sampleAt(5, 1, 0)));
}
