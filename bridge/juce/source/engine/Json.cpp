// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/Json.h"

namespace lars {

bool isShallow(const juce::String& text) {
    constexpr int most = 8;
    int depth = 0;
    juce::juce_wchar quote = 0; // that the string ends with; 0: there is none
    for (auto at = text.getCharPointer(); !at.isEmpty(); ++at) {
        const auto letter = *at;
        if (quote != 0) {
            if (letter == quote)
                quote = 0;
            else if (letter == '\\' && (++at).isEmpty())
                break;
        } else if (letter == '"' || letter == '\'') {
            quote = letter;
        } else if (letter == '[' || letter == '{') {
            if (++depth > most)
                return false;
        } else if (letter == ']' || letter == '}') {
            --depth;
        }
    }
    return true;
}

} // namespace lars
