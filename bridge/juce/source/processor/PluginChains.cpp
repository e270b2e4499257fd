// SPDX-License-Identifier: GPL-3.0-or-later
// The part of the plugin that keeps the effects behind the stems.
#include "processor/PluginProcessor.h"

namespace lars {

void PluginProcessor::changeChains(const juce::String& name,
                                   const std::function<void(Chains&)>& change,
                                   std::optional<Chains> before) {
    auto chains = link.chains().wanted();
    if (!before)
        before = chains;
    change(chains);
    link.setChains(chains);
    updateHostDisplay(ChangeDetails{}.withNonParameterStateChanged(true));
    if (name.isNotEmpty())
        past.did(
            name, [this, old = *before] { link.setChains(old); },
            [this, chains] { link.setChains(chains); });
}

} // namespace lars
