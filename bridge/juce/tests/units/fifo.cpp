// SPDX-License-Identifier: GPL-3.0-or-later
#include <numeric>
#include <random>
#include <thread>

#include "Catch.h"
#include "engine/Fifo.h"

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
