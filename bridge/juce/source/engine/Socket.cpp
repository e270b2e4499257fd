// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/Socket.h"

#include "engine/Private.h"

#include <cerrno>
#include <cstring>

#if defined(_WIN32)
#define NOMINMAX
#include <winsock2.h>
#include <ws2tcpip.h>
#else
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#endif

namespace lars {
namespace {

constexpr int connectMilliseconds = 2000;

#if defined(_WIN32)
using Length = int;
using Poll = WSAPOLLFD;
int pollFor(Poll* entries, unsigned count, int ms) {
    return WSAPoll(entries, count, ms);
}
bool wouldWait() {
    const auto error = WSAGetLastError();
    return error == WSAEWOULDBLOCK || error == WSAEINPROGRESS;
}
void closeHandle(Handle handle) {
    ::closesocket(handle);
}
void makeNonBlocking(Handle handle) {
    u_long yes = 1;
    ::ioctlsocket(handle, FIONBIO, &yes);
}
constexpr int sendFlags = 0;
struct Startup {
    Startup() {
        WSADATA data;
        WSAStartup(MAKEWORD(2, 2), &data);
    }
} const startup;
#else
using Length = std::size_t;
using Poll = pollfd;
int pollFor(Poll* entries, unsigned count, int ms) {
    return ::poll(entries, count, ms);
}
bool wouldWait() {
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR || errno == EINPROGRESS;
}
void closeHandle(Handle handle) {
    ::close(handle);
}
void makeNonBlocking(Handle handle) {
    ::fcntl(handle, F_SETFL, ::fcntl(handle, F_GETFL) | O_NONBLOCK);
    ::fcntl(handle, F_SETFD, FD_CLOEXEC);
}
#if defined(MSG_NOSIGNAL)
constexpr int sendFlags = MSG_NOSIGNAL;
#else
constexpr int sendFlags = 0;
#endif
#endif

[[noreturn]] void lost(const std::string& why) {
    throw EngineError(connectionLost, why + "; start an engine with: lars serve");
}

// Starts connecting and waits for the outcome.
bool connectTo(Handle handle, const sockaddr* address, std::size_t size) {
    makeNonBlocking(handle);
#if defined(SO_NOSIGPIPE)
    const int yes = 1;
    ::setsockopt(handle, SOL_SOCKET, SO_NOSIGPIPE, &yes, sizeof yes);
#endif
    if (::connect(handle, address, static_cast<socklen_t>(size)) == 0)
        return true;
    if (!wouldWait())
        return false;
    Poll entry{};
    entry.fd = handle;
    entry.events = POLLOUT;
    if (pollFor(&entry, 1, connectMilliseconds) <= 0)
        return false;
    int error = 0;
    socklen_t length = sizeof error;
    ::getsockopt(handle, SOL_SOCKET, SO_ERROR, reinterpret_cast<char*>(&error), &length);
    return error == 0;
}

Handle connectTcp(const Address& address) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
    addrinfo* found = nullptr;
    if (::getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &found))
        lost(address.host + " is not an address");
    const auto handle =
        static_cast<Handle>(::socket(found->ai_family, found->ai_socktype, found->ai_protocol));
    const bool connected =
        handle != noHandle &&
        connectTo(handle, found->ai_addr, static_cast<std::size_t>(found->ai_addrlen));
    ::freeaddrinfo(found);
    if (!connected) {
        if (handle != noHandle)
            closeHandle(handle);
        lost("no engine answers at " + address.host + " port " + std::to_string(address.port));
    }
    const int yes = 1;
    ::setsockopt(handle, IPPROTO_TCP, TCP_NODELAY, reinterpret_cast<const char*>(&yes), sizeof yes);
    return handle;
}

