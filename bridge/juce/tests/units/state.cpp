// SPDX-License-Identifier: GPL-3.0-or-later
#include <random>

#include "Catch.h"
#include "engine/Offers.h"
#include "engine/Plan.h"
#include "parameters/Parameters.h"
#include "processor/State.h"

using namespace lars;

namespace {

std::optional<SavedState> load(const std::string& text) {
    return loadState(text.data(), static_cast<int>(text.size()), "lars");
}

SavedState example() {
    SavedState result;
    result.model = {"lars-mini", 7};
    result.zoom = 150;
    result.latencies["lars-mini||live|2|512|44100"] = 1234;
    result.parameters = juce::ValueTree("lars");
    return result;
}

std::string save(const SavedState& state) {
    juce::MemoryBlock data;
    saveState(state, data);
    return std::string(static_cast<const char*>(data.getData()), data.getSize());
}

} // namespace

TEST_CASE("A state comes back as it was saved") {
    const auto saved = example();
    const auto loaded = load(save(saved));
    REQUIRE(loaded);
    CHECK(loaded->model.name == "lars-mini");
    CHECK(loaded->model.place == 7);
    CHECK(loaded->latencies == saved.latencies);
    CHECK(loaded->zoom == 150);
    CHECK(loaded->parameters.isValid());
}

TEST_CASE("A state from before the residual has it muted, and one from after as it was") {
    auto saved = example();
    CHECK(float(load(save(saved))->parameters.getChildWithProperty("id", "residual_mute")["value"]) >
          0.5f);
    saved.parameters.appendChild(
        juce::ValueTree("PARAM", {{"id", "residual_mute"}, {"value", 0.0}}), nullptr);
    const auto loaded = load(save(saved));
    REQUIRE(loaded->parameters.getNumChildren() == 1);
    CHECK(float(loaded->parameters.getChild(0)["value"]) < 0.5f);
}

TEST_CASE("A state of the first version is read, without the command that it held") {
    // Before the window's zoom was kept.
    const auto first =
        load(R"(<?xml version="1.0" encoding="UTF-8"?> <LARS version="1" model="lars-mini")"
             R"( engineCommand="lars serve --idle 5" startEngine="1"><latency)"
             R"( stream="lars-mini||live|2|512|44100" samples="1234"/><parameters>)"
             R"(<lars zoom="150"><PARAM id="mix" value="50.0"/>)"
             R"(<PARAM id="kick_gain" value="nan"/></lars></parameters></LARS>)");
    REQUIRE(first);
    CHECK(first->model.name == "lars-mini");
    CHECK(first->model.place == -1);
    CHECK(first->latencies == example().latencies);
    CHECK(first->zoom == 100);
    REQUIRE(first->parameters.getNumChildren() == 3); // the last is of the residual, see below
    CHECK(first->parameters.getChild(0).hasProperty("value"));
    CHECK_FALSE(first->parameters.getChild(1).hasProperty("value")); // no number
    const auto again = save(*first);
    for (const auto* word : {"engineCommand", "serve", "startEngine"})
        CHECK(again.find(word) == std::string::npos);
}

TEST_CASE("Bytes that are not a state of this plugin are refused, and a newer one is read as far as known") {
    CHECK_FALSE(loadState(nullptr, 0, "lars"));
    CHECK_FALSE(load("<OTHER version=\"1\"/>"));
    const auto newer = load("<LARS version=\"9\" model=\"m\" new=\"1\"><unknown/></LARS>");
    REQUIRE(newer);
    CHECK(newer->model.name == "m");
    CHECK_FALSE(newer->parameters.isValid());
}

TEST_CASE("A damaged state is refused or read within its bounds") {
    const auto whole = save(example());
    std::mt19937 random(3);
    for (int turn = 0; turn < 500; ++turn) {
        auto damaged = whole;
        damaged.resize(random() % (damaged.size() + 1));
        for (int i = 0; i < 3 && !damaged.empty(); ++i)
            damaged[random() % damaged.size()] = static_cast<char>(random());
        const auto found = load(damaged);
        for (const auto& [key, latency] : found ? found->latencies : std::map<std::string, int>()) {
            CHECK(latency >= 0);
            CHECK(latency <= 1 << 26);
        }
    }
}

