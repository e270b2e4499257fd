// SPDX-License-Identifier: GPL-3.0-or-later
// What a file's session says while it separates, and the equal loudness of original and stems.
#include "player/FileSession.h"

namespace lars {

juce::String FileSession::progressText() const {
    const auto status = job.status();
    auto line = status.progress > 0.0
                ? juce::String(juce::roundToInt(100.0 * status.progress)) + " %"
                                      : juce::String("Separating");
    line << ", " << remaining.text(Remaining::clock());
    if (waiting() > 0)
        line << ", then " << waiting() << (waiting() == 1 ? " more file" : " more files");
    return line;
}

// Loudness.

void FileSession::measure() {
    std::vector<juce::File> stemFiles;
    for (const auto& stem : stems())
        stemFiles.push_back(stem.file);
    loudness.start(now().playable, std::move(stemFiles));
    updateLoudness();
}

void FileSession::setEqualLoudness(bool on) {
    equal = on;
    updateLoudness();
}

void FileSession::updateLoudness() {
    const auto table = equal ? loudness.table() : nullptr;
    const auto trims = table == nullptr ? std::array<float, 2>{1.0f, 1.0f}
                                        : table->trims(player.mixGains(table->stems));
    player.setTrims(trims[0], trims[1]);
}

} // namespace lars