#if !defined(_WIN32)
// Whether this user listens at the other end of a Unix socket.
bool isOwnPeer(Handle handle) {
#if defined(SO_PEERCRED)
    ucred peer{};
    socklen_t length = sizeof peer;
    return ::getsockopt(handle, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 &&
           peer.uid == ::geteuid();
#else
    uid_t user = 0;
    gid_t group = 0;
    return ::getpeereid(handle, &user, &group) == 0 && user == ::geteuid();
#endif
}

Handle connectUnix(const Address& address) {
    sockaddr_un where{};
    where.sun_family = AF_UNIX;
    if (address.socket.size() >= sizeof where.sun_path)
        lost(address.socket + " is too long for a socket");
    std::memcpy(where.sun_path, address.socket.c_str(), address.socket.size());
    const auto handle = ::socket(AF_UNIX, SOCK_STREAM, 0);
    if (handle == noHandle ||
        !connectTo(handle, reinterpret_cast<const sockaddr*>(&where), sizeof where)) {
        if (handle != noHandle)
            closeHandle(handle);
        lost("no engine answers at " + address.socket);
    }
    // An engine lets only its own user in; one of another user would only listen.
    if (!isOwnPeer(handle)) {
        closeHandle(handle);
        throw EngineError(authRefused, "the engine at " + address.socket +
                                           " is another user's; set LARS_RUNTIME_DIR to a folder "
                                           "of your own");
    }
    return handle;
}
#endif

} // namespace

Waker::Waker() {
#if !defined(_WIN32)
    int ends[2];
    if (::pipe(ends) != 0)
        throw EngineError(connectionLost, "no pipe could be made; close some files");
    reading = ends[0];
    writing = ends[1];
    makeNonBlocking(reading);
    makeNonBlocking(writing);
#endif
}

Waker::~Waker() {
    for (const auto handle : {reading, writing})
        if (handle != noHandle)
            closeHandle(handle);
}

void Waker::wake() {
#if !defined(_WIN32)
    const char byte = 0;
    // A pipe that is full wakes as well.
    [[maybe_unused]] const auto written = ::write(writing, &byte, 1);
#endif
}

void Waker::drain() {
#if !defined(_WIN32)
    char bytes[64];
    while (::read(reading, bytes, sizeof bytes) > 0) {
    }
#endif
}

void Waker::sleep(int milliseconds) {
#if defined(_WIN32)
    ::Sleep(static_cast<DWORD>(milliseconds < 5 ? milliseconds : 5));
#else
    Poll entry{};
    entry.fd = reading;
    entry.events = POLLIN;
    pollFor(&entry, 1, milliseconds);
    drain();
#endif
}

Socket::Socket(const Address& address) {
#if !defined(_WIN32)
    if (!address.socket.empty()) {
        handle = connectUnix(address);
        return;
    }
#endif
    handle = connectTcp(address);
}

Socket::~Socket() {
    if (handle != noHandle)
        closeHandle(handle);
}

std::size_t Socket::send(const std::uint8_t* data, std::size_t size) {
    const auto sent =
        ::send(handle, reinterpret_cast<const char*>(data), static_cast<Length>(size), sendFlags);
    if (sent >= 0)
        return static_cast<std::size_t>(sent);
    if (wouldWait())
        return 0;
    lost("the engine is gone");
}

std::size_t Socket::receive(std::uint8_t* data, std::size_t size) {
    const auto got = ::recv(handle, reinterpret_cast<char*>(data), static_cast<Length>(size), 0);
    if (got > 0)
        return static_cast<std::size_t>(got);
    if (got < 0 && wouldWait())
        return 0;
    lost("the engine closed the connection");
}

void Socket::wait(bool toRead, bool toWrite, Waker& waker, int milliseconds) {
    Poll entries[2]{};
    entries[0].fd = handle;
    entries[0].events = static_cast<short>((toRead ? POLLIN : 0) | (toWrite ? POLLOUT : 0));
    unsigned count = 1;
#if defined(_WIN32)
    // There is no pipe to poll: short waits instead of a wake.
    milliseconds = milliseconds < 2 ? milliseconds : 2;
#else
    entries[1].fd = waker.reading;
    entries[1].events = POLLIN;
    count = 2;
#endif
    pollFor(entries, count, milliseconds);
    if (count == 2 && entries[1].revents != 0)
        waker.drain();
}

} // namespace lars
