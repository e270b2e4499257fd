// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/Offers.h"

#include <juce_core/juce_core.h>

#include "engine/Json.h"
#include "protocol/Limits.h"

namespace lars {
namespace {

constexpr int mostPurpose = 512;

std::string textOf(const juce::var& table, const char* key, int most) {
    const auto value = table.getProperty(key, {});
    return value.isString() ? value.toString().substring(0, most).toStdString() : std::string();
}

double numberOf(const juce::var& table, const char* key) {
    const auto value = table.getProperty(key, {});
    const double number = value.isInt() || value.isInt64() || value.isDouble()
                              ? static_cast<double>(value)
                              : 0.0;
    return std::isfinite(number) && number > 0.0 && number < 1e15 ? number : 0.0;
}

} // namespace

std::vector<ModelOffer> readOffers(const protocol::Bytes& report) {
    std::vector<ModelOffer> result;
    const auto* text = reinterpret_cast<const char*>(report.data());
    if (!juce::CharPointer_UTF8::isValidString(text, static_cast<int>(report.size())))
        return result;
    const auto content = juce::String::fromUTF8(text, static_cast<int>(report.size()));
    const auto root = isShallow(content) ? juce::JSON::parse(content) : juce::var();
    const auto offers = root.getProperty("offers", {});
    for (int i = 0; i < offers.size() && result.size() < protocol::maxNames; ++i) {
        const auto& table = offers[i];
        ModelOffer offer;
        offer.name = textOf(table, "name", static_cast<int>(protocol::maxName));
        if (offer.name.empty())
            continue;
        offer.purpose = textOf(table, "purpose", mostPurpose);
        offer.weights = table.getProperty("weights", true);
        offer.live = textOf(table, "made_for", 16) == "live";
        offer.liveMs = numberOf(table, "live_ms");
        offer.bytes = static_cast<std::uint64_t>(numberOf(table, "bytes"));
        const auto stems = table.getProperty("stems", {});
        for (int stem = 0; stem < stems.size() && offer.stems.size() < protocol::maxNames; ++stem)
            offer.stems.push_back(stems[stem].toString().substring(0, 128).toStdString());
        result.push_back(std::move(offer));
    }
    return result;
}

} // namespace lars
