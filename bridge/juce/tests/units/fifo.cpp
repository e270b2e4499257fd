// SPDX-License-Identifier: GPL-3.0-or-later
#include <numeric>
#include <random>
#include <thread>

#include "Catch.h"
#include "engine/Fifo.h"
#include "engine/HitQueue.h"

using namespace lars;

TEST_CASE("A queue keeps its order between two threads") {
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
    std::vector<int> found;
    int block[7];
    bool readable = true;
    while (found.size() < total && readable) {
        const auto count = std::min<std::size_t>(7, queue.available());
        if (count == 0)
            std::this_thread::yield();
        readable = queue.read(block, count);
        found.insert(found.end(), block, block + count);
    }
    writer.join();
    std::vector<int> expected(total);
    std::iota(expected.begin(), expected.end(), 0);
    CHECK(readable);
    CHECK(found == expected);
    CHECK_FALSE(queue.read(block, 1));
}

TEST_CASE("Hits are played in their order, once, and none is played before its time") {
    HitQueue queue;
    const auto hit = [](std::int64_t position, int stem) {
        HitPiece piece;
        piece.position = position;
        piece.stem = stem;
        return piece;
    };
    for (const auto position : {30, 10, 20, 10, 99})
        queue.take(hit(position, position / 10));
    CHECK(queue.complete(0));
    CHECK_FALSE(queue.complete(1));
    queue.take(hit(50, -1)); // all before 50 have come
    queue.take(hit(40, -1));
    CHECK(queue.complete(50));
    CHECK_FALSE(queue.complete(51));
    std::vector<std::int64_t> played;
    const auto play = [&](std::int64_t end) {
        queue.give(end, [&](const HitPiece& one) { played.push_back(one.position); });
    };
    play(10);
    CHECK(played.empty());
    play(30);
    CHECK(played == std::vector<std::int64_t>{10, 10, 20});
    play(31);
    CHECK(played.back() == 30);
    queue.restart();
    play(1000);
    CHECK(played.size() == 4); // the hit at 99 was of an earlier life
    CHECK_FALSE(queue.complete(1));
    for (int i = 0; i < 5000; ++i)
        queue.take(hit(i, 0)); // more than there is room for
    play(5000);
    CHECK(played.size() == 4 + 1024);
}
