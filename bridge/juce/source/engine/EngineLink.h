// SPDX-License-Identifier: GPL-3.0-or-later
// The engine, as the plugin sees it: one background thread that connects, opens the stream that is
// wanted, moves audio between the engine and the audio thread's queues, and comes back after
// whatever goes wrong.
#pragma once

#include <map>
#include <thread>

#include "engine/Connection.h"
#include "engine/Exchange.h"
#include "engine/Launcher.h"

namespace lars {

enum class LinkState {
    away,     // no engine; tries again by itself
    starting, // `lars serve` was started and is not ready yet
    opening,  // connected; the model is being loaded
    ready,    // stems come
    refused   // the engine is there, but does not do what is wanted; `message` says why
};

// A snapshot of everything there is to show.
struct LinkStatus {
    LinkState state = LinkState::away;
    std::string message; // what is wrong and what to do; empty when nothing is
    std::string engine;  // name and version; empty when away
    std::vector<std::string> models;
    std::string model; // of the stream
    std::vector<std::string> stems;
    double rate = 0.0;
    int latency = 0; // samples, in all
    int modelLatency = 0, resamplingLatency = 0, bufferingLatency = 0;
    double realTimeRatio = 0.0;              // seconds of computation per second of audio
    std::uint64_t missing = 0, late = 0;     // samples: replaced here, and come too late
    std::uint64_t unsent = 0;                // samples that could not be sent
    std::uint64_t replaced = 0, dropped = 0; // samples: by the engine
    std::uint64_t errors = 0;
    std::uint64_t connections = 0; // since the plugin was loaded
};

class EngineLink {
public:
    explicit EngineLink(std::string clientName);
    ~EngineLink();
    EngineLink(const EngineLink&) = delete;
    EngineLink& operator=(const EngineLink&) = delete;

    Exchange& exchange() { return shared; }

    // Any thread but the audio thread, all of these.

    // The stream that is wanted from now on. There is a plan at once, dry if need be.
    void configure(const StreamSettings& settings);

    // Until the configured stream is open, or there is no hope, at most so long. Whether it is.
    bool waitUntilReady(int milliseconds);

    // The latency of the newest plan, in samples.
    int latency() const { return newestLatency.load(); }

    LinkStatus status() const;

    // The command that starts an engine, and whether to do so without being asked.
    void setCommand(const std::string& command, bool automatic);
    // Starts an engine now if there is none, or just looks again.
    void startEngine();
    void retry();

    // Latencies that earlier streams had, so that a session keeps its delay compensation while the
    // engine is away; kept with the plugin's state.
    std::map<std::string, int> latencies() const;
    void addLatencies(const std::map<std::string, int>& known);

private:
    struct Stream; // what the thread knows of the stream that is open

    void run();
    void serve(Connection& connection);
    void pause(int milliseconds);
    bool mayStart(std::string& problem);
    void open(Connection& connection, Stream& stream);
    void handle(Connection& connection, Stream& stream, protocol::Message& message);
    void opened(Stream& stream, const protocol::Opened& message);
    void moveUp(Connection& connection, Stream& stream);
    bool moveDown(Stream& stream);
    void discardUp();
    void publish(int latency, const StreamSettings& settings, std::vector<std::string> stems);
    void freeRetired();
    void tell(LinkState state, const std::string& message);
    int guessLatency(const StreamSettings& settings) const;

    const std::string name;
    Exchange shared;
    Launcher launcher;

    mutable std::mutex mutex; // of everything down to the blank line
    std::condition_variable changed;
    LinkStatus shown;
    StreamSettings wanted;
    std::uint32_t version = 0;      // of `wanted`; 0: nothing is wanted yet
    std::uint32_t readyVersion = 0; // of the stream that is open, or refused
    std::map<std::string, int> known;
    std::string command = "lars serve";
    bool automatic = false, startAsked = false, quit = false;
    std::uint32_t plans = 0;
    std::vector<std::string> planStems;
    StreamSettings planSettings;

    std::atomic<int> newestLatency{0};
    std::chrono::steady_clock::time_point hopeUntil, startedAt;
    bool startedOnce = false, starting = false, ended = false; // of the engine's process
    std::thread thread;
};

} // namespace lars
