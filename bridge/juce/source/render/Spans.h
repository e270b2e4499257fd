// SPDX-License-Identifier: GPL-3.0-or-later
// Parts of a timeline, in samples.
#pragma once

#include <cstdint>
#include <iterator>
#include <map>
#include <vector>

namespace lars {

struct Span {
    std::int64_t begin = 0, end = 0; // the last sample is before the end

    bool operator==(const Span& other) const { return begin == other.begin && end == other.end; }
};

// Spans in order, which neither overlap nor touch.
class Spans {
public:
    void add(Span span) {
        if (span.begin >= span.end)
            return;
        auto next = byBegin.upper_bound(span.begin);
        if (next != byBegin.begin() && std::prev(next)->second >= span.begin) {
            --next;
            span.begin = next->first;
        }
        while (next != byBegin.end() && next->first <= span.end) {
            span.end = next->second > span.end ? next->second : span.end;
            next = byBegin.erase(next);
        }
        byBegin.emplace(span.begin, span.end);
    }

    // The parts of a span that nothing was added for.
    std::vector<Span> missing(Span span) const {
        std::vector<Span> result;
        auto next = byBegin.upper_bound(span.begin);
        if (next != byBegin.begin())
            --next;
        for (; next != byBegin.end() && next->first < span.end; ++next) {
            if (next->first > span.begin)
                result.push_back({span.begin, next->first});
            span.begin = next->second > span.begin ? next->second : span.begin;
        }
        if (span.begin < span.end)
            result.push_back(span);
        return result;
    }

    bool empty() const { return byBegin.empty(); }
    // From the first sample to the last; not of none.
    Span whole() const { return {byBegin.begin()->first, byBegin.rbegin()->second}; }
    std::vector<Span> list() const {
        std::vector<Span> result;
        for (const auto& [begin, end] : byBegin)
            result.push_back({begin, end});
        return result;
    }

private:
    std::map<std::int64_t, std::int64_t> byBegin;
};

} // namespace lars
