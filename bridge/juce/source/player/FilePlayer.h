// SPDX-License-Identifier: GPL-3.0-or-later
// Plays a file and its stems: a background thread reads ahead and resamples into a ring of blocks,
// the audio thread takes them out, weighs them by the faders and adds them to the output.
#pragma once

#include <array>
#include <atomic>
#include <mutex>

#include <juce_audio_formats/juce_audio_formats.h>

#include "parameters/Faders.h"
#include "player/PeakMeter.h"

namespace lars {

// A stem that a file was separated into.
struct StemFile {
    juce::String name;
    juce::File file;
};

class FilePlayer : private juce::Thread {
public:
    static constexpr int mostStems = 15;

    explicit FilePlayer(const juce::AudioProcessorValueTreeState& state);
    ~FilePlayer() override;

    // Message thread.

    // Another file, at its beginning and stopped, without stems.
    juce::Result load(const juce::File& file);
    // No file: nothing is heard any more.
    void unload();
    // The loaded file's stems; playback goes on. An empty list takes them away.
    juce::Result setStems(const std::vector<StemFile>& stems);
    void play();
    void stop();
    bool isPlaying() const { return playing.load(); }
    // Blocks that are read and not yet heard.
    std::uint32_t blocksAhead() const { return written.load() - taken.load(); }
    void setLooping(bool loops);
    bool isLooping() const { return looping.load(); }
    // The part that loops, in seconds; an empty one is the whole file. Playing from behind it goes
    // on to the file's end first.
    void setLoopRegion(juce::Range<double> region);
    juce::Range<double> loopRegion() const;
    static constexpr double shortestLoop = 0.02; // seconds
    // In seconds from the beginning.
    void setPosition(double seconds);
    double position() const { return heardSeconds.load(); }
    double length() const { return lengthSeconds.load(); }
    double sampleRate() const { return fileRate.load(); }
    // Whether the stems are heard, or the file that they came from.
    void hearStems(bool stems) { stemsHeard.store(stems); }
    bool hearsStems() const { return stemsHeard.load(); }
    // Factors for the file and for its stems, by which they are equally loud; both 1 to leave them.
    void setTrims(float ofFile, float ofStems) {
        fileTrim.store(ofFile);
        stemsTrim.store(ofStems);
    }
    // What the faders make of each of so many stems now, and last of the file: left and right. The
    // file is heard by the fader of what no stem has, less the stems by the same.
    std::vector<std::array<float, 2>> mixGains(int count) const;
    // Of a stem of the loaded file, behind its fader.
    PeakMeter& meter(int stem) { return meters[static_cast<std::size_t>(stem)]; }

    // The fader of a stem of the loaded file that none of the plugin's buses is for.
    struct OwnFader {
        std::atomic<float> gain{0.0f}, mute{0.0f}, solo{0.0f}; // dB; 0 or 1
        std::atomic<float> pan{0.0f};                          // -100 to 100
    };
    OwnFader& ownFader(int stem) { return ownFaders[static_cast<std::size_t>(stem)]; }

    // Not while `add` runs.
    void prepare(double rate);

    // The audio thread, which never waits here: adds `count` samples to the first channels.
    void add(juce::AudioBuffer<float>& buffer, int channels) noexcept;

private:
    static constexpr int blockFrames = 256;
    static constexpr std::uint32_t ringBlocks = 128;

    struct Track {
        std::unique_ptr<juce::AudioFormatReader> reader;
        std::array<juce::WindowedSincInterpolator, 2> resamplers;
        juce::int64 next = 0; // frame
    };
    struct Block {
        std::uint32_t epoch = 0;
        int frames = 0, tracks = 0;
        bool last = false;    // the file's end
        double seconds = 0.0; // where its first frame comes from
        double wrapAt = 0.0, wrapTo = 0.0; // seconds; the first is 0 where it does not loop
        std::array<std::array<std::array<float, blockFrames>, 2>, mostStems + 1> samples;
    };
    // The way round the loop, in a track's frames.
    struct Lap {
        juce::int64 start = 0, end = 0, whole = 0;
        juce::int64 left(juce::int64 from) const { return (from < end ? end : whole) - from; }
        juce::int64 advance(juce::int64 from, juce::int64 count) const {
            const auto rest = left(from);
            return count < rest ? from + count : start + (count - rest) % (end - start);
        }
    };

    // Of the file and its stems: left and right.
    using Weights = std::array<std::array<float, 2>, mostStems + 1>;

    std::unique_ptr<juce::AudioFormatReader> open(const juce::File& file, juce::String& problem);
    void jump(double to);
    void run() override;
    void takeOrders();
    void place(Track& track);
    void fill(Block& block);
    void read(Track& track, double ratio, int frames, std::array<float*, 2> to, bool loops);
    Lap lapOf(const Track& track) const;
    void readAgain(std::initializer_list<double> ends);
    const Block* front() const noexcept;
    // Whether the stems are heard.
    bool weigh(int count, Weights& goal) const noexcept;
    void weighStems(int count, Weights& goal) const noexcept;
    void mix(const Block& block, juce::AudioBuffer<float>& buffer, int channels, int start,
             int count, float goal) noexcept;

    juce::AudioFormatManager formats;
    const Faders faders;
    std::array<OwnFader, mostStems> ownFaders;
    std::array<std::atomic<int>, mostStems> bus; // of each stem; -1: its own fader

    std::atomic<bool> playing{false}, looping{false}, stemsHeard{false};
    std::atomic<std::uint32_t> epoch{1}; // one more with every jump
    std::atomic<float> fileTrim{1.0f}, stemsTrim{1.0f};
    std::array<PeakMeter, mostStems> meters;
    std::atomic<double> heardSeconds{0.0}, lengthSeconds{0.0}, fileRate{0.0};

    mutable std::mutex mutex; // of what the reading thread is to do
    double orderedSeconds = 0.0, orderedRate = 0.0;
    std::uint32_t orderedEpoch = 1;
    bool newStems = false;
    juce::Range<double> orderedLoop;
    std::unique_ptr<Track> nextSource;
    std::vector<std::unique_ptr<Track>> nextStems;

    // Of the reading thread.
    std::vector<std::unique_ptr<Track>> tracks; // the file, then its stems
    double seconds = 0.0, deviceRate = 0.0;
    juce::Range<double> loop; // never empty while there is a file
    std::uint32_t readEpoch = 0;
    bool ended = true;
    juce::AudioBuffer<float> readBuffer;

    // The ring: one writes, one reads.
    std::vector<Block> ring;
    std::atomic<std::uint32_t> written{0}, taken{0};

    // Of the audio thread.
    std::uint32_t heardEpoch = 0;
    int offset = 0;        // into the first block
    float envelope = 0.0f; // fades after a jump, a stop, a start
    float fadeStep = 0.01f;
    double heardRate = 44100.0;
    Weights weights{};
};

} // namespace lars
