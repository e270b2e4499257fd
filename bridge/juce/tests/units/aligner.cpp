// SPDX-License-Identifier: GPL-3.0-or-later
#include <random>

#include "Catch.h"
#include "engine/Aligner.h"

using namespace lars;

namespace {

// A mixture whose sample says its position, and stems that are multiples of it.
float mixtureAt(std::int64_t position) {
    return static_cast<float>(position % 100000 + 1);
}

// One stream of blocks and stems of any size. Vectors are compared, as there are millions of
// samples.
void playOneStream(unsigned seed) {
    std::mt19937 random(seed);
    const auto upTo = [&](int most) { return static_cast<int>(random() % (most + 1u)); };
    const int latency = upTo(300), largest = 1 + upTo(100), stems = 1 + upTo(2);
    const bool total = seed % 3 == 0; // the stems' sum before effects comes with them
    Aligner aligner(stems, 1, latency, largest, total);
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
                std::vector<float> result;
                for (int stem = 0; stem < stems; ++stem)
                    for (int i = 0; i < part; ++i)
                        result.push_back(mixtureAt(sent + i) * static_cast<float>(stem + 2));
                for (int i = 0; i < part && total; ++i)
                    result.push_back(mixtureAt(sent + i) * 0.75f);
                const bool fallback = upTo(3) == 0;
                aligner.store(sent, result.data(), part, fallback);
                for (int i = 0; i < part; ++i)
                    if (sent + i >= given - latency)
                        came[static_cast<std::size_t>(sent + i)] = fallback ? 2 : 1;
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
        auto wanted = out;
        auto wantedMixture = delayed;
        for (int i = 0; i < count; ++i) {
            const auto position = given + i - latency;
            const auto place = static_cast<std::size_t>(i);
            const bool there = position >= 0 && came[static_cast<std::size_t>(position)] != 0;
            expected += position >= 0 && !there ? 1 : 0;
            const float mixture = position >= 0 ? mixtureAt(position) : 0.0f;
            wantedMixture[place] = mixture;
            for (int stem = 0; stem < stems; ++stem) {
                const float share = dry ? mixture * (1.0f / static_cast<float>(stems)) : 0.0f;
                wanted[static_cast<std::size_t>(stem)][place] =
                    there ? mixture * static_cast<float>(stem + 2) : share;
            }
        }
        CAPTURE(turn, count, latency, stems, dry);
        CHECK(delayed == wantedMixture);
        CHECK(out == wanted);
        CHECK(replaced == expected);
        // What the stems do not have, where they are there and nothing of them is the fallback.
        std::vector<float> rest(static_cast<std::size_t>(count));
        float* restLines[] = {rest.data()};
        aligner.residual(targets.data(), delayedLines, count, dry, restLines);
        std::vector<float> wantedRest(rest.size(), 0.0f);
        for (int i = 0; i < count; ++i) {
            const auto position = given + i - latency;
            const auto place = static_cast<std::size_t>(i);
            if (position < 0 || came[static_cast<std::size_t>(position)] == 0 ||
                (came[static_cast<std::size_t>(position)] == 2 && !dry))
                continue;
            wantedRest[place] = delayed[place];
            if (total)
                wantedRest[place] -= delayed[place] * 0.75f;
            for (const auto& line : out)
                wantedRest[place] -= total ? 0.0f : line[place];
        }
        CHECK(rest == wantedRest);
        given += count;
    }
}

} // namespace

TEST_CASE("However blocks fall and stems come, output sample n is position n - latency") {
    // The stem where it came in time and in order, the fallback where it did not, silence before
    // the start.
    for (unsigned seed = 0; seed < 200; ++seed) {
        CAPTURE(seed);
        playOneStream(seed);
    }
}
