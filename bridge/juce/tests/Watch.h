// SPDX-License-Identifier: GPL-3.0-or-later
// The counters of interpose.c, where it is preloaded.
#pragma once

#include <dlfcn.h>

#include <cstdio>

namespace lars {

struct Watch {
    void (*armCall)(int) = reinterpret_cast<void (*)(int)>(dlsym(RTLD_DEFAULT,
                                                                 "lars_interpose_arm"));
    int (*callsCall)(const char*) =
        reinterpret_cast<int (*)(const char*)>(dlsym(RTLD_DEFAULT, "lars_interpose_calls"));
    const char* (*nameCall)(int) =
        reinterpret_cast<const char* (*)(int)>(dlsym(RTLD_DEFAULT, "lars_interpose_name"));

    int (*watchedCall)() = reinterpret_cast<int (*)()>(dlsym(RTLD_DEFAULT,
                                                             "lars_interpose_watched"));

    bool there() const { return armCall != nullptr; }
    void arm(bool on) const {
        if (there())
            armCall(on ? 1 : 0);
    }
    int calls(const char* name = "") const { return there() ? callsCall(name) : 0; }
    void print() const {
        for (int i = 0; there() && nameCall(i) != nullptr; ++i)
            std::printf("%s %d\n", nameCall(i), callsCall(nameCall(i)));
        if (there())
            std::printf("system_calls_watched %d\n", watchedCall());
    }
};

} // namespace lars
