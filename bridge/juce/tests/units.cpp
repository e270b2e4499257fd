// SPDX-License-Identifier: GPL-3.0-or-later
// lars_units: the parts without a host or an engine. Says what is wrong and returns 1.
#include <cstdio>
#include <cstring>
#include <random>
#include <thread>

#include "engine/Aligner.h"
#include "engine/Fifo.h"
#include "engine/Plan.h"
#include "processor/Parameters.h"
#include "processor/State.h"
#include "protocol/Wire.h"

using namespace lars;

namespace {

int failures = 0;

void check(bool good, const char* what, long at = 0) {
    if (!good && ++failures < 20)
        std::fprintf(stderr, "wrong: %s (%ld)\n", what, at);
}

// A mixture whose sample says its position, and stems that are multiples of it.
float mixtureAt(std::int64_t position) {
    return static_cast<float>(position % 100000 + 1);
}

// However blocks fall and stems come, output n is position n - latency: the stem where it came in
// time and in order, the fallback where it did not, silence before the start.
void alignerIsAligned(unsigned seed) {
    std::mt19937 random(seed);
    const auto upTo = [&](int most) { return static_cast<int>(random() % (most + 1u)); };
    const int latency = upTo(300), largest = 1 + upTo(100), stems = 1 + upTo(2);
    Aligner aligner(stems, 1, latency, largest);
    std::vector<char> came;
    std::int64_t sent = 0, given = 0;
    const bool dry = upTo(1) == 1;
    for (int turn = 0; turn < 200; ++turn) {
        const int count = 1 + upTo(largest - 1);
        std::vector<float> in(static_cast<std::size_t>(count));
        for (int i = 0; i < count; ++i)
            in[static_cast<std::size_t>(i)] = mixtureAt(aligner.end() + i);
        const float* lines[] = {in.data()};
        aligner.take(lines, count);
        came.resize(static_cast<std::size_t>(aligner.end()), 0);
        while (sent < aligner.end() && upTo(3) > 0) {
            const int part =
                static_cast<int>(std::min<std::int64_t>(1 + upTo(60), aligner.end() - sent));
            if (upTo(5) > 0) {
                std::vector<float> made;
                for (int stem = 0; stem < stems; ++stem)
                    for (int i = 0; i < part; ++i)
                        made.push_back(mixtureAt(sent + i) * static_cast<float>(stem + 2));
                aligner.store(sent, made.data(), part);
                for (int i = 0; i < part; ++i)
                    if (sent + i >= given - latency)
                        came[static_cast<std::size_t>(sent + i)] = 1;
            }
            sent += part;
        }
        std::vector<std::vector<float>> out(static_cast<std::size_t>(stems),
                                            std::vector<float>(static_cast<std::size_t>(count)));
        std::vector<float*> targets;
        for (auto& line : out)
            targets.push_back(line.data());
        std::vector<float> delayed(static_cast<std::size_t>(count));
        float* delayedLines[] = {delayed.data()};
        const int replaced = aligner.give(targets.data(), delayedLines, count, dry);
        int expected = 0;
        for (int i = 0; i < count; ++i) {
            const auto position = given + i - latency;
            const auto place = static_cast<std::size_t>(i);
            const bool there = position >= 0 && came[static_cast<std::size_t>(position)] != 0;
            expected += position >= 0 && !there ? 1 : 0;
            const float mixture = position >= 0 ? mixtureAt(position) : 0.0f;
            check(std::abs(delayed[place] - mixture) < 1e-6f, "the delayed mixture", i);
            for (int stem = 0; stem < stems; ++stem) {
                const float share = dry ? mixture * (1.0f / static_cast<float>(stems)) : 0.0f;
                const float wanted = there ? mixture * static_cast<float>(stem + 2) : share;
                check(std::abs(out[static_cast<std::size_t>(stem)][place] - wanted) < 1e-6f,
                      "an aligned sample", i);
            }
        }
        check(replaced == expected, "the count of replaced samples", replaced);
        given += count;
    }
}

void queueKeepsOrderBetweenThreads() {
    Fifo<int> queue(64);
    constexpr int total = 200000;
    std::thread writer([&] {
        int next = 0;
        std::mt19937 random(1);
        int block[20];
        while (next < total) {
            const int count = std::min(1 + static_cast<int>(random() % 20), total - next);
            for (int i = 0; i < count; ++i)
                block[i] = next + i;
            if (queue.write(block, static_cast<std::size_t>(count)))
                next += count;
            else
                std::this_thread::yield();
        }
    });
    int next = 0, block[7];
    while (next < total) {
        const auto count = std::min<std::size_t>(7, queue.available());
        if (count == 0)
            std::this_thread::yield();
        check(queue.read(block, count), "a read of what is there");
        for (std::size_t i = 0; i < count; ++i)
            check(block[i] == next + static_cast<int>(i), "the order of a queue", next);
        next += static_cast<int>(count);
    }
    writer.join();
    check(!queue.read(block, 1), "a read of nothing");
}

// Whatever comes, the decoder gives messages, waits or refuses; what it gives can be encoded.
void decoderSurvivesDamage(unsigned seed) {
    using namespace protocol;
    std::mt19937 random(seed);
    Bytes data;
    Opened opened;
    opened.stems = {"kick", "snare"};
    encode(opened, data);
    Stems stems;
    stems.streams = 2;
    stems.frames = 5;
    stems.samples.assign(20, 0.25f);
    encode(stems, data);
    Error error;
    error.message = "Übung";
    encode(error, data);
    for (unsigned changes = random() % 4; changes > 0; --changes)
        data[random() % data.size()] = static_cast<std::uint8_t>(random());
    Decoder decoder(Decoder::Accept::everything);
    int found = 0;
    try {
        for (std::size_t at = 0; at < data.size();) {
            const auto part = std::min<std::size_t>(1 + random() % 50, data.size() - at);
            decoder.feed(data.data() + at, part);
            at += part;
            while (auto message = decoder.next()) {
                Bytes again;
                encode(*message, again);
                ++found;
            }
            check(decoder.pending() <= data.size(), "what the decoder holds");
        }
    } catch (const ProtocolError&) {
        bool still = false;
        try {
            decoder.next();
        } catch (const ProtocolError&) {
            still = true;
        }
        check(still, "a broken connection stays broken");
    }
    check(found <= 3, "messages out of nothing", found);
}

void stateSurvivesAndRefuses() {
    SavedState saved;
    saved.model = {"lars-mini", 7};
    saved.zoom = 150;
    saved.latencies["lars-mini||live|2|512|44100"] = 1234;
    saved.parameters = juce::ValueTree("lars");
    juce::MemoryBlock data;
    saveState(saved, data);
    const auto* bytes = static_cast<const char*>(data.getData());
    const int size = static_cast<int>(data.getSize());
    const auto loaded = loadState(bytes, size, "lars");
    check(loaded && loaded->model.name == "lars-mini" && loaded->model.place == 7 &&
              loaded->latencies == saved.latencies && loaded->zoom == 150 &&
              loaded->parameters.isValid(),
          "a state that was saved");
    // As the first version wrote it, before the window's zoom was kept, and with a command.
    const std::string older =
        R"(<?xml version="1.0" encoding="UTF-8"?> <LARS version="1" model="lars-mini")"
        R"( engineCommand="lars serve --idle 5" startEngine="1"><latency stream="lars-mini||live|2)"
        R"(|512|44100" samples="1234"/><parameters><lars zoom="150"><PARAM id="mix" value="50.0"/>)"
        R"(<PARAM id="kick_gain" value="nan"/></lars></parameters></LARS>)";
    const auto first = loadState(older.data(), static_cast<int>(older.size()), "lars");
    check(first && first->model.name == "lars-mini" && first->model.place == -1 &&
              first->latencies == saved.latencies && first->zoom == 100 &&
              first->parameters.getNumChildren() == 2,
          "an older state");
    juce::MemoryBlock again;
    saveState(*first, again);
    check(!again.toString().contains("engineCommand") && !again.toString().contains("serve") &&
              !again.toString().contains("startEngine"),
          "a command goes into no state");
    check(first && first->parameters.getChild(0).hasProperty("value") &&
              !first->parameters.getChild(1).hasProperty("value"),
          "a value that is no number is left out");
    check(!loadState(nullptr, 0, "lars"), "no state");
    check(!loadState("<OTHER version=\"1\"/>", 20, "lars"), "another plugin's state");
    const std::string newer = "<LARS version=\"9\" model=\"m\" new=\"1\"><unknown/></LARS>";
    const auto known = loadState(newer.data(), static_cast<int>(newer.size()), "lars");
    check(known && known->model.name == "m" && !known->parameters.isValid(), "a newer state");
    std::mt19937 random(3);
    for (int turn = 0; turn < 500; ++turn) {
        std::string damaged(bytes, static_cast<std::size_t>(size));
        damaged.resize(random() % (damaged.size() + 1));
        for (int i = 0; i < 3 && !damaged.empty(); ++i)
            damaged[random() % damaged.size()] = static_cast<char>(random());
        const auto found = loadState(damaged.data(), static_cast<int>(damaged.size()), "lars");
        for (const auto& [key, latency] : found ? found->latencies : std::map<std::string, int>())
            check(latency >= 0 && latency <= 1 << 26, "a latency in range", latency);
    }
}

