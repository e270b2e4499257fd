// SPDX-License-Identifier: GPL-3.0-or-later
// JUCE's lock of the message thread, as we build it (cmake/CorrectJuce.cmake), but with a pause where
// it is in danger: without the correction this program ends in its first second.
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include <juce_events/juce_events.h>

#include "Catch.h"

namespace {

constexpr int threads = 4;
constexpr int locks = 10;

// What comes after a lock takes its place on the stack, and stays there until a late signal has come.
[[gnu::noinline]] void overwrite() {
    volatile char where[2048];
    for (auto& one : where)
        one = 0x55;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    where[0] = where[2047];
}

[[gnu::noinline]] bool lockOnce() {
    const juce::MessageManagerLock lock;
    return lock.lockWasGained();
}

} // namespace

TEST_CASE("the message thread does not touch a lock that was given back") {
    const juce::ScopedJuceInitialiser_GUI runs;
    std::atomic<int> gained{0}, left{threads};
    std::vector<std::thread> others;
    for (int i = 0; i < threads; ++i)
        others.emplace_back([&] {
            for (int n = 0; n < locks; ++n) {
                gained += lockOnce();
                overwrite();
            }
            if (--left == 0)
                juce::MessageManager::getInstance()->stopDispatchLoop();
        });
    juce::MessageManager::getInstance()->runDispatchLoop();
    for (auto& other : others)
        other.join();
    CHECK(gained == threads * locks);
}
