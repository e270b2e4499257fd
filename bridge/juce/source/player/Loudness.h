// SPDX-License-Identifier: GPL-3.0-or-later
// How loud a file is, and how loud its stems are together whatever their faders say.
//
// Loudness is the mean power behind the K filter of ITU-R BS.1770, over the whole file and without
// its gate: both sides of the comparison have the same pauses. The stems are measured by the
// products of each with each and with the file, so that the power of any mix of them is a sum of
// a few terms.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include <juce_audio_formats/juce_audio_formats.h>

namespace lars {

struct LoudnessTable {
    int stems = 0;
    double original = 0.0;                       // power, both channels together
    // By channel, each with each: the stems, and last the file.
    std::array<std::vector<double>, 2> products;

    // Gains are the stems', and last the file's, where it is in the mix.
    double mix(const std::vector<std::array<float, 2>>& gains) const;
    // Factors for the file and for its stems with these gains. Neither is above 1.
    std::array<float, 2> trims(const std::vector<std::array<float, 2>>& gains) const;
    static constexpr float least = 0.0630957f; // -24 dB
};

class LoudnessMeter {
public:
    LoudnessMeter();
    ~LoudnessMeter();

    // Forgets what was measured and, where there are stems, measures these in the background.
    void start(const juce::File& original, std::vector<juce::File> stems);
    // When it is done; none before that, and where the files cannot be compared.
    std::shared_ptr<const LoudnessTable> table() const;

private:
    void leave();
    void measure(const juce::File& original, const std::vector<juce::File>& stems);

    juce::AudioFormatManager formats;
    std::thread thread;
    std::atomic<bool> stop{false};
    mutable std::mutex mutex; // of the result
    std::shared_ptr<const LoudnessTable> result;
};

} // namespace lars
