// SPDX-License-Identifier: GPL-3.0-or-later
// Whole numbers that other threads set one by one, and whether they have changed since they were
// last taken.
//
// A writer, which may be the audio thread, stores a value and then counts one version up. A reader
// reads the version first and the values after it. So nothing is missed: a value that the reader
// did not see belongs to a later version, and the reader looks again. Writers and `pending` neither
// lock, allocate nor call the system.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace lars {

// A member of the struct, and the parameter that it comes from.
template <typename Choices>
struct ChoiceField {
    int Choices::*member;
    const std::atomic<float>* value;
};

template <typename Choices, std::size_t count>
class VersionedChoices {
public:
    static constexpr int largest = 1 << 16;

    explicit VersionedChoices(const std::array<ChoiceField<Choices>, count>& choiceFields)
        : fields(choiceFields) {}

    // Any thread.

    // After a value was stored.
    void changed() noexcept { version.fetch_add(1, std::memory_order_acq_rel); }

    // The values as they are now.
    Choices now() const noexcept {
        Choices result;
        for (const auto& field : fields)
            result.*field.member = toInt(field.value->load());
        return result;
    }

    // Whether there is a version that was not taken. Its values may still be the same.
    bool pending() const noexcept {
        return taken.load(std::memory_order_acquire) != version.load(std::memory_order_acquire);
    }

    // One thread at a time: with the owner's mutex held.

    struct Change {
        Choices before, now;
    };
    Change take() noexcept {
        const auto newest = version.load(std::memory_order_acquire);
        const Change change{last, now()};
        last = change.now;
        taken.store(newest, std::memory_order_release);
        return change;
    }

    // This member alone. The others stay pending if they have changed.
    void takeOnly(int Choices::*member) noexcept {
        last.*member = now().*member;
        differ();
    }

    // Whether a value is another than the one last taken. If none is, nothing is pending.
    bool differ() noexcept {
        const auto newest = version.load(std::memory_order_acquire);
        const auto values = now();
        for (const auto& field : fields)
            if (values.*field.member != last.*field.member)
                return true;
        taken.store(newest, std::memory_order_release);
        return false;
    }

private:
    static_assert(std::atomic<std::uint32_t>::is_always_lock_free &&
                  std::atomic<float>::is_always_lock_free);

    // Hosts can set NaN and infinity as well.
    static int toInt(float value) noexcept {
        return std::isfinite(value) ? static_cast<int>(std::nearbyint(
                                          std::clamp(value, 0.0f, static_cast<float>(largest))))
                                    : 0;
    }

    const std::array<ChoiceField<Choices>, count> fields;
    std::atomic<std::uint32_t> version{0}; // counts changes
    std::atomic<std::uint32_t> taken{0};   // the version that `last` has
    Choices last{};
};

} // namespace lars
