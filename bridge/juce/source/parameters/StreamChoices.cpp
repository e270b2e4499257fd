// SPDX-License-Identifier: GPL-3.0-or-later
#include "parameters/StreamChoices.h"

#include "parameters/Parameters.h"

namespace lars {
namespace {

struct Row {
    int StreamChoices::*member;
    const char* id;
};
constexpr std::array<Row, streamChoiceCount> rows{{{&StreamChoices::model, ids::model},
                                                   {&StreamChoices::files, ids::filesModel},
                                                   {&StreamChoices::mode, ids::mode},
                                                   {&StreamChoices::quality, ids::quality},
                                                   {&StreamChoices::fallback, ids::fallback},
                                                   {&StreamChoices::midi, ids::midi}}};
static_assert(rows.back().id != nullptr, "each member of StreamChoices has a row");

auto fieldsOf(const juce::AudioProcessorValueTreeState& state) {
    std::array<ChoiceField<StreamChoices>, streamChoiceCount> result{};
    for (std::size_t i = 0; i < rows.size(); ++i)
        result[i] = {rows[i].member, state.getRawParameterValue(rows[i].id)};
    return result;
}

} // namespace

StreamParameters::StreamParameters(juce::AudioProcessorValueTreeState& parameters)
    : VersionedChoices(fieldsOf(parameters)), state(parameters) {
    for (const auto& row : rows)
        state.addParameterListener(row.id, this);
}

StreamParameters::~StreamParameters() {
    for (const auto& row : rows)
        state.removeParameterListener(row.id, this);
}

} // namespace lars
