// SPDX-License-Identifier: GPL-3.0-or-later
// lars_discovery folder | find | connect | start <command> | words <command>: where the plugin looks
// for an engine, whom it believes, and what it starts. Says what was found, or why not, in one line.
#include <cstdio>
#include <cstring>
#include <thread>

#include "engine/Connection.h"
#include "engine/Installed.h"
#include "engine/Launcher.h"

using namespace lars;

int main(int count, char** arguments) {
    const auto is = [&](const char* what) {
        return count > 1 && std::strcmp(arguments[1], what) == 0;
    };
    try {
        if (is("folder")) {
            std::printf("%s\n", runtimeFolder().c_str());
        } else if (is("find")) {
            const auto found = findEngine();
            std::printf("found %s%s\n", found.socket.c_str(), found.host.c_str());
        } else if (is("connect")) {
            Waker waker;
            const Connection connection(findEngine(), "lars_discovery", waker);
            std::printf("engine %s\n", connection.engine().engine.c_str());
        } else if (is("start") && count > 2) {
            Launcher launcher;
            launcher.start(arguments[2]);
            while (!launcher.hasEnded())
                std::this_thread::sleep_for(std::chrono::milliseconds(10));
            std::printf("started\n");
        } else if (is("words") && count > 2) {
            for (const auto& word : engineWords(arguments[2]))
                std::printf("%s\n", word.c_str());
        } else {
            std::fprintf(stderr, "lars_discovery folder | find | connect | start <command> | "
                                 "words <command>\n");
            return 2;
        }
    } catch (const EngineError& error) {
        std::printf("error %d %s\n", error.code, error.what());
    }
    return 0;
}
