// SPDX-License-Identifier: GPL-3.0-or-later
// The orders of streams, and when an engine is started. Needs a runtime folder of its own.
#include <thread>

#include "Catch.h"
#include "engine/LaunchPolicy.h"
#include "engine/LinkBoard.h"
#include "engine/StemPlayer.h"

using namespace lars;

namespace {

protocol::Opened answer(std::uint32_t latency = 100) {
    protocol::Opened result;
    result.latency = latency;
    result.stems = {"kick", "snare"};
    return result;
}

using Time = LaunchPolicy::Time;
const Time start = Time() + std::chrono::hours(1);

Time after(int seconds) {
    return start + std::chrono::seconds(seconds);
}

// Decides until the process that was started has ended, which takes a moment.
LaunchPolicy::Decision decideUntilItEnds(LaunchPolicy& policy, Time now) {
    LaunchPolicy::Decision result{true, ""};
    for (int turn = 0; turn < 1000 && result.starting; ++turn) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
        result = policy.decide(false, "no engine", now);
    }
    return result;
}

} // namespace

TEST_CASE("An order is ready when it is answered, and not when an earlier one is") {
    Exchange exchange;
    LinkBoard board(exchange);
    CHECK_FALSE(board.newerThan(0));
    StreamSettings settings;
    board.order(settings);
    const auto first = board.newerThan(0);
    REQUIRE(first);
    CHECK(first->settings == settings);
    CHECK_FALSE(board.newerThan(first->number));

    settings.model = "other";
    board.order(settings);
    CHECK(board.opened(*first, answer()) == 0); // another one is ordered by now
    CHECK_FALSE(board.waitUntilReady(0));
    CHECK(exchange.opened.load() == 0);
    const auto second = board.newerThan(first->number);
    REQUIRE(second);
    CHECK(board.opened(*second, answer()) != 0);
    CHECK(board.waitUntilReady(0));
    CHECK(exchange.opened.load() == second->number);
    CHECK(board.latency() == 100);
}

TEST_CASE("A stream that is open is not ordered twice, and its fallback may change") {
    Exchange exchange;
    LinkBoard board(exchange);
    StreamSettings settings;
    board.order(settings);
    const auto order = board.newerThan(0);
    REQUIRE(order);
    board.opened(*order, answer());
    settings.silence = true;
    board.order(settings);
    CHECK_FALSE(board.newerThan(order->number));
    CHECK(board.wantsSilence());
    board.orderAgain();
    CHECK(board.newerThan(order->number));
}

TEST_CASE("A stream that is lost is ordered again, and keeps its plan") {
    Exchange exchange;
    LinkBoard board(exchange);
    board.lost();
    CHECK_FALSE(board.newerThan(0)); // there was nothing to lose
    board.order({});
    const auto first = board.newerThan(0);
    REQUIRE(first);
    const auto plan = board.opened(*first, answer());
    board.lost();
    CHECK_FALSE(board.waitUntilReady(0));
    const auto second = board.newerThan(first->number);
    REQUIRE(second);
    CHECK(board.opened(*second, answer()) == plan);
    CHECK(exchange.opened.load() != first->number); // the player sees that it is another stream
    board.lost();
    const auto third = board.newerThan(second->number);
    REQUIRE(third);
    CHECK(board.opened(*third, answer(200)) != plan); // another latency
}

TEST_CASE("A refused order is answered, and is not ready") {
    Exchange exchange;
    LinkBoard board(exchange);
    board.order({});
    const auto order = board.newerThan(0);
    REQUIRE(order);
    board.refused(*order, "no such model");
    CHECK_FALSE(board.waitUntilReady(60000)); // at once
    CHECK(board.status().state == LinkState::refused);
    CHECK(board.status().message == "no such model");
    CHECK_FALSE(exchange.hopeful.load());
}