// States come from anywhere: what would take the host's memory or its stack is refused, and what
// is not ours is not carried on.
void stateOfAnEnemyDoesNoHarm() {
    const auto load = [](const std::string& text) {
        return loadState(text.data(), static_cast<int>(text.size()), "lars");
    };
    std::string laughs = "<!DOCTYPE LARS [<!ENTITY a \"aaaaaaaaaaaaaaaa\">";
    for (char name = 'b'; name <= 'l'; ++name) {
        laughs += std::string("<!ENTITY ") + name + " \"";
        for (int i = 0; i < 10; ++i)
            laughs += std::string("&") + static_cast<char>(name - 1) + ";";
        laughs += "\">";
    }
    check(!load(laughs + "]><LARS version=\"1\" model=\"&l;\"/>"), "entities of entities");
    check(!load("<!DOCTYPE LARS [<!ENTITY a \"&a;\">]><LARS version=\"1\" model=\"&a;\"/>"),
          "an entity of itself");
    check(!load("<!DOCTYPE LARS SYSTEM \"/etc/passwd\"><LARS version=\"1\"/>"), "another file");
    std::string deep = "<LARS version=\"1\">";
    for (int i = 0; i < 100000; ++i)
        deep += "<a>";
    check(!load(deep), "elements without an end");
    const auto odd =
        load(R"(<LARS version="1" modelPlace="999999" model="&lt;x&gt;"><parameters>)"
             R"(<lars file="/etc/passwd"><PARAM id="mix" value="50.0" more="x"/><EVIL run="x"/>)"
             R"(<PARAM id="mix" value="1.0"/></lars></parameters></LARS>)");
    check(odd && odd->model.place == mostModels - 1 && odd->model.name == "<x>", "a place in range");
    check(odd && odd->parameters.getNumChildren() == 1 && odd->parameters.getNumProperties() == 0 &&
              odd->parameters.getChild(0).getNumProperties() == 2,
          "nothing but parameters");
}

