// SPDX-License-Identifier: GPL-3.0-or-later
// Which model is wanted: by name where it was chosen from an engine's list; by its place where a
// host has set the parameter and no list has that place, or none has come yet; neither where nobody
// has chosen, and then it is the default.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include <juce_core/juce_core.h>

namespace lars {

// What a model is wanted for. Each has a choice of its own.
enum class Task { live, files }; // the live stream; files and offline mode
inline constexpr std::size_t taskCount = 2;

struct ModelChoice {
    juce::String name;
    int place = -1;

    // Whether these are the models that the place was chosen for.
    bool canName(const std::vector<std::string>& models) const {
        return place >= 0 && static_cast<std::size_t>(place) < models.size();
    }
    void resolve(const std::vector<std::string>& models) {
        if (canName(models)) {
            name = juce::String::fromUTF8(models[static_cast<std::size_t>(place)].c_str());
            place = -1;
        }
    }
};

} // namespace lars
