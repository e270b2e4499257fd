// SPDX-License-Identifier: GPL-3.0-or-later
// What any thread finds wrong, for one CHECK at the end: Catch's own macros are for one thread, and
// too slow for every sample.
#pragma once

#include <mutex>
#include <string>
#include <utility>

namespace lars {

class Findings {
public:
    void check(bool good, const char* what, int at = -1) {
        if (good)
            return;
        const std::lock_guard<std::mutex> lock(mutex);
        if (++count <= 20)
            wrong += std::string(what) + " (" + std::to_string(at) + ")\n";
    }
    // A line for each, none where all is well; and no more of them.
    std::string take() {
        const std::lock_guard<std::mutex> lock(mutex);
        count = 0;
        return std::exchange(wrong, {});
    }

private:
    std::mutex mutex;
    std::string wrong;
    int count = 0;
};

} // namespace lars
