// SPDX-License-Identifier: GPL-3.0-or-later
#include <limits>
#include <thread>

#include "Catch.h"
#include "parameters/StreamChoices.h"

using namespace lars;

namespace {

// A stream that depends on one parameter more.
struct FiveChoices : StreamChoices {
    int fifth = 0;
};

// Parameters as hosts set them: a value, and then a version.
struct Five {
    std::atomic<float> model{0.0f}, mode{0.0f}, quality{0.0f}, fallback{0.0f}, fifth{0.0f};
    VersionedChoices<FiveChoices, 5> choices{{{{&FiveChoices::model, &model},
                                               {&FiveChoices::mode, &mode},
                                               {&FiveChoices::quality, &quality},
                                               {&FiveChoices::fallback, &fallback},
                                               {&FiveChoices::fifth, &fifth}}}};
    void set(std::atomic<float>& parameter, float value) {
        parameter.store(value);
        choices.changed();
    }
};

} // namespace

TEST_CASE("A fifth parameter changes the stream and not the model") {
    Five five;
    five.set(five.model, 3.0f);
    CHECK(five.choices.take().now.model == 3);
    for (const int value : {1, 31, 255, 256, 65535}) {
        CAPTURE(value);
        five.set(five.fifth, static_cast<float>(value));
        CHECK(five.choices.pending());
        const auto change = five.choices.take();
        CHECK(change.now.fifth == value);
        CHECK(change.now.model == 3);
        CHECK(change.before.model == 3);
        CHECK_FALSE(five.choices.pending());
    }
}

TEST_CASE("No parameter of a stream changes another one, whatever a host sets") {
    Five five;
    std::atomic<float>* const all[] = {&five.model, &five.mode, &five.quality, &five.fallback,
                                       &five.fifth};
    int FiveChoices::*const members[] = {&FiveChoices::model, &FiveChoices::mode,
                                         &FiveChoices::quality, &FiveChoices::fallback,
                                         &FiveChoices::fifth};
    constexpr float odd[] = {1.0f,
                             300.0f,
                             -1.0f,
                             1e30f,
                             std::numeric_limits<float>::quiet_NaN(),
                             std::numeric_limits<float>::infinity()};
    for (std::size_t which = 0; which < std::size(all); ++which)
        for (const float value : odd) {
            CAPTURE(which, value);
            five.set(*all[which], value);
            const auto change = five.choices.take();
            CHECK(change.now.*members[which] >= 0);
            CHECK(change.now.*members[which] <= decltype(five.choices)::largest);
            for (std::size_t other = 0; other < std::size(all); ++other)
                if (other != which)
                    CHECK(change.now.*members[other] == change.before.*members[other]);
        }
}

TEST_CASE("A value that was set and set back does not count as a change") {
    Five five;
    five.set(five.mode, 1.0f);
    five.set(five.mode, 0.0f);
    CHECK(five.choices.pending());
    CHECK_FALSE(five.choices.differ());
    CHECK_FALSE(five.choices.pending());
    five.set(five.mode, 1.0f);
    CHECK(five.choices.differ());
    CHECK(five.choices.pending()); // until it is taken
}

TEST_CASE("Taking the model alone leaves the others pending") {
    Five five;
    five.set(five.model, 2.0f);
    five.choices.takeOnly(&FiveChoices::model);
    CHECK_FALSE(five.choices.pending());
    five.set(five.mode, 1.0f);
    five.set(five.model, 5.0f);
    five.choices.takeOnly(&FiveChoices::model);
    CHECK(five.choices.differ());
    const auto change = five.choices.take();
    CHECK(change.before.model == 5);
    CHECK(change.before.mode == 0);
    CHECK(change.now.mode == 1);
}

// One thread sets, as an audio thread does; another one takes. What was set last is always found.
TEST_CASE("No change is missed between threads") {
    for (int turn = 0; turn < 20; ++turn) {
        Five five;
        constexpr int last = 20000;
        std::atomic<bool> ended{false};
        std::thread audio([&] {
            for (int value = 1; value <= last; ++value)
                five.set(five.quality, static_cast<float>(value));
            ended.store(true);
        });
        int seen = 0;
        bool rising = true;
        for (bool over = false; !over;) {
            over = ended.load(); // and then once more
            if (!five.choices.pending())
                continue;
            const auto change = five.choices.take();
            rising = rising && change.now.quality >= seen && change.now.model == 0;
            seen = change.now.quality;
        }
        audio.join();
        CHECK(rising);
        CHECK(seen == last);
        CHECK_FALSE(five.choices.pending());
    }
}
