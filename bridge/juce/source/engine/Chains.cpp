// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/Chains.h"

#include <juce_core/juce_core.h>

#include "engine/Json.h"
#include "protocol/Limits.h"
#include "protocol/Wire.h"

namespace lars {
namespace {

constexpr std::size_t mostStems = 16, mostValues = 256, mostParameters = 1024, mostOffers = 4096;
constexpr std::size_t mostState = (std::size_t{1} << 18) / 3 * 4 + 4; // in base64
constexpr double mostNumber = 1e12;

juce::var parse(const char* text, std::size_t size) {
    if (size > protocol::maxChain ||
        !protocol::isText(reinterpret_cast<const std::uint8_t*>(text), size))
        return {};
    const auto content = juce::String::fromUTF8(text, static_cast<int>(size));
    return isShallow(content) ? juce::JSON::parse(content) : juce::var();
}

std::string textOf(const juce::var& table, const char* key, std::size_t most = protocol::maxName) {
    const auto value = table.getProperty(key, {});
    const auto text = value.isString() ? value.toString().toStdString() : std::string();
    return text.size() <= most && text.find('\0') == std::string::npos ? text : std::string();
}

bool isNumber(const juce::var& value) {
    return (value.isInt() || value.isInt64() || value.isDouble()) &&
           std::abs(static_cast<double>(value)) < mostNumber; // false for NaN
}

double numberOf(const juce::var& table, const char* key, double otherwise) {
    const auto value = table.getProperty(key, {});
    return isNumber(value) ? static_cast<double>(value) : otherwise;
}

std::vector<std::string> textsOf(const juce::var& table, const char* key) {
    std::vector<std::string> result;
    const auto list = table.getProperty(key, {});
    for (int i = 0; i < list.size() && result.size() < protocol::maxNames; ++i)
        result.push_back(list[i].toString().substring(0, 128).toStdString());
    return result;
}

// A class of pedalboard's, or a file by its name: never a path.
bool isEffect(const std::string& effect) {
    constexpr auto prefix = "vst3/";
    const auto name = effect.rfind(prefix, 0) == 0 ? effect.substr(5) : effect;
    return !name.empty() && name.find_first_of("/\\") == std::string::npos;
}

juce::var toVar(const ChainEntry& entry, bool withState) {
    auto* table = new juce::DynamicObject();
    const juce::var result(table);
    const auto text = [](const std::string& value) {
        return juce::String::fromUTF8(value.data(), static_cast<int>(value.size()));
    };
    table->setProperty("id", text(entry.id));
    table->setProperty("effect", text(entry.effect));
    if (!entry.name.empty())
        table->setProperty("name", text(entry.name));
    table->setProperty("bypass", entry.bypass);
    auto* values = new juce::DynamicObject();
    for (const auto& [name, value] : entry.values)
        values->setProperty(text(name), value);
    table->setProperty("parameters", juce::var(values));
    if (withState && !entry.state.empty())
        table->setProperty("state", text(entry.state));
    return result;
}

ChainEntry toEntry(const juce::var& table) {
    ChainEntry entry;
    entry.id = textOf(table, "id");
    entry.effect = textOf(table, "effect");
    entry.name = textOf(table, "name");
    entry.bypass = table.getProperty("bypass", false);
    entry.state = textOf(table, "state", mostState);
    if (auto* values = table.getProperty("parameters", {}).getDynamicObject())
        for (const auto& [name, value] : values->getProperties())
            if (isNumber(value) && entry.values.size() < mostValues &&
                name.toString().length() <= 128)
                entry.values[name.toString().toStdString()] = static_cast<double>(value);
    return entry;
}

std::vector<EffectParameter> parametersOf(const juce::var& table) {
    std::vector<EffectParameter> result;
    const auto list = table.getProperty("parameters", {});
    for (int i = 0; i < list.size() && result.size() < mostParameters; ++i) {
        EffectParameter one;
        one.name = textOf(list[i], "name");
        one.title = textOf(list[i], "title");
        one.unit = textOf(list[i], "unit");
        one.text = textOf(list[i], "text", protocol::maxText);
        one.choices = textsOf(list[i], "choices");
        one.low = numberOf(list[i], "min", 0.0);
        one.high = numberOf(list[i], "max", 1.0);
        one.standard = numberOf(list[i], "default", one.low);
        one.value = numberOf(list[i], "value", one.standard);
        one.logarithmic = list[i].getProperty("log", false) && one.low > 0.0;
        if (!one.name.empty() && one.low < one.high)
            result.push_back(std::move(one));
    }
    return result;
}

juce::var parse(const protocol::Bytes& report) {
    return parse(reinterpret_cast<const char*>(report.data()), report.size());
}

} // namespace

bool sameEffects(const Chains& one, const Chains& other) {
    return one.size() == other.size() &&
           std::equal(one.begin(), one.end(), other.begin(), [](const auto& a, const auto& b) {
               return a.first == b.first && a.second.size() == b.second.size() &&
                      std::equal(a.second.begin(), a.second.end(), b.second.begin(),
                                 [](const auto& x, const auto& y) { return x.sameEffect(y); });
           });
}

std::string writeChains(const Chains& chains, bool withStates) {
    auto* stems = new juce::DynamicObject();
    const juce::var holder(stems);
    for (const auto& [stem, chain] : chains) {
        juce::Array<juce::var> list;
        for (const auto& entry : chain)
            list.add(toVar(entry, withStates));
        stems->setProperty(juce::String(stem), list);
    }
    auto* root = new juce::DynamicObject();
    const juce::var result(root);
    root->setProperty("stems", holder);
    return juce::JSON::toString(result, true).toStdString();
}

Chains readChains(const std::string& text) {
    Chains result;
    const auto root = parse(text.data(), text.size());
    auto* stems = root.getProperty("stems", {}).getDynamicObject();
    if (stems == nullptr)
        return result;
    for (const auto& [stem, list] : stems->getProperties()) {
        Chain chain;
        for (int i = 0; i < list.size() && chain.size() < mostEffects; ++i) {
            auto entry = toEntry(list[i]);
            const bool known = std::any_of(chain.begin(), chain.end(),
                                           [&](const auto& one) { return one.id == entry.id; });
            if (!entry.id.empty() && !known && isEffect(entry.effect))
                chain.push_back(std::move(entry));
        }
        const auto name = stem.toString();
        if (!chain.empty() && result.size() < mostStems && name.isNotEmpty() && name.length() <= 32)
            result[name.toStdString()] = std::move(chain);
    }
    return result;
}

ChainReport readChainReport(const protocol::Bytes& report) {
    ChainReport result;
    const auto root = parse(report);
    if (auto* stems = root.getProperty("stems", {}).getDynamicObject())
        for (const auto& [stem, list] : stems->getProperties()) {
            auto& chain = result[stem.toString().toStdString()];
            for (int i = 0; i < list.size() && chain.size() < mostEffects; ++i) {
                EffectReport one;
                one.id = textOf(list[i], "id");
                one.error = textOf(list[i], "error", protocol::maxText);
                one.state = textOf(list[i], "state", mostState);
                one.names = textsOf(list[i], "names");
                one.latency = static_cast<int>(
                    juce::jlimit(0.0, 1e9, numberOf(list[i], "latency", 0.0)));
                one.parameters = parametersOf(list[i]);
                chain.push_back(std::move(one));
            }
        }
    return result;
}

std::vector<EffectOffer> readEffects(const protocol::Bytes& report) {
    std::vector<EffectOffer> result;
    const auto root = parse(report);
    for (const auto* key : {"effects", "plugins"}) {
        const auto list = root.getProperty(key, {});
        for (int i = 0; i < list.size() && result.size() < mostOffers; ++i) {
            EffectOffer one;
            one.effect = textOf(list[i], "effect");
            one.title = textOf(list[i], "title");
            one.onDisk = juce::String(key) == "plugins";
            one.parameters = parametersOf(list[i]);
            if (isEffect(one.effect))
                result.push_back(std::move(one));
        }
    }
    return result;
}

} // namespace lars
