// SPDX-License-Identifier: GPL-3.0-or-later
#include "player/Loudness.h"

#include <cmath>

namespace lars {
namespace {

constexpr int blockFrames = 4096;
constexpr double leastPower = 1e-12; // of a sample: nothing can be heard of it

// A second-order section, in double.
struct Section {
    double b0, b1, b2, a1, a2, z1 = 0.0, z2 = 0.0;

    double operator()(double in) {
        const double out = b0 * in + z1;
        z1 = b1 * in - a1 * out + z2;
        z2 = b2 * in - a2 * out;
        return out;
    }
};

// BS.1770's two filters, by their analogue shapes, so that they hold at any rate.
Section shelf(double rate) {
    const double k = std::tan(juce::MathConstants<double>::pi * 1681.974450955533 / rate);
    constexpr double q = 0.7071752369554196;
    const double high = std::pow(10.0, 3.999843853973347 / 20.0);
    const double band = std::pow(high, 0.4996667741545416);
    const double a0 = 1.0 + k / q + k * k;
    return {(high + band * k / q + k * k) / a0, 2.0 * (k * k - high) / a0,
            (high - band * k / q + k * k) / a0, 2.0 * (k * k - 1.0) / a0,
            (1.0 - k / q + k * k) / a0};
}

Section highPass(double rate) {
    const double k = std::tan(juce::MathConstants<double>::pi * 38.13547087602444 / rate);
    constexpr double q = 0.5003270373238773;
    const double a0 = 1.0 + k / q + k * k;
    return {1.0, -2.0, 1.0, 2.0 * (k * k - 1.0) / a0, (1.0 - k / q + k * k) / a0};
}

struct Line {
    std::unique_ptr<juce::AudioFormatReader> reader;
    std::array<std::vector<Section>, 2> filters;
    juce::AudioBuffer<float> samples{2, blockFrames};
    std::array<std::vector<double>, 2> heard;
};

} // namespace

double LoudnessTable::mix(const std::vector<std::array<float, 2>>& gains) const {
    double power = 0.0;
    const auto count = static_cast<std::size_t>(stems) + 1;
    for (std::size_t side = 0; side < 2; ++side)
        for (std::size_t i = 0; i < count && i < gains.size(); ++i)
            for (std::size_t j = 0; j < count && j < gains.size(); ++j)
                power += static_cast<double>(gains[i][side]) * gains[j][side] *
                         products[side][i * count + j];
    return power;
}

std::array<float, 2>
LoudnessTable::trims(const std::vector<std::array<float, 2>>& gains) const {
    const double mixed = mix(gains);
    if (!(original > leastPower) || !(mixed > leastPower))
        return {1.0f, 1.0f};
    const auto factor = [](double ratio) {
        return juce::jlimit(least, 1.0f, static_cast<float>(std::sqrt(ratio)));
    };
    return {factor(mixed / original), factor(original / mixed)};
}

LoudnessMeter::LoudnessMeter() {
    formats.registerBasicFormats();
}

LoudnessMeter::~LoudnessMeter() {
    leave();
}

void LoudnessMeter::leave() {
    stop.store(true);
    if (thread.joinable())
        thread.join();
}

std::shared_ptr<const LoudnessTable> LoudnessMeter::table() const {
    const std::lock_guard<std::mutex> lock(mutex);
    return result;
}

void LoudnessMeter::start(const juce::File& original, std::vector<juce::File> stems) {
    leave();
    {
        const std::lock_guard<std::mutex> lock(mutex);
        result = nullptr;
    }
    if (stems.empty() || original == juce::File())
        return;
    stop.store(false);
    thread = std::thread([this, original, files = std::move(stems)] { measure(original, files); });
}

void LoudnessMeter::measure(const juce::File& original, const std::vector<juce::File>& stems) {
    std::vector<Line> lines(stems.size() + 1); // the last is the original
    const auto count = stems.size();
    juce::int64 longest = 0;
    for (std::size_t i = 0; i < lines.size(); ++i) {
        auto& line = lines[i];
        line.reader.reset(formats.createReaderFor(i < count ? stems[i] : original));
        if (line.reader == nullptr || line.reader->sampleRate <= 0.0)
            return;
        for (std::size_t side = 0; side < 2; ++side) {
            const double rate = line.reader->sampleRate;
            line.filters[side] = {shelf(rate), highPass(rate)};
            line.heard[side].resize(blockFrames);
        }
        if (std::abs(line.reader->sampleRate - lines.front().reader->sampleRate) > 0.5)
            return;
        longest = juce::jmax(longest, line.reader->lengthInSamples);
    }
    auto table = std::make_shared<LoudnessTable>();
    table->stems = static_cast<int>(count);
    for (auto& side : table->products)
        side.assign(lines.size() * lines.size(), 0.0);
    for (juce::int64 at = 0; at < longest; at += blockFrames) {
        if (stop.load())
            return;
        for (auto& line : lines) {
            line.reader->read(&line.samples, 0, blockFrames, at, true, true); // zeros after the end
            for (std::size_t side = 0; side < 2; ++side) {
                const auto* in = line.samples.getReadPointer(static_cast<int>(side));
                auto& filters = line.filters[side];
                for (std::size_t n = 0; n < blockFrames; ++n)
                    line.heard[side][n] = filters[1](filters[0](in[n]));
            }
        }
        const auto product = [&](const Line& one, const Line& other, std::size_t side) {
            double sum = 0.0;
            for (std::size_t n = 0; n < blockFrames; ++n)
                sum += one.heard[side][n] * other.heard[side][n];
            return sum / static_cast<double>(longest);
        };
        for (std::size_t side = 0; side < 2; ++side) {
            table->original += product(lines[count], lines[count], side);
            for (std::size_t i = 0; i < lines.size(); ++i)
                for (std::size_t j = 0; j <= i; ++j) {
                    const double sum = product(lines[i], lines[j], side);
                    table->products[side][i * lines.size() + j] += sum;
                    if (i != j)
                        table->products[side][j * lines.size() + i] += sum;
                }
        }
    }
    const std::lock_guard<std::mutex> lock(mutex);
    result = std::move(table);
}

} // namespace lars