TEST_CASE("The player takes the stems of its own life only") {
    Exchange exchange;
    LinkBoard board(exchange);
    StreamSettings settings;
    settings.channels = 1;
    settings.block = 4;
    board.order(settings);
    const auto order = board.newerThan(0);
    REQUIRE(order);
    const auto plan = board.opened(*order, answer(4)); // two stems, four samples late
    StemPlayer player(exchange);
    REQUIRE(player.adopt());
    REQUIRE(player.plan()->id == plan);
    const float in[] = {1.0f, 2.0f, 3.0f, 4.0f};
    const float* const input[] = {in};
    std::vector<float> kick(4), snare(4), mixture(4);
    float* const stems[] = {kick.data(), snare.data()};
    float* const mixtures[] = {mixture.data()};
    const auto play = [&](std::uint32_t lifeOffset) {
        player.restart();
        player.process(input, 4, stems, mixtures, false, false);
        AudioPiece piece;
        std::optional<AudioPiece> sent;
        while (exchange.up.read(piece)) {
            exchange.upAudio.read(nullptr, piece.frames);
            sent = piece;
        }
        REQUIRE(sent);
        CHECK(sent->plan == plan);
        const float result[] = {10, 20, 30, 40, 50, 60, 70, 80};
        REQUIRE(exchange.downAudio.write(result, 8));
        REQUIRE(exchange.down.write({sent->life + lifeOffset, sent->position, 4, 2}));
        player.process(input, 4, stems, mixtures, false, false);
    };
    play(0);
    CHECK(kick == std::vector<float>{10, 20, 30, 40});
    CHECK(snare == std::vector<float>{50, 60, 70, 80});
    CHECK(mixture == std::vector<float>{1, 2, 3, 4});
    play(1); // of another life
    CHECK(kick == std::vector<float>{0, 0, 0, 0});
    CHECK(exchange.missing.load() == 4);
}

TEST_CASE("An engine starts by itself only for a stream, and not twice in half a minute") {
    LaunchPolicy policy;
    CHECK_FALSE(policy.decide(true, "no engine", start).starting); // nobody wants that
    CHECK(policy.set("sleep 1", true));
    CHECK_FALSE(policy.set("", true)); // no change
    const auto none = policy.decide(false, "no engine", start);
    CHECK_FALSE(none.starting);
    CHECK(none.problem == "no engine");
    CHECK_FALSE(policy.isHopeful(start));
    CHECK(policy.decide(true, "no engine", start).starting);
    CHECK(policy.isHopeful(after(59)));
    CHECK_FALSE(policy.isHopeful(after(60)));
    const auto ended = decideUntilItEnds(policy, after(2));
    CHECK(ended.problem.find("has ended: it said nothing; see ") != std::string::npos);
    CHECK_FALSE(policy.isHopeful(after(2)));
    CHECK_FALSE(policy.decide(true, "no engine", after(29)).starting);
    CHECK(policy.decide(true, "no engine", after(60)).starting);
    CHECK_FALSE(decideUntilItEnds(policy, after(61)).starting);
}

TEST_CASE("Whoever lets an engine start by itself while there is none asks for one, once") {
    LaunchPolicy policy;
    CHECK(policy.set("sleep 1", true, false)); // one is there
    CHECK_FALSE(policy.requested());
    CHECK(policy.set("", false, true)); // not by itself
    CHECK_FALSE(policy.requested());
    CHECK(policy.set("", true, true));
    CHECK(policy.requested());
    CHECK(policy.decide(false, "no engine", start).starting);
    CHECK_FALSE(policy.set("", true, true)); // no change
    CHECK(policy.set("sleep 2", true, true)); // another command, by itself as before
    CHECK_FALSE(policy.requested());
}

TEST_CASE("An engine that somebody asks for starts at once, and again") {
    LaunchPolicy policy;
    policy.set("sleep 0.1", false);
    for (int turn = 0; turn < 2; ++turn) {
        policy.ask();
        CHECK(policy.requested());
        CHECK(policy.decide(false, "no engine", after(turn)).starting);
        CHECK_FALSE(policy.requested());
        CHECK_FALSE(decideUntilItEnds(policy, after(turn)).starting);
    }
    policy.ask();
    policy.found(); // one is there by now
    CHECK_FALSE(policy.requested());
}

