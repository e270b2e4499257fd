// SPDX-License-Identifier: GPL-3.0-or-later
// The effects behind the stems: what is kept of them, and what is asked of the engine.
#include <random>

#include "Catch.h"
#include "engine/ChainDesk.h"
#include "engine/LinkBoard.h"
#include "processor/State.h"

using namespace lars;

namespace {

Chains example() {
    ChainEntry compressor{"1", "Compressor", "", "", false, {}};
    compressor.values = {{"threshold_db", -20.5}, {"ratio", 4.0}};
    ChainEntry plate{"2", "vst3/Plate.vst3", "Plate \"<&>\"", "AQIDBA==", true, {{"mix", 0.25}}};
    return {{"snare", {compressor, plate}}, {"kick", {{"1", "Gain", "", "", false, {}}}}};
}

protocol::Bytes bytes(const std::string& text) {
    return {text.begin(), text.end()};
}

std::optional<SavedState> saveAndLoad(const SavedState& state) {
    juce::MemoryBlock data;
    saveState(state, data);
    return loadState(data.getData(), static_cast<int>(data.getSize()), "lars");
}

} // namespace

TEST_CASE("Chains come back from their text as they were, and without states if wanted so") {
    CHECK(readChains(writeChains(example(), true)) == example());
    auto without = example();
    without["snare"][1].state.clear();
    CHECK(readChains(writeChains(example(), false)) == without);
    CHECK(readChains(writeChains({}, true)).empty());
}

TEST_CASE("A session keeps the chains, and one from before them has none") {
    SavedState state;
    state.parameters = juce::ValueTree("lars");
    const auto before = saveAndLoad(state);
    REQUIRE(before);
    CHECK(before->chains.empty());
    state.chains = example();
    const auto loaded = saveAndLoad(state);
    REQUIRE(loaded);
    CHECK(loaded->chains == example());
}

TEST_CASE("States of plugins that are too large for a session are left out, the rest is kept") {
    SavedState state;
    state.parameters = juce::ValueTree("lars");
    state.chains = example();
    for (int i = 0; i < 6; ++i) {
        const std::string kept(1 << 18, 'A');
        ChainEntry large{std::to_string(i), "vst3/Large.vst3", "", kept, false, {}};
        state.chains["toms"].push_back(large);
    }
    auto loaded = saveAndLoad(state);
    REQUIRE(loaded);
    REQUIRE(loaded->chains["toms"].size() == 6);
    CHECK(loaded->chains["toms"][0].state.empty());
    CHECK(loaded->chains["kick"] == example()["kick"]);
}

