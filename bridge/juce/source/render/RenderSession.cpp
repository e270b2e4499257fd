// SPDX-License-Identifier: GPL-3.0-or-later
#include "render/RenderSession.h"

namespace lars {
namespace {

constexpr auto tendEvery = std::chrono::milliseconds(200);

} // namespace

void RenderSession::stop() {
    {
        const Guard lock(capturing);
        capture.end();
        if (captureId.isNotEmpty())
            store::remove(std::exchange(captureId, {}));
    }
    {
        const Guard lock(mutex);
        quit = true;
    }
    changed.notify_all();
    if (thread.joinable())
        thread.join();
    for (const auto& task : std::exchange(tasks, {}))
        if (task.dropped)
            task.dropped();
    discard({std::exchange(shown.render, {}), std::exchange(shown.take, {})});
}

// The orders.

void RenderSession::order(Task task) {
    {
        const Guard lock(mutex);
        if (quit)
            return;
        tasks.push_back(std::move(task));
        if (!thread.joinable())
            thread = std::thread([this] { run(); });
    }
    changed.notify_all();
}

void RenderSession::prepare(double rate, int channels) {
    const Guard capturingLock(capturing);
    bool another = false, toLoad = false;
    {
        const Guard lock(mutex);
        another = !juce::approximatelyEqual(rate, hostRate) || channels != hostChannels;
        hostRate = rate;
        hostChannels = channels;
        toLoad = shown.render.isNotEmpty() && tasks.empty() && !busy &&
                 (loadedId != shown.render || !juce::approximatelyEqual(loadedRate, rate));
        if (busy || !tasks.empty())
            toLoad = shown.render.isNotEmpty() && another;
    }
    if (another && capture.isOn()) // the places that it has are others now
        capture.begin(store::folderOf(captureId).getChildFile("track.part"), rate, channels);
    if (toLoad)
        order({[this] { load(); }, nullptr});
}

void RenderSession::setCapturing(bool on, const RenderMeans& means) {
    const Guard capturingLock(capturing);
    if (wanted.exchange(on) == on)
        return;
    if (!on) {
        std::shared_ptr<Take> take = capture.end();
        const auto id = std::exchange(captureId, {});
        if (take == nullptr)
            return;
        if (take->spans().empty()) {
            store::remove(id);
            tell(juce::Result::fail("nothing was captured: the track is captured while it plays"));
            return;
        }
        order({[this, take, id, means] {
                   if (writeTake(*take, id))
                       separateNow(means);
               },
               [id] { store::remove(id); }});
        return;
    }
    double rate = 0.0;
    int channels = 0;
    {
        const Guard lock(mutex);
        rate = hostRate > 0.0 ? hostRate : 44100.0;
        channels = hostChannels;
    }
    const auto made = store::make(captureId);
    tell(made);
    if (made.wasOk())
        capture.begin(store::folderOf(captureId).getChildFile("track.part"), rate, channels);
}

void RenderSession::separate(const RenderMeans& means) {
    order({[this, means] { separateNow(means); }, nullptr});
}

void RenderSession::cancel() {
    const Guard lock(mutex);
    cancelled = true;
}

void RenderSession::useFile(const juce::String& name, const Files& from, const juce::String& model,
                            std::int64_t start) {
    double rate = 0.0;
    {
        const Guard lock(mutex);
        rate = hostRate > 0.0 ? hostRate : 44100.0;
    }
    order({[this, name, from, model, start, rate] { copyFile(name, from, model, start, rate); },
           nullptr});
}

void RenderSession::restore(const juce::String& render, const juce::String& take) {
    const auto valid = [](const juce::String& id) { return store::isId(id) ? id : juce::String(); };
    std::deque<Task> dropped;
    {
        const Guard capturingLock(capturing);
        {
            const Guard lock(mutex);
            kept.insert({valid(render), valid(take)});
            if (shown.render == valid(render) && shown.take == valid(take))
                return;
            ++restores;
            cancelled = true;
            dropped.swap(tasks);
            left.add(std::exchange(shown.render, valid(render)));
            left.add(std::exchange(shown.take, valid(take)));
            shown.captured.clear();
            shown.record.reset();
        }
        wanted.store(false);
        if (capture.end() != nullptr)
            store::remove(std::exchange(captureId, {}));
    }
    for (const auto& task : dropped)
        if (task.dropped)
            task.dropped();
    order({[this] {
               load();
               discard();
           },
           nullptr});
}

std::pair<juce::String, juce::String> RenderSession::keep() {
    const Guard lock(mutex);
    kept.insert({shown.render, shown.take});
    return {shown.render, shown.take};
}

void RenderSession::keepAll() {
    const Guard lock(mutex);
    keepsAll = true;
}

void RenderSession::remove() {
    order({[this] { removeNow(); }, nullptr});
}

bool RenderSession::waitUntilDone(int milliseconds) {
    std::unique_lock<std::mutex> lock(mutex);
    const auto done = [this] { return (tasks.empty() && !busy) || quit; };
    if (milliseconds < 0)
        changed.wait(lock, done);
    return changed.wait_for(lock, std::chrono::milliseconds(juce::jmax(0, milliseconds)), done);
}

RenderStatus RenderSession::status() const {
    RenderStatus result;
    {
        const Guard lock(mutex);
        result = shown;
    }
    result.capturing = capture.isOn();
    if (result.capturing) {
        result.captured = capture.spans();
        result.lost = capture.lost();
        const Guard lock(mutex);
        result.rate = hostRate > 0.0 ? hostRate : 44100.0;
    }
    return result;
}

void RenderSession::tell(const juce::Result& result) {
    const Guard lock(mutex);
    shown.message = result.getErrorMessage();
    shown.failed = result.failed();
}

void RenderSession::show(Work work) {
    const Guard lock(mutex);
    shown.work = work;
    shown.progress = 0.0;
    shown.remaining = -1.0;
}

// The thread.

void RenderSession::run() {
    std::unique_lock<std::mutex> lock(mutex);
    while (!quit) {
        if (tasks.empty()) {
            if (published != nullptr && !published->stems.empty())
                changed.wait_for(lock, tendEvery);
            else
                changed.wait(lock, [this] { return quit || !tasks.empty(); });
            lock.unlock();
            tend();
            lock.lock();
            continue;
        }
        const auto task = std::move(tasks.front());
        tasks.pop_front();
        session = restores;
        busy = true;
        cancelled = false;
        lock.unlock();
        task.run();
        show(Work::none);
        lock.lock();
        busy = false;
        changed.notify_all();
    }
    lock.unlock();
    job.stop();
}

void RenderSession::tend() {
    stems.freeRetired();
    if (published != nullptr && stems.hostPlays())
        stems.tend(*published);
}

void RenderSession::publish(std::unique_ptr<Rendering> next) {
    published = next.get();
    stems.publish(std::move(next));
}

// Whether there is a take now, in this session.
bool RenderSession::writeTake(Take& take, const juce::String& id) {
    show(Work::writing);
    RenderRecord record;
    record.rate = record.startRate = take.rate();
    record.channels = take.channels();
    const auto whole = take.spans().whole();
    record.start = whole.begin;
    record.frames = whole.end - whole.begin;
    for (const auto& span : take.spans().list())
        record.spans.push_back({span.begin - whole.begin, span.end - whole.begin});
    auto done = take.write(store::sourceOf(id));
    if (done.wasOk())
        done = store::write(id, record);
    tell(done);
    juce::String before;
    {
        const Guard lock(mutex);
        if (done.wasOk() && !isStale()) {
            before = std::exchange(shown.take, id);
            shown.captured = record.onTimeline();
            shown.rate = record.startRate;
        } else {
            before = id;
        }
    }
    discard({before});
    return before != id;
}

// Loading.

void RenderSession::load() {
    juce::String id, take, problem;
    double rate = 0.0;
    {
        const Guard lock(mutex);
        id = shown.render;
        take = shown.take;
        rate = hostRate;
    }
    show(Work::loading);
    juce::Result result = juce::Result::ok();
    if (take.isNotEmpty()) {
        const auto record = store::read(take, problem);
        const Guard lock(mutex);
        if (isStale())
            return; // the other session's is loaded next
        if (record) {
            shown.captured = record->onTimeline();
            shown.rate = record->startRate;
        } else {
            result = juce::Result::fail(problem);
            shown.take.clear();
        }
    }
    if (id.isNotEmpty()) {
        const auto record = store::read(id, problem);
        if (!record)
            result = juce::Result::fail(problem);
        else
            result = loadAt(id, *record, rate > 0.0 ? rate : record->rate);
    }
    if (id.isEmpty() || result.failed())
        playNothing();
    tell(result);
}

void RenderSession::playNothing() {
    publish(std::make_unique<Rendering>());
    const Guard lock(mutex);
    loadedId.clear();
    shown.record.reset();
}

juce::Result RenderSession::loadAt(const juce::String& id, const RenderRecord& record,
                                   double rate) {
    if (record.stems.empty())
        return juce::Result::fail("the track was captured and not separated yet");
    const bool own = juce::approximatelyEqual(rate, record.rate);
    const auto folder = store::stemsOf(id, record, rate);
    if (!own && !folder.isDirectory())
        if (const auto done = convert(id, record, rate); done.failed())
            return done;
    show(Work::loading);
    auto next = std::make_unique<Rendering>();
    next->bus.clear();
    next->start = record.startAt(rate);
    next->spans = record.spansAt(rate);
    std::int64_t frames = 0;
    for (const auto& stem : record.stems) {
        const auto file = folder.getChildFile(stem.name + ".wav");
        juce::String problem;
        auto wave = MappedWav::open(file, problem);
        if (wave == nullptr)
            return juce::Result::fail(problem + ": separate the track again");
        const auto checksum = wave->checksum(); // which also has it all in memory
        if (frames == 0)
            frames = wave->frames();
        if (!juce::approximatelyEqual(wave->rate(), rate) || wave->channels() != record.channels ||
            wave->frames() != frames ||
            (own && (frames != record.frames || checksum != stem.checksum)))
            return juce::Result::fail(file.getFullPathName() +
                                      " was changed: separate the track again");
#if !JUCE_WINDOWS
        // Were it cut short while it is mapped, the host would end. (Windows lets nobody do that.)
        file.setReadOnly(true);
#endif
        next->bus.push_back(Plan::busOf(stem.name.toStdString()));
        next->stems.push_back(std::move(wave));
    }
    for (auto& span : next->spans)
        span.end = juce::jmin(span.end, frames);
    const Guard lock(mutex);
    if (isStale())
        return juce::Result::ok(); // it is another session's by now, which loads its own
    publish(std::move(next));
    loadedId = id;
    loadedRate = rate;
    shown.record = record;
    return juce::Result::ok();
}

// For the audio thread to let go of what played before; not for ever, as it may not run.
void RenderSession::waitForRetired() {
    constexpr int turns = 50;
    for (int turn = 0; turn < turns && !stems.freeRetired(); ++turn)
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    stems.freeRetired();
}

void RenderSession::removeNow() {
    juce::String id;
    {
        const Guard lock(mutex);
        if (isStale())
            return; // another session's was not meant
        id = std::exchange(shown.render, {});
    }
    playNothing();
    waitForRetired();
    tell(store::remove(id));
}

} // namespace lars
