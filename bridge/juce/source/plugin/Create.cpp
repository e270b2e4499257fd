// SPDX-License-Identifier: GPL-3.0-or-later
#include "processor/PluginProcessor.h"

// What every plugin format's wrapper calls to get an instance.
juce::AudioProcessor* JUCE_CALLTYPE createPluginFilter();

juce::AudioProcessor* JUCE_CALLTYPE createPluginFilter() {
    return new lars::PluginProcessor();
}
