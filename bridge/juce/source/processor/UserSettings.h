// SPDX-License-Identifier: GPL-3.0-or-later
// What is the user's and no session's: which command starts an engine, whether the plugin runs it
// by itself, and how the window is folded.
// Sessions and presets come from anywhere; they neither hold nor change this.
#pragma once

#include <mutex>

#include <juce_data_structures/juce_data_structures.h>

#include "engine/Installed.h"

namespace lars {

class UserSettings {
public:
    struct Values {
        juce::String command{defaultCommand};
        bool automatic = true;
        bool advanced = false; // the window shows the engine's figures

        bool operator==(const Values& other) const {
            return command == other.command && automatic == other.automatic &&
                   advanced == other.advanced;
        }
        bool operator!=(const Values& other) const { return !(*this == other); }
    };

    // Reads the file; one per process, by juce::SharedResourcePointer. Any thread.
    UserSettings();

    Values get() const;
    // Keeps them from now on, for all instances; the failure says why not in the file.
    juce::Result set(const Values& values);
    // Reads the file again if it is another than it was: other programs have the plugin too.
    void refresh();

    // $XDG_CONFIG_HOME/LARS/plugin.settings on Linux, ~/.config if that is not set.
    static juce::File file();

private:
    void read();

    mutable std::mutex mutex;
    Values values;
    juce::Time readAt;
};

} // namespace lars
