// SPDX-License-Identifier: GPL-3.0-or-later
#include "player/FilePlayer.h"

namespace lars {
namespace {

constexpr int readMilliseconds = 10; // between looks at the ring, which holds much more than that
constexpr double fadeSeconds = 0.005;
constexpr double wholeSeconds = 1e-3;      // what is nearer to the end is at the end
constexpr double longestBlockRatio = 24.0; // of a file's rate to the device's

float towards(float from, float to, float step) noexcept {
    return from < to ? juce::jmin(to, from + step) : juce::jmax(to, from - step);
}

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
    }
    jump(0.0);
    return juce::Result::ok();
}

void FilePlayer::unload() {
    playing.store(false);
    stemsHeard.store(false);
    fileRate.store(0.0);
    lengthSeconds.store(0.0);
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
    // What was read ahead may have been read over the end, or not over it.
    const double ahead = 2.0 * ringBlocks * blockFrames / 44100.0;
    const double now = position();
    if (!isPlaying() || now < ahead || now > length() - ahead)
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
        read(track, ratio, count, {unused[0].data(), unused[1].data()}, false);
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
    for (std::size_t i = 0; i < tracks.size(); ++i) {
        auto& to = block.samples[i];
        read(*tracks[i], tracks[i]->reader->sampleRate / deviceRate, block.frames,
             {to[0].data(), to[1].data()}, loops);
    }
    seconds += block.frames / deviceRate;
    if (loops && whole > 0.0)
        while (seconds >= whole)
            seconds -= whole;
    ended = block.last;
}

void FilePlayer::read(Track& track, double ratio, int frames, std::array<float*, 2> to,
                      bool loops) {
    const auto whole = track.reader->lengthInSamples;
    const auto copy = [&](juce::AudioBuffer<float>& target, int count) {
        auto from = track.next;
        for (int done = 0, part = 0; done < count; done += part, from += part) {
            if (loops)
                from %= whole;
            part = loops ? static_cast<int>(juce::jmin<juce::int64>(count - done, whole - from))
                         : count - done;
            track.reader->read(&target, done, part, from, true, true);
        }
    };
    if (juce::approximatelyEqual(ratio, 1.0)) {
        juce::AudioBuffer<float> target(to.data(), 2, frames);
        copy(target, frames);
        track.next += frames;
    } else {
        const int needed =
            static_cast<int>(std::ceil(frames * juce::jmin(ratio, longestBlockRatio))) + 2;
        readBuffer.setSize(2, needed, false, false, true);
        copy(readBuffer, needed);
        int used = 0;
        for (int channel = 0; channel < 2; ++channel)
            used = track.resamplers[static_cast<std::size_t>(channel)].process(
                ratio, readBuffer.getReadPointer(channel), to[static_cast<std::size_t>(channel)],
                frames);
        track.next += used;
    }
    if (loops)
        track.next %= whole;
}

// The audio thread.

const FilePlayer::Block* FilePlayer::front() const noexcept {
    const auto first = taken.load();
    return written.load() == first ? nullptr : &ring[first % ringBlocks];
}

void FilePlayer::weigh(int count, Weights& goal) const noexcept {
    goal = {};
    const bool stems = stemsHeard.load() && count > 1;
    goal[0] = stems ? 0.0f : 1.0f;
    if (!stems)
        return;
    std::array<Fader, mostStems> used{};
    const auto& rest = faders[residualFader];
    bool anySolo = rest.isSolo();
    const auto present = static_cast<std::size_t>(count - 1);
    for (std::size_t i = 0; i < present; ++i) {
        const int which = bus[i].load();
        const auto& own = ownFaders[i];
        used[i] = which >= 0 ? faders[static_cast<std::size_t>(which)]
                             : Fader{&own.gain, &own.mute, &own.solo};
        anySolo = anySolo || used[i].isSolo();
    }
    // What no stem has is the file less the stems.
    goal[0] = rest.factor(anySolo);
    for (std::size_t i = 0; i < present; ++i)
        goal[i + 1] = used[i].factor(anySolo) - goal[0];
}

void FilePlayer::add(juce::AudioBuffer<float>& buffer, int channels) noexcept {
    const auto wanted = epoch.load();
    const bool plays = playing.load();
    const int count = buffer.getNumSamples();
    for (int done = 0; done < count;) {
        const auto* block = front();
        if (envelope <= 0.0f) {
            // Silent: on to where the last jump went.
            while (block != nullptr && block->epoch != wanted) {
                taken.fetch_add(1);
                block = front();
            }
            if (heardEpoch != wanted)
                offset = 0;
            if (block != nullptr)
                heardEpoch = wanted;
            if (block == nullptr || !plays)
                return;
            weigh(block->tracks, weights);
            // The file's first attack is its own; anywhere else a fade begins.
            envelope = block->seconds <= 0.0 && offset == 0 ? 1.0f : fadeStep;
        }
        const float goal = plays && heardEpoch == wanted ? 1.0f : 0.0f;
        if (block == nullptr || block->epoch != heardEpoch) {
            envelope = 0.0f; // the reading thread is behind, or has gone on to another place
            if (heardEpoch == wanted)
                return;
            continue;
        }
        int part = juce::jmin(count - done, block->frames - offset);
        if (goal < envelope)
            part =
                juce::jmin(part, juce::jmax(1, static_cast<int>(std::ceil(envelope / fadeStep))));
        mix(*block, buffer, channels, done, part, goal);
        done += part;
        offset += part;
        if (heardEpoch == wanted) {
            const double now = block->seconds + offset / heardRate, whole = lengthSeconds.load();
            heardSeconds.store(now > whole && looping.load() ? now - whole
                                                             : juce::jmin(now, whole));
        }
        if (offset < block->frames)
            continue;
        const bool last = block->last;
        taken.fetch_add(1);
        offset = 0;
        if (last) {
            envelope = 0.0f;
            if (epoch.load() == heardEpoch) {
                playing.store(false);
                heardSeconds.store(lengthSeconds.load());
            }
            return;
        }
    }
}

void FilePlayer::mix(const Block& block, juce::AudioBuffer<float>& buffer, int channels, int start,
                     int count, float goal) noexcept {
    Weights goals;
    weigh(block.tracks, goals);
    std::array<float, blockFrames> fade;
    for (int i = 0; i < count; ++i)
        fade[static_cast<std::size_t>(i)] = envelope = towards(envelope, goal, fadeStep);
    const auto first = static_cast<std::size_t>(offset);
    for (std::size_t track = 0; track < static_cast<std::size_t>(block.tracks); ++track) {
        const float from = weights[track], to = goals[track];
        float weight = from;
        for (int channel = 0; channel < channels; ++channel) {
            const auto* source =
                block.samples[track][static_cast<std::size_t>(channel)].data() + first;
            auto* target = buffer.getWritePointer(channel, start);
            weight = from;
            for (int i = 0; i < count; ++i) {
                weight = towards(weight, to, fadeStep);
                target[i] += weight * fade[static_cast<std::size_t>(i)] * source[i];
            }
        }
        weights[track] = weight;
    }
}

} // namespace lars
