// SPDX-License-Identifier: GPL-3.0-or-later
// Render once: the track is captured while it plays, or a file is taken, separated in the engine,
// and its stems are played where the host is. All that takes time is done on a thread of its own,
// one thing after the other; it needs no message loop, which hosts that render may not run.
#pragma once

#include <condition_variable>
#include <deque>
#include <set>

#include "engine/FileJob.h"
#include "player/Remaining.h"
#include "render/Capture.h"
#include "render/RenderPlayer.h"
#include "render/Store.h"

namespace lars {

// How a render is made.
struct RenderMeans {
    juce::String model, preset; // empty: the default for files, the model's own
};

struct RenderStatus {
    enum class Work { none, writing, separating, copying, loading, converting };
    Work work = Work::none;
    double progress = 0.0;   // of separating and converting, 0 to 1
    double remaining = -1.0; // seconds; -1: not known yet
    bool capturing = false;
    std::uint64_t lost = 0;     // samples that could not be captured
    double rate = 44100.0;      // of the next three
    std::vector<Span> captured; // on the timeline: now, else of the take that waits
    juce::String render, take;  // numbers; empty: none
    std::optional<RenderRecord> record; // of the render, if it plays
    juce::String message;       // how the last thing ended, in one line
    bool failed = false;
};

class RenderSession {
public:
    RenderSession() = default;
    ~RenderSession() { stop(); }
    RenderSession(const RenderSession&) = delete;
    RenderSession& operator=(const RenderSession&) = delete;

    RenderPlayer& player() { return stems; }
    // As FileJob's. Set before the first use.
    std::function<std::string(int tries)> whyNoEngine;

    // Any thread but the audio thread of a live host.

    // The host's rate and the track's channels.
    void prepare(double rate, int channels);
    // Begins to capture anew; or ends it, and separates what was captured.
    void setCapturing(bool on, const RenderMeans& means);
    // As it was asked for last; it may have failed.
    bool wantsCapture() const { return wanted.load(); }
    // Separates the take, or the render's track once more.
    void separate(const RenderMeans& means);
    // Ends a separation; the take stays.
    void cancel();
    // A file's stems, which begin at this place on the timeline, in samples at the host's rate.
    using Files = std::vector<std::pair<juce::String, juce::File>>; // by stem
    void useFile(const juce::String& name, const Files& from, const juce::String& model,
                 std::int64_t start);
    // What a session says; it may say anything. What was captured meanwhile is thrown away.
    void restore(const juce::String& render, const juce::String& take);
    // The numbers of render and take, for a state. What a state has had, this one's or one that was
    // restored, stays for ever. The rest goes when others take its place, or with this: no state
    // can name it any more, as this alone tells of it.
    std::pair<juce::String, juce::String> keep();
    // From now on everything stays: the user was shown the files, and may use them elsewhere.
    void keepAll();
    // Ends all work, for good: its thread asks `whyNoEngine` no more.
    void stop();
    // Deletes the render's files: no session has them any more.
    void remove();
    // Waits until nothing is to be done, at most so long; a negative limit is none.
    bool waitUntilDone(int milliseconds);
    RenderStatus status() const;

    // The audio thread; see Capture.
    void add(const float* const* in, int channels, int count, std::int64_t position, bool wait,
             bool yields = false) noexcept {
        capture.add(in, channels, count, position, wait, yields);
    }

private:
    using Work = RenderStatus::Work;
    using Guard = std::lock_guard<std::mutex>;

    // `dropped` is called instead where another session is restored before its turn comes.
    struct Task {
        std::function<void()> run, dropped;
    };
    void order(Task task);
    void run();
    void tend();
    void publish(std::unique_ptr<Rendering> next);
    bool writeTake(Take& take, const juce::String& id);
    // With the mutex held: whether another session was restored since the task began.
    bool isStale() const { return restores != session; }
    void separateNow(const RenderMeans& means);
    juce::Result separateInto(const juce::String& id, RenderRecord& record,
                              const RenderMeans& means);
    juce::Result describe(const Files& files, RenderRecord& record);
    void copyFile(const juce::String& name, const Files& from, const juce::String& model,
                  std::int64_t start, double rate);
    bool adopt(const juce::String& id, const RenderRecord& record);
    void discard(juce::StringArray ids = {});
    void waitForRetired();
    void load();
    juce::Result loadAt(const juce::String& id, const RenderRecord& record, double rate);
    juce::Result convert(const juce::String& id, const RenderRecord& record, double rate);
    void removeNow();
    void playNothing();
    FileJobStatus finish(EngineRequest request, Work kind, double from = 0.0, double share = 1.0);
    void tell(const juce::Result& result);
    void show(Work work);

    RenderPlayer stems;
    std::mutex capturing; // of beginning and ending a capture
    Capture capture;
    juce::String captureId;
    std::atomic<bool> wanted{false};

    // Of the thread.
    FileJob job;
    Remaining remaining;
    const Rendering* published = nullptr; // the newest; it is freed by this thread alone
    std::uint32_t session = 0; // that the task is for: `restores` when it began

    mutable std::mutex mutex; // of all that follows
    std::condition_variable changed;
    std::deque<Task> tasks;
    bool busy = false, cancelled = false, quit = false;
    std::uint32_t restores = 0; // what began before the newest is not that session's
    RenderStatus shown;
    std::set<juce::String> kept; // numbers that a state has had
    bool keepsAll = false;
    juce::StringArray left; // numbers of the sessions before, of which `kept` may not know
    double hostRate = 0.0; // 0: not known yet
    int hostChannels = 2;
    juce::String loadedId; // that plays
    double loadedRate = 0.0;

    std::thread thread; // from the first task on
};

} // namespace lars
