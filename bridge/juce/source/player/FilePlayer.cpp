// SPDX-License-Identifier: GPL-3.0-or-later
#include "player/FilePlayer.h"

namespace lars {
namespace {

constexpr int readMilliseconds = 10; // between looks at the ring, which holds much more than that
constexpr double fadeSeconds = 0.005;
constexpr double wholeSeconds = 1e-3;      // what is nearer to the end is at the end
constexpr double longestBlockRatio = 24.0; // of a file's rate to the device's

} // namespace

FilePlayer::FilePlayer(const juce::AudioProcessorValueTreeState& state)
    : Thread("lars file reader"), faders(fadersOf(state)) {
    formats.registerBasicFormats();
    for (auto& one : bus)
        one.store(-1);
}

FilePlayer::~FilePlayer() {
    stopThread(5000);
    // JUCE waits by looking at a flag; what the thread wrote last is sure to be seen behind a lock.
    const std::lock_guard<std::mutex> lock(mutex);
}

// The message thread.

std::unique_ptr<juce::AudioFormatReader> FilePlayer::open(const juce::File& file,
                                                          juce::String& problem) {
    std::unique_ptr<juce::AudioFormatReader> reader;
    if (!file.existsAsFile())
        problem = file.getFullPathName() + " is not there";
    else if (reader.reset(formats.createReaderFor(file)); reader == nullptr)
        problem = file.getFileName() + " is not an audio file that can be played here (" +
                  formats.getWildcardForAllFormats() + ")";
    else if (reader->lengthInSamples <= 0 || reader->numChannels == 0)
        problem = file.getFileName() + " has no audio in it";
    else if (!(reader->sampleRate >= 4000.0 && reader->sampleRate <= 768000.0))
        problem = file.getFileName() + " has a sample rate of " + juce::String(reader->sampleRate) +
                  " Hz, which cannot be played";
    else
        return reader;
    return nullptr;
}

juce::Result FilePlayer::load(const juce::File& file) {
    juce::String problem;
    auto track = std::make_unique<Track>();
    track->reader = open(file, problem);
    if (track->reader == nullptr)
        return juce::Result::fail(problem);
    if (ring.empty()) {
        // Before anything is written into it, so the audio thread cannot see it grow.
        ring = std::vector<Block>(ringBlocks);
        startThread();
    }
    playing.store(false);
    stemsHeard.store(false);
    fileRate.store(track->reader->sampleRate);
    lengthSeconds.store(static_cast<double>(track->reader->lengthInSamples) /
                        track->reader->sampleRate);
    {
        const std::lock_guard<std::mutex> lock(mutex);
        nextSource = std::move(track);
        nextStems.clear();
        newStems = true;
        orderedLoop = {};
    }
    jump(0.0);
    return juce::Result::ok();
}

void FilePlayer::unload() {
    playing.store(false);
    stemsHeard.store(false);
    fileRate.store(0.0);
    lengthSeconds.store(0.0);
    {
        const std::lock_guard<std::mutex> lock(mutex);
        orderedLoop = {};
    }
    jump(0.0);
}

juce::Result FilePlayer::setStems(const std::vector<StemFile>& stems) {
    if (stems.size() > static_cast<std::size_t>(mostStems))
        return juce::Result::fail("more than " + juce::String(mostStems) + " stems");
    std::vector<std::unique_ptr<Track>> opened;
    for (const auto& stem : stems) {
        juce::String problem;
        auto track = std::make_unique<Track>();
        track->reader = open(stem.file, problem);
        if (track->reader == nullptr)
            return juce::Result::fail(problem);
        opened.push_back(std::move(track));
    }
    for (std::size_t i = 0; i < bus.size(); ++i) {
        bus[i].store(i < stems.size() ? Plan::busOf(stems[i].name.toStdString()) : -1);
        ownFaders[i].gain.store(0.0f);
        ownFaders[i].mute.store(0.0f);
        ownFaders[i].solo.store(0.0f);
        ownFaders[i].pan.store(0.0f);
    }
    stemsHeard.store(!stems.empty());
    {
        const std::lock_guard<std::mutex> lock(mutex);
        nextStems = std::move(opened);
        newStems = true;
    }
    notify();
    return juce::Result::ok();
}

void FilePlayer::play() {
    if (length() <= 0.0)
        return;
    if (position() >= length() - wholeSeconds)
        jump(0.0);
    playing.store(true);
    notify();
}

void FilePlayer::stop() {
    playing.store(false);
}

void FilePlayer::setLooping(bool loops) {
    if (looping.exchange(loops) == loops || length() <= 0.0)
        return;
    const auto region = loopRegion();
    readAgain({region.isEmpty() ? length() : region.getEnd(), length()});
}

juce::Range<double> FilePlayer::loopRegion() const {
    const std::lock_guard<std::mutex> lock(mutex);
    return orderedLoop;
}

void FilePlayer::setLoopRegion(juce::Range<double> region) {
    const double rate = sampleRate();
    const auto onSample = [&](double at) { // so that each turn has the same samples
        return std::round(juce::jlimit(0.0, length(), at) * rate) / rate;
    };
    juce::Range<double> wanted;
    if (rate > 0.0 && std::isfinite(region.getStart()) && std::isfinite(region.getEnd()))
        wanted = {onSample(region.getStart()), onSample(region.getEnd())};
    if (wanted.getLength() < shortestLoop)
        wanted = {};
    juce::Range<double> before;
    {
        const std::lock_guard<std::mutex> lock(mutex);
        before = std::exchange(orderedLoop, wanted);
    }
    if (before == wanted || length() <= 0.0)
        return;
    if (isLooping())
        readAgain({before.isEmpty() ? length() : before.getEnd(),
                   wanted.isEmpty() ? length() : wanted.getEnd()});
    notify();
}

// What was read ahead may have been read over these places, or not over them.
void FilePlayer::readAgain(std::initializer_list<double> ends) {
    const double ahead = 2.0 * ringBlocks * blockFrames / 44100.0;
    const double now = position();
    bool again = !isPlaying() || now < ahead || now > length() - ahead;
    for (const double end : ends)
        again = again || (now - ahead < end && end < now + ahead);
    if (again)
        jump(now);
}

void FilePlayer::setPosition(double to) {
    jump(juce::jlimit(0.0, length(), to));
}

void FilePlayer::jump(double to) {
    {
        const std::lock_guard<std::mutex> lock(mutex);
        orderedSeconds = to;
        orderedEpoch = epoch.fetch_add(1) + 1;
        heardSeconds.store(to);
    }
    notify();
}

void FilePlayer::prepare(double rate) {
    heardRate = rate;
    fadeStep = static_cast<float>(1.0 / juce::jmax(1.0, fadeSeconds * rate));
    {
        const std::lock_guard<std::mutex> lock(mutex);
        if (orderedRate == rate)
            return;
        orderedRate = rate;
    }
    jump(position());
}

// The reading thread.

void FilePlayer::run() {
    while (!threadShouldExit()) {
        takeOrders();
        const auto full = [this] { return written.load() - taken.load() >= ringBlocks; };
        while (!ended && !full() && epoch.load() == readEpoch && !threadShouldExit()) {
            fill(ring[written.load() % ringBlocks]);
            written.fetch_add(1);
        }
        // Stopped, and all that the next start needs is there: nothing to do until it comes.
        const bool read =
            ended || (full() && ring[(written.load() - 1) % ringBlocks].epoch == readEpoch);
        wait(read && !playing.load() && epoch.load() == readEpoch ? -1 : readMilliseconds);
    }
    const std::lock_guard<std::mutex> lock(mutex); // see the destructor
}

void FilePlayer::takeOrders() {
    std::unique_ptr<Track> source;
    std::vector<std::unique_ptr<Track>> stems;
    bool stemsToo = false, moved = false;
    {
        const std::lock_guard<std::mutex> lock(mutex);
        source = std::exchange(nextSource, nullptr);
        stems = std::exchange(nextStems, {});
        stemsToo = std::exchange(newStems, false);
        moved = orderedEpoch != readEpoch;
        loop = orderedLoop.isEmpty() ? juce::Range<double>(0.0, lengthSeconds.load()) : orderedLoop;
        if (moved) {
            seconds = orderedSeconds;
            readEpoch = orderedEpoch;
            deviceRate = orderedRate;
        }
    }
    if (source != nullptr) {
        tracks.clear();
        tracks.push_back(std::move(source));
    }
    if (stemsToo && !tracks.empty()) {
        tracks.resize(1);
        for (auto& stem : stems) {
            place(*stem);
            tracks.push_back(std::move(stem));
        }
    }
    if (moved)
        for (auto& track : tracks)
            place(*track);
    if (moved || deviceRate <= 0.0)
        ended = tracks.empty() || deviceRate <= 0.0;
}

void FilePlayer::place(Track& track) {
    track.next = static_cast<juce::int64>(std::llround(seconds * track.reader->sampleRate));
    const double ratio = deviceRate > 0.0 ? track.reader->sampleRate / deviceRate : 1.0;
    for (auto& resampler : track.resamplers)
        resampler.reset();
    if (juce::approximatelyEqual(ratio, 1.0))
        return;
    // The resampler is late by so much; what comes before is of no use.
    std::array<float, blockFrames> unused[2];
    int late = juce::roundToInt(juce::WindowedSincInterpolator::getBaseLatency() / ratio);
    for (int count; late > 0; late -= count) {
        count = juce::jmin(late, blockFrames);
        read(track, ratio, count, {unused[0].data(), unused[1].data()}, looping.load());
    }
}

void FilePlayer::fill(Block& block) {
    const bool loops = looping.load();
    const double whole = lengthSeconds.load();
    block.epoch = readEpoch;
    block.tracks = static_cast<int>(tracks.size());
    block.seconds = seconds;
    const auto left = std::llround(juce::jmax(0.0, whole - seconds) * deviceRate);
    block.last = !loops && left <= blockFrames;
    block.frames = block.last ? static_cast<int>(left) : blockFrames;
    // Half a sample before the end is the end: seconds are added up, samples are counted.
    const double half = 0.5 / juce::jmax(1.0, fileRate.load());
    const bool within = seconds < loop.getEnd() - half;
    block.wrapAt = !loops || whole <= 0.0 ? 0.0 : within ? loop.getEnd() : whole;
    block.wrapTo = loop.getStart();
    for (std::size_t i = 0; i < tracks.size(); ++i) {
        auto& to = block.samples[i];
        read(*tracks[i], tracks[i]->reader->sampleRate / deviceRate, block.frames,
             {to[0].data(), to[1].data()}, loops);
    }
    seconds += block.frames / deviceRate;
    if (block.wrapAt > 0.0 && seconds >= block.wrapAt - half)
        for (seconds -= block.wrapAt - block.wrapTo;
             loop.getLength() > half && seconds >= loop.getEnd() - half;)
            seconds -= loop.getLength();
    ended = block.last;
}

FilePlayer::Lap FilePlayer::lapOf(const Track& track) const {
    Lap lap;
    const double rate = track.reader->sampleRate;
    lap.whole = track.reader->lengthInSamples;
    lap.start = juce::jlimit<juce::int64>(0, lap.whole - 1, std::llround(loop.getStart() * rate));
    lap.end = loop.getEnd() >= lengthSeconds.load() ? lap.whole
                                                    : std::llround(loop.getEnd() * rate);
    lap.end = juce::jlimit<juce::int64>(lap.start + 1, lap.whole, lap.end);
    return lap;
}

void FilePlayer::read(Track& track, double ratio, int frames, std::array<float*, 2> to,
                      bool loops) {
    const auto lap = lapOf(track);
    if (loops && track.next >= lap.whole)
        track.next = lap.start;
    const auto copy = [&](juce::AudioBuffer<float>& target, int count) {
        auto from = track.next;
        for (int done = 0, part = 0; done < count; done += part) {
            part = loops ? static_cast<int>(juce::jmin<juce::int64>(count - done, lap.left(from)))
                         : count - done;
            track.reader->read(&target, done, part, from, true, true);
            from = loops ? lap.advance(from, part) : from + part;
        }
    };
    int used = frames;
    if (juce::approximatelyEqual(ratio, 1.0)) {
        juce::AudioBuffer<float> target(to.data(), 2, frames);
        copy(target, frames);
    } else {
        const int needed =
            static_cast<int>(std::ceil(frames * juce::jmin(ratio, longestBlockRatio))) + 2;
        readBuffer.setSize(2, needed, false, false, true);
        copy(readBuffer, needed);
        for (int channel = 0; channel < 2; ++channel)
            used = track.resamplers[static_cast<std::size_t>(channel)].process(
                ratio, readBuffer.getReadPointer(channel), to[static_cast<std::size_t>(channel)],
                frames);
    }
    track.next = loops ? lap.advance(track.next, used) : track.next + used;
}

} // namespace lars
