// SPDX-License-Identifier: GPL-3.0-or-later
// Long work in the engine, on a connection of its own: separating a file, converting one, fetching a
// model's weights. The stream goes on beside it.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <variant>

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

// Any audio file that the engine reads, as WAV.
struct ConvertRequest {
    std::string source, target; // absolute paths
    double rate = 0.0;          // 0: the file's own
};

// A model's weights, unless they are there.
struct FetchRequest {
    std::string model;
};

// The hits in the stems of a folder, as MIDI files.
struct TranscribeRequest {
    std::string source, folder;     // absolute paths
    std::vector<std::string> stems; // <stem>.wav in `source`, in the order of the job's files
    double tempo = 0.0;             // BPM that the files say; 0: 120
};

using EngineRequest =
    std::variant<FileJobRequest, ConvertRequest, FetchRequest, TranscribeRequest>;

struct FileJobStatus {
    enum class State { idle, running, done, failed, cancelled };
    State state = State::idle;
    double progress = 0.0;          // 0 to 1
    std::uint64_t total = 0;        // frames, or bytes; 0: not known yet
    std::string message;            // what went wrong and what to do
    std::vector<std::string> files; // when done: absolute paths, one per stem; or the one file
};

// For one thread; `status` may be asked by any.
class FileJob {
public:
    FileJob() = default;
    ~FileJob();
    FileJob(const FileJob&) = delete;
    FileJob& operator=(const FileJob&) = delete;

    // Asked, on the job's thread, every 100 ms while there is no engine: empty where one may come,
    // else why not, in one line. Set before the first start.
    std::function<std::string(int tries)> whyNoEngine;

    // Ends a job that is still running, and starts this one.
    void start(EngineRequest request);
    void cancel();
    // Cancels, and gives the engine a second to take away what it has begun to write.
    void stop();
    FileJobStatus status() const;

private:
    void leave();
    Address address();
    void run(const EngineRequest& request);
    bool take(const protocol::Message& message, const EngineRequest& request);
    void tell(FileJobStatus::State state, const std::string& message);

    mutable std::mutex mutex;
    FileJobStatus now;
    std::atomic<bool> cancelled{false}, quit{false};
    Waker waker;
    std::thread thread;
};

} // namespace lars