// States come from anywhere: what would take the host's memory or its stack is refused, and what
// is not ours is not carried on.
TEST_CASE("A hostile state does no harm") {
    std::string laughs = "<!DOCTYPE LARS [<!ENTITY a \"aaaaaaaaaaaaaaaa\">";
    for (char name = 'b'; name <= 'l'; ++name) {
        laughs += std::string("<!ENTITY ") + name + " \"";
        for (int i = 0; i < 10; ++i)
            laughs += std::string("&") + static_cast<char>(name - 1) + ";";
        laughs += "\">";
    }
    CHECK_FALSE(load(laughs + "]><LARS version=\"1\" model=\"&l;\"/>"));
    CHECK_FALSE(load("<!DOCTYPE LARS [<!ENTITY a \"&a;\">]><LARS version=\"1\" model=\"&a;\"/>"));
    CHECK_FALSE(load("<!DOCTYPE LARS SYSTEM \"/etc/passwd\"><LARS version=\"1\"/>"));
    std::string deep = "<LARS version=\"1\">";
    for (int i = 0; i < 100000; ++i)
        deep += "<a>";
    CHECK_FALSE(load(deep));
    const auto odd =
        load(R"(<LARS version="1" modelPlace="999999" model="&lt;x&gt;"><parameters>)"
             R"(<lars file="/etc/passwd"><PARAM id="mix" value="50.0" more="x"/><EVIL run="x"/>)"
             R"(<PARAM id="mix" value="1.0"/></lars></parameters></LARS>)");
    REQUIRE(odd);
    CHECK(odd->model.place == mostModels - 1);
    CHECK(odd->model.name == "<x>");
    REQUIRE(odd->parameters.getNumChildren() == 2); // with the residual's
    CHECK(odd->parameters.getNumProperties() == 0);
    CHECK(odd->parameters.getChild(0).getNumProperties() == 2);
}

TEST_CASE("Each task's model is in the state, and a state that has one gives it to its mode") {
    const auto load = [](const std::string& text) {
        return loadState(text.data(), static_cast<int>(text.size()), "lars");
    };
    SavedState saved;
    saved.model = {"lars-live", -1};
    saved.filesModel = {"mdx23c-large", 4};
    juce::MemoryBlock data;
    saveState(saved, data);
    const auto loaded = loadState(data.getData(), static_cast<int>(data.getSize()), "lars");
    REQUIRE(loaded);
    CHECK(loaded->model.name == "lars-live");
    CHECK(loaded->filesModel.name == "mdx23c-large");
    CHECK(loaded->filesModel.place == 4);
    const std::string before = R"(<LARS version="1" model="m"><parameters><lars><PARAM id="mode" value=")";
    const auto live = load(before + R"(0.0"/></lars></parameters></LARS>)");
    REQUIRE(live);
    CHECK(live->model.name == "m");
    CHECK(live->filesModel.name == "");
    const auto offline = load(before + R"(1.0"/></lars></parameters></LARS>)");
    REQUIRE(offline);
    CHECK(offline->model.name == "");
    CHECK(offline->filesModel.name == "m");
}

TEST_CASE("What a status tells of models is read, and what is damaged is left out") {
    const auto read = [](const std::string& text) {
        return readOffers(protocol::Bytes(text.begin(), text.end()));
    };
    const auto offers = read(R"({"offers": [{"name": "a", "weights": false, "purpose": "for b",
        "stems": ["kick", "snare"], "made_for": "live", "live_ms": 34.4, "bytes": 6141896},
        {"weights": true}, 7, {"name": "old"}, {"name": 5}, {"name": "c", "live_ms": -1, "bytes": "x",
        "stems": "kick", "purpose": [], "new": {}}]})");
    REQUIRE(offers.size() == 3);
    CHECK(offers[0].name == "a");
    CHECK_FALSE(offers[0].weights);
    CHECK(offers[0].live);
    CHECK(offers[0].liveMs == 34.4);
    CHECK(offers[0].bytes == 6141896);
    CHECK(offers[0].stems == std::vector<std::string>{"kick", "snare"});
    CHECK(offers[1].weights);
    CHECK(offers[2].liveMs == 0.0);
    CHECK(offers[2].purpose.empty());
    for (const auto* damaged : {"", "{", "[]", "{\"offers\": 5}", "{\"offers\": {}}", "\xff\xfe", "null"})
        CHECK(read(damaged).empty());
    CHECK(read("{\"offers\": " + std::string(1 << 19, '[')).empty());
}

TEST_CASE("The model is kept by name, and by place where there is no list") {
    const std::vector<std::string> models{"lars-fullmix", "lars-live"};
    ModelChoice nobody;
    nobody.resolve(models);
    CHECK(nobody.name.isEmpty());
    CHECK(nobody.place == -1);
    ModelChoice host{{}, 1};
    host.resolve({});
    CHECK(host.name.isEmpty());
    CHECK(host.place == 1);
    host.resolve(models);
    CHECK(host.name == "lars-live");
    CHECK(host.place == -1);
    ModelChoice beyond{"lars-live", 22};
    CHECK_FALSE(beyond.canName(models));
    beyond.resolve(models);
    CHECK(beyond.name == "lars-live");
    CHECK(beyond.place == 22);
}

TEST_CASE("The default model is one that is there") {
    const std::vector<std::string> models{"cascade", "lars-live", "lars-mini", "mdx23c-small"};
    CHECK(defaultModel(models, true) == "lars-live");
    CHECK(defaultModel(models, false) == "lars-mini");
    CHECK(defaultModel({"other", "more"}, true) == "other");
    CHECK(defaultModel({}, true).empty());
}
