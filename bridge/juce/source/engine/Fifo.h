// SPDX-License-Identifier: GPL-3.0-or-later
// A queue for one writing and one reading thread. Neither ever waits, locks or allocates.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <vector>

namespace lars {

template <typename T>
class Fifo {
public:
    // `capacity` is rounded up to a power of two.
    explicit Fifo(std::size_t capacity) {
        std::size_t size = 1;
        while (size < capacity)
            size *= 2;
        items.resize(size);
    }

    std::size_t capacity() const { return items.size(); }

    // Of the reader: items that are there.
    std::size_t available() const {
        return written.load(std::memory_order_acquire) - taken.load(std::memory_order_relaxed);
    }

    // Of the writer: items there is room for.
    std::size_t room() const {
        return items.size() -
               (written.load(std::memory_order_relaxed) - taken.load(std::memory_order_acquire));
    }

    // All of them or none; whether there was room.
    bool write(const T* source, std::size_t count) {
        if (count > room())
            return false;
        stage(source, count, 0);
        commit(count);
        return true;
    }
    bool write(const T& item) { return write(&item, 1); }

    // Puts items behind those written, `offset` further on, unseen by the reader until `commit`.
    // There must be room.
    void stage(const T* source, std::size_t count, std::size_t offset) {
        const auto at = (written.load(std::memory_order_relaxed) + offset) & (items.size() - 1);
        const auto first = std::min(count, items.size() - at);
        std::copy_n(source, first, items.begin() + static_cast<std::ptrdiff_t>(at));
        std::copy_n(source + first, count - first, items.begin());
    }
    void commit(std::size_t count) {
        written.store(written.load(std::memory_order_relaxed) + count, std::memory_order_release);
    }

    // All of them or none; whether so many were there. nullptr throws them away.
    bool read(T* target, std::size_t count) {
        if (count > available())
            return false;
        if (target != nullptr) {
            const auto at = taken.load(std::memory_order_relaxed) & (items.size() - 1);
            const auto first = std::min(count, items.size() - at);
            std::copy_n(items.begin() + static_cast<std::ptrdiff_t>(at), first, target);
            std::copy_n(items.begin(), count - first, target + first);
        }
        taken.store(taken.load(std::memory_order_relaxed) + count, std::memory_order_release);
        return true;
    }
    bool read(T& item) { return read(&item, 1); }

private:
    std::vector<T> items;
    alignas(64) std::atomic<std::size_t> written{0};
    alignas(64) std::atomic<std::size_t> taken{0};
};

} // namespace lars
