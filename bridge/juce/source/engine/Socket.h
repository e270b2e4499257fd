// SPDX-License-Identifier: GPL-3.0-or-later
// A connected, non-blocking stream socket, and a way to end another thread's wait for it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/Address.h"

namespace lars {

#if defined(_WIN32)
using Handle = std::uintptr_t;
constexpr Handle noHandle = ~Handle{0};
#else
using Handle = int;
constexpr Handle noHandle = -1;
#endif

// `wake` may be called from any thread that is allowed system calls.
class Waker {
public:
    Waker();
    ~Waker();
    Waker(const Waker&) = delete;
    Waker& operator=(const Waker&) = delete;

    void wake();
    // Sleeps until woken, or for so long.
    void sleep(int milliseconds);

private:
    friend class Socket;
    void drain();
    Handle reading = noHandle, writing = noHandle;
};

class Socket {
public:
    // Throws EngineError where nobody listens.
    explicit Socket(const Address& address);
    ~Socket();
    Socket(const Socket&) = delete;
    Socket& operator=(const Socket&) = delete;

    // Bytes moved; 0 where that would mean waiting. Throw EngineError when the peer is gone.
    std::size_t send(const std::uint8_t* data, std::size_t size);
    std::size_t receive(std::uint8_t* data, std::size_t size);

    // Until there is something to read (if wanted), room to write (if wanted), a wake, or the time
    // is over.
    void wait(bool toRead, bool toWrite, Waker& waker, int milliseconds);

private:
    Handle handle = noHandle;
};

} // namespace lars
