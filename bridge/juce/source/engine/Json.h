// SPDX-License-Identifier: GPL-3.0-or-later
// JSON of which nobody knows who wrote it.
#pragma once

#include <juce_core/juce_core.h>

namespace lars {

// Whether JUCE's parser may have it. That descends as deep as the text does, and a text that is deep
// enough ends the process; what we write has no more than seven levels, and eight are allowed.
bool isShallow(const juce::String& text);

} // namespace lars