TEST_CASE("A command that cannot be run is told of") {
    LaunchPolicy policy;
    policy.set("/nowhere/lars serve", false);
    policy.ask();
    const auto decision = policy.decide(true, "no engine", start);
    CHECK_FALSE(decision.starting);
    CHECK(decision.problem.find("cannot run \"/nowhere/lars serve\"") != std::string::npos);
    // And it stays told until an engine is there.
    for (int second = 1; second < 100; ++second)
        CHECK(policy.decide(true, "no engine", after(second)).problem == decision.problem);
    policy.found();
    CHECK(policy.decide(true, "no engine", after(100)).problem == "no engine");
}

TEST_CASE("The last line of an engine that has ended is told") {
    LaunchPolicy policy;
    policy.set("sh -c \"echo first; echo the disk is full >&2; echo\"", false);
    policy.ask();
    policy.decide(true, "no engine", start); // it may have ended by now
    const auto ended = decideUntilItEnds(policy, after(1));
    CHECK(ended.problem.find("has ended: the disk is full; see ") != std::string::npos);
}

TEST_CASE("One engine is enough for all instances, and a second is not started beside it") {
    const auto later = after(1000000);
    LaunchPolicy first, second;
    first.set("sleep 5", true);
    second.set("/nowhere/lars serve", true);
    CHECK(first.decide(true, "no engine", later).starting);
    const auto decision = second.decide(true, "no engine", later + std::chrono::seconds(29));
    CHECK(decision.starting);
    CHECK(decision.problem == "the engine is being started");
    CHECK(second.isHopeful(later + std::chrono::seconds(30)));
    // It never came.
    const auto own = second.decide(true, "no engine", later + std::chrono::seconds(30));
    CHECK_FALSE(own.starting);
    CHECK(own.problem.find("cannot run") != std::string::npos);
}

TEST_CASE("An engine that always fails is started ever more rarely") {
    LaunchPolicy policy;
    policy.set("/nowhere/lars serve", true);
    const auto from = after(2000000);
    CHECK_FALSE(policy.decide(true, "no engine", from).starting);
    policy.set("sleep 1", true); // the first failure doubles the 30 s
    CHECK_FALSE(policy.decide(true, "no engine", from + std::chrono::seconds(59)).starting);
    CHECK(policy.decide(true, "no engine", from + std::chrono::seconds(60)).starting);
}

TEST_CASE("An engine that had a stream and is lost is awaited for a minute") {
    LaunchPolicy policy;
    policy.lost(start);
    CHECK(policy.isHopeful(after(59)));
    CHECK_FALSE(policy.isHopeful(after(60)));
}

TEST_CASE("Where no stream is wanted, there is no latency and nothing to wait for") {
    Exchange exchange;
    LinkBoard board(exchange);
    StemPlayer player(exchange);
    StreamSettings settings;
    board.order(settings);
    const auto first = board.newerThan(0);
    REQUIRE(first);
    CHECK(board.opened(*first, answer(300)) != 0);
    CHECK(board.latency() == 300);
    CHECK(board.wantsStream());

    settings.idle = true;
    board.order(settings);
    CHECK(board.waitUntilReady(0));
    CHECK(board.latency() == 0);
    CHECK_FALSE(board.wantsStream());
    REQUIRE(player.adopt());
    CHECK(player.plan()->idle);
    board.lost(); // the engine is gone: nobody minds
    CHECK(board.waitUntilReady(0));
    CHECK(board.opened(*first, answer(300)) == 0); // what an earlier order brings is nobody's
    CHECK(board.latency() == 0);

    settings.idle = false;
    board.order(settings);
    CHECK_FALSE(board.waitUntilReady(0));
    CHECK(board.latency() == 300); // as it was
    REQUIRE(player.adopt());
    CHECK_FALSE(player.plan()->idle);
}
