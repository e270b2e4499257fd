// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/FileJob.h"

namespace lars {
namespace {
constexpr int cancelledCode = 10;
constexpr auto retryAfter = std::chrono::milliseconds(100);
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

void FileJob::start(EngineRequest request) {
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

namespace {

// Asks for the work; its number.
std::uint32_t ask(Connection& connection, const FileJobRequest& request) {
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
    return connection.ask(job);
}

void needNewEngine(const Connection& connection, const char* what) {
    if (connection.version() < 2)
        throw EngineError(connectionLost, "the engine, " + connection.engine().engine +
                                              ", is too old to " + what +
                                              "; stop it, and start the new one");
}

std::uint32_t ask(Connection& connection, const ConvertRequest& request) {
    needNewEngine(connection, "read this file for the plugin");
    protocol::Convert convert;
    convert.sampleRate = request.rate;
    convert.bits = "32f";
    convert.source = request.source;
    convert.target = request.target;
    return connection.ask(convert);
}

std::uint32_t ask(Connection& connection, const FetchRequest& request) {
    needNewEngine(connection, "download models for the plugin");
    protocol::Fetch fetch;
    fetch.model = request.model;
    return connection.ask(fetch);
}

std::uint32_t ask(Connection& connection, const TranscribeRequest& request) {
    needNewEngine(connection, "make MIDI files");
    protocol::Transcribe transcribe;
    transcribe.tempo = request.tempo;
    transcribe.source = request.source;
    transcribe.folder = request.folder;
    transcribe.stems = request.stems;
    return connection.ask(transcribe);
}

} // namespace

// Whether this was the answer.
bool FileJob::take(const protocol::Message& message, const EngineRequest& request) {
    const std::lock_guard<std::mutex> lock(mutex);
    if (const auto* error = std::get_if<protocol::Error>(&message)) {
        now.state = error->code == cancelledCode ? FileJobStatus::State::cancelled
                                                 : FileJobStatus::State::failed;
        now.message = error->message;
        return true;
    }
    if (const auto* progress = std::get_if<protocol::JobProgress>(&message)) {
        now.total = progress->total;
        now.progress = progress->total > 0 ? static_cast<double>(progress->done) /
                                                 static_cast<double>(progress->total)
                                           : 0.0;
        return false;
    }
    const auto add = [this](const std::string& folder, const std::vector<std::string>& files) {
        for (const auto& file : files)
            now.files.push_back(folder + "/" + file);
    };
    if (const auto* done = std::get_if<protocol::JobDone>(&message)) {
        add(done->folder, done->files);
    } else if (const auto* made = std::get_if<protocol::Transcribed>(&message)) {
        add(made->folder, made->files);
    } else if (std::holds_alternative<protocol::Converted>(message)) {
        now.files.push_back(std::get<ConvertRequest>(request).target);
    } else if (const auto* fetched = std::get_if<protocol::Fetched>(&message)) {
        now.files.push_back(fetched->file);
    } else {
        return false;
    }
    now.progress = 1.0;
    now.state = FileJobStatus::State::done;
    return true;
}

// The engine's, after a wait for one that is on its way.
Address FileJob::address() {
    for (int tries = 0;; ++tries) {
        try {
            return findEngine();
        } catch (const EngineError&) {
            if (!whyNoEngine || quit.load() || cancelled.load())
                throw;
            if (const auto why = whyNoEngine(tries); !why.empty())
                throw EngineError(connectionLost, why);
        }
        std::this_thread::sleep_for(retryAfter);
    }
}

void FileJob::run(const EngineRequest& request) {
    try {
        Connection connection(address(), "lars plugin, file", waker);
        const auto number =
            std::visit([&](const auto& one) { return ask(connection, one); }, request);
        bool reported = false;
        while (!quit.load()) {
            if (cancelled.load() && !reported) {
                reported = true;
                protocol::JobCancel cancel;
                cancel.request = number;
                connection.send(cancel);
            }
            connection.pump(100);
            while (auto message = connection.next())
                if (take(*message, request))
                    return;
        }
    } catch (const std::exception& error) {
        tell(FileJobStatus::State::failed, error.what());
    }
}

} // namespace lars