void modelIsKeptByNameAndByPlaceWithoutAList() {
    const std::vector<std::string> models{"lars-fullmix", "lars-live"};
    ModelChoice nobody;
    nobody.resolve(models);
    check(nobody.name.isEmpty() && nobody.place == -1, "no choice stays none");
    ModelChoice host{{}, 1};
    host.resolve({});
    check(host.name.isEmpty() && host.place == 1, "a place waits for a list");
    host.resolve(models);
    check(host.name == "lars-live" && host.place == -1, "a place gets its name");
    ModelChoice beyond{"lars-live", 22};
    check(!beyond.canName(models), "a place that no model has");
    beyond.resolve(models);
    check(beyond.name == "lars-live" && beyond.place == 22, "it changes no model");
}

void defaultModelIsOneThatIsThere() {
    const std::vector<std::string> models{"cascade", "lars-live", "lars-mini", "mdx23c-small"};
    check(defaultModel(models, true) == "lars-live", "the default of a live stream");
    check(defaultModel(models, false) == "lars-mini", "the default of files");
    check(defaultModel({"other", "more"}, true) == "other", "the default of another engine");
    check(defaultModel({}, true).empty(), "no default without models");
}

} // namespace

int main() {
    for (unsigned seed = 0; seed < 200; ++seed) {
        alignerIsAligned(seed);
        decoderSurvivesDamage(seed);
    }
    queueKeepsOrderBetweenThreads();
    stateSurvivesAndRefuses();
    stateOfAnEnemyDoesNoHarm();
    modelIsKeptByNameAndByPlaceWithoutAList();
    defaultModelIsOneThatIsThere();
    std::printf("%d failures\n", failures);
    return failures > 0 ? 1 : 0;
}