TEST_CASE("What a session says of effects is bounded and names no path; what is odd is left out") {
    CHECK(readChains("").empty());
    CHECK(readChains("not json").empty());
    CHECK(readChains(std::string(1 << 19, '[')).empty());
    CHECK(readChains("{\"stems\": " + std::string(100000, '{')).empty());
    // JUCE's parser takes single quotes, too: the brackets behind this one are not in a text.
    CHECK(readChains(R"({"stems": '"', "x": )" + std::string(1 << 19, '[')).empty());
    const auto odd = readChains(
        R"({"stems": {"kick": [{"id": "1", "effect": "vst3//tmp/evil.vst3"},)"
        R"({"id": "2", "effect": "vst3/../evil.vst3"}, {"id": "3", "effect": "C:\\evil"},)"
        R"({"id": "4"}, {"effect": "Gain"}, 7, null, {"id": "5", "effect": "Gain", "path": "/x",)"
        R"("parameters": {"gain_db": -3, "a": "x", "b": 1e300, "c": true}},)"
        R"({"id": "5", "effect": "Gain"}], "snare": 3, "toms": []}})");
    REQUIRE(odd.size() == 1);
    REQUIRE(odd.at("kick").size() == 1);
    CHECK(odd.at("kick")[0].id == "5");
    CHECK(odd.at("kick")[0].values == std::map<std::string, double>{{"gain_db", -3.0}});
    std::string many = R"({"stems": {"kick": [)";
    for (int i = 0; i < 50; ++i)
        many += (i > 0 ? "," : "") + (R"({"id": ")" + std::to_string(i) + R"(", "effect": "Gain"})");
    CHECK(readChains(many + "]}}").at("kick").size() == mostEffects);
    // Damaged: read within its bounds, or not at all.
    std::mt19937 random(5);
    const auto whole = writeChains(example(), true);
    for (int turn = 0; turn < 300; ++turn) {
        auto damaged = whole;
        for (int i = 0; i < 3; ++i)
            damaged[random() % damaged.size()] = static_cast<char>(random());
        for (const auto& [stem, chain] : readChains(damaged))
            CHECK(chain.size() <= mostEffects);
    }
}

TEST_CASE("What the engine tells of effects is read") {
    const auto report = readChainReport(bytes(
        R"({"stems": {"snare": [{"id": "2", "effect": "vst3/Plate.vst3", "bypass": false,)"
        R"("latency": 64, "state": "AQID", "error": "no", "names": ["A", "B"], "parameters":)"
        R"([{"name": "mix", "title": "Mix", "min": 0, "max": 1, "default": 0.5, "value": 0.25,)"
        R"("text": "25 %"}, {"name": "bad", "min": 1, "max": 0}]}], "kick": []}})"));
    REQUIRE(report.at("snare").size() == 1);
    const auto& one = report.at("snare")[0];
    CHECK(one.latency == 64);
    CHECK(one.state == "AQID");
    CHECK(one.error == "no");
    CHECK(one.names == std::vector<std::string>{"A", "B"});
    REQUIRE(one.parameters.size() == 1);
    CHECK(one.parameters[0].text == "25 %");
    CHECK(one.parameters[0].value == 0.25);
    const auto effects = readEffects(bytes(
        R"({"effects": [{"effect": "LadderFilter", "title": "Ladder", "parameters": [{"name": "mode",)"
        R"("title": "Mode", "min": 0, "max": 1, "choices": ["LPF", "HPF"]}, {"name": "cutoff_hz",)"
        R"("title": "Frequency", "min": 20, "max": 20000, "unit": "Hz", "log": true}]}],)"
        R"("plugins": [{"effect": "vst3/Plate.vst3", "title": "Plate"}]})"));
    REQUIRE(effects.size() == 2);
    CHECK_FALSE(effects[0].onDisk);
    CHECK(effects[0].parameters[0].choices.size() == 2);
    CHECK(effects[0].parameters[1].logarithmic);
    CHECK(effects[1].onDisk);
}

TEST_CASE("A wish has another number when it changes, and its plugins' states come into it") {
    ChainDesk desk;
    const auto none = desk.newerThan(0);
    REQUIRE(none);
    CHECK(none->chains.empty());
    CHECK_FALSE(desk.newerThan(none->version));
    desk.want(example());
    const auto first = desk.newerThan(none->version);
    REQUIRE(first);
    CHECK(first->effects != none->effects);
    auto louder = example();
    louder["kick"][0].values["gain_db"] = 3.0;
    louder["toms"] = {}; // an empty chain is none
    desk.want(louder);
    const auto second = desk.newerThan(first->version);
    REQUIRE(second);
    CHECK(second->effects == first->effects); // the effects are the same
    CHECK(second->chains.count("toms") == 0);
    std::swap(louder["snare"][0], louder["snare"][1]);
    desk.want(louder);
    CHECK(desk.newerThan(second->version)->effects != second->effects);
    ChainReport report;
    report["snare"].push_back({"2", "", "BQYH", {}, {}, 64});
    const auto news = desk.news();
    desk.answered(report);
    CHECK(desk.news() != news);
    CHECK(desk.wanted()["snare"][0].state == "BQYH");
    CHECK_FALSE(desk.takeEffectsWanted());
    desk.askForEffects();
    CHECK(desk.takeEffectsWanted());
}

TEST_CASE("Effects that are late make another plan, for the host to hear of") {
    Exchange exchange;
    LinkBoard board(exchange);
    StreamSettings settings;
    board.order(settings);
    const auto order = board.newerThan(0);
    REQUIRE(order);
    protocol::Opened answer;
    answer.latency = 100;
    answer.stems = {"kick", "snare"};
    const auto plain = board.opened(*order, answer);
    answer.latency = 227;
    answer.boardLatency = 127;
    const auto late = board.opened(*order, answer, 0, true);
    CHECK(late != plain);
    CHECK(board.latency() == 227);
    CHECK(board.status().boardLatency == 127);
    CHECK(board.opened(*order, answer, 0, true) == late); // nothing is another now
    CHECK(board.opened(*order, answer, 0, false) != late);
}
