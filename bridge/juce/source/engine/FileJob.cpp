// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/FileJob.h"

namespace lars {
namespace {
constexpr int cancelledCode = 10;
constexpr int stopTurns = 100; // of 10 ms, for an engine to clean up behind a job
} // namespace

FileJob::~FileJob() {
    leave();
}

void FileJob::leave() {
    quit.store(true);
    waker.wake();
    if (thread.joinable())
        thread.join();
}

void FileJob::stop() {
    cancel();
    for (int i = 0; i < stopTurns && status().state == FileJobStatus::State::running; ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    leave();
}

void FileJob::start(FileJobRequest request) {
    leave();
    quit.store(false);
    cancelled.store(false);
    {
        const std::lock_guard<std::mutex> lock(mutex);
        now = {};
        now.state = FileJobStatus::State::running;
    }
    thread = std::thread([this, requested = std::move(request)] { run(requested); });
}

void FileJob::cancel() {
    cancelled.store(true);
    waker.wake();
}

FileJobStatus FileJob::status() const {
    const std::lock_guard<std::mutex> lock(mutex);
    return now;
}

void FileJob::tell(FileJobStatus::State state, const std::string& message) {
    const std::lock_guard<std::mutex> lock(mutex);
    now.state = state;
    now.message = message;
}

void FileJob::run(const FileJobRequest& request) {
    try {
        Connection connection(findEngine(), "lars plugin, file", waker);
        protocol::Job job;
        job.overwrite = request.overwrite ? 1 : 0;
        job.model = request.model;
        if (job.model.empty())
            job.model = defaultModel(connection.engine().models, false);
        job.preset = request.preset;
        job.bits = request.bits;
        job.source = request.source;
        job.folder = request.folder;
        job.stems = request.stems;
        const auto number = connection.ask(job);
        bool reported = false;
        while (!quit.load()) {
            if (cancelled.load() && !reported) {
                reported = true;
                protocol::JobCancel cancel;
                cancel.request = number;
                connection.send(cancel);
            }
            connection.pump(100);
            while (auto message = connection.next()) {
                if (const auto* error = std::get_if<protocol::Error>(&*message)) {
                    tell(error->code == cancelledCode ? FileJobStatus::State::cancelled
                                                      : FileJobStatus::State::failed,
                         error->message);
                    return;
                }
                if (const auto* progress = std::get_if<protocol::JobProgress>(&*message)) {
                    const std::lock_guard<std::mutex> lock(mutex);
                    now.progress = progress->total > 0 ? static_cast<double>(progress->done) /
                                                             static_cast<double>(progress->total)
                                                       : 0.0;
                } else if (const auto* done = std::get_if<protocol::JobDone>(&*message)) {
                    const std::lock_guard<std::mutex> lock(mutex);
                    for (const auto& file : done->files)
                        now.files.push_back(done->folder + "/" + file);
                    now.progress = 1.0;
                    now.state = FileJobStatus::State::done;
                    return;
                }
            }
        }
    } catch (const std::exception& error) {
        tell(FileJobStatus::State::failed, error.what());
    }
}

} // namespace lars
