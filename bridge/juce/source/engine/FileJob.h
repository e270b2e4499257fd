// SPDX-License-Identifier: GPL-3.0-or-later
// Separating a file, in the engine and on a connection of its own: the stream goes on beside it.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <thread>

#include "engine/Connection.h"
#include "engine/Plan.h"

namespace lars {

struct FileJobRequest {
    std::string source, folder;     // absolute paths
    std::string model;              // empty: the default for files
    std::string preset;             // fast, balanced, best; empty: the model's own
    std::string bits = "24";        // 16, 24, 32f
    std::vector<std::string> stems; // those wanted; none for all
    bool overwrite = false;
};

struct FileJobStatus {
    enum class State { idle, running, done, failed, cancelled };
    State state = State::idle;
    double progress = 0.0;          // 0 to 1
    std::string message;            // what went wrong and what to do
    std::vector<std::string> files; // when done: absolute paths, one per stem
};

// For one thread; `status` may be asked by any.
class FileJob {
public:
    FileJob() = default;
    ~FileJob();
    FileJob(const FileJob&) = delete;
    FileJob& operator=(const FileJob&) = delete;

    // Ends a job that is still running, and starts this one.
    void start(FileJobRequest request);
    void cancel();
    // Cancels, and gives the engine a second to take away what it has begun to write.
    void stop();
    FileJobStatus status() const;

private:
    void leave();
    void run(const FileJobRequest& request);
    void tell(FileJobStatus::State state, const std::string& message);

    mutable std::mutex mutex;
    FileJobStatus now;
    std::atomic<bool> cancelled{false}, quit{false};
    Waker waker;
    std::thread thread;
};

} // namespace lars
