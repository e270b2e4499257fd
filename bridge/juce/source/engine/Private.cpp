// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/Private.h"

#include <juce_core/juce_core.h>

#include "engine/Address.h"

#if !JUCE_WINDOWS
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#endif

namespace lars {

PrivateFolder::PrivateFolder(std::string path, int descriptor)
    : where(std::move(path)), handle(descriptor) {}

PrivateFolder::PrivateFolder(PrivateFolder&& other) noexcept
    : where(std::move(other.where)), handle(std::exchange(other.handle, -1)) {}

#if JUCE_WINDOWS

// A profile's folders are its user's alone there.

namespace {
juce::File fileAt(const std::string& path) {
    return juce::File(juce::String::fromUTF8(path.c_str()));
}
} // namespace

std::optional<PrivateFolder> PrivateFolder::find(const std::string& path) {
    if (!fileAt(path).isDirectory())
        return std::nullopt;
    return PrivateFolder(path, -1);
}

PrivateFolder PrivateFolder::make(const std::string& path) {
    if (fileAt(path).createDirectory().failed())
        throw EngineError(connectionLost, "cannot make the folder " + path);
    return PrivateFolder(path, -1);
}

PrivateFolder::~PrivateFolder() = default;

std::optional<std::string> PrivateFolder::read(const std::string& name, std::size_t most) const {
    return readPrivate(where + "/" + name, most);
}

int PrivateFolder::write(const std::string&) const {
    return -1;
}

std::optional<std::string> readPrivate(const std::string& path, std::size_t most) {
    const auto file = fileAt(path);
    if (!file.existsAsFile() || file.getSize() > static_cast<juce::int64>(most))
        return std::nullopt;
    return file.loadFileAsString().toStdString();
}

bool isOwnFolder(const std::string& path) {
    return fileAt(path).isDirectory();
}

bool isOwnFile(const std::string& path) {
    return fileAt(path).existsAsFile();
}

bool makeNewPrivateFolder(const std::string& path) {
    return !fileAt(path).exists() && fileAt(path).createDirectory().wasOk();
}

#else

namespace {

constexpr mode_t others = 0077;

std::string whyNotOwn(const struct stat& info, const std::string& path, const char* mode) {
    if (info.st_uid != ::geteuid())
        return path + " belongs to another user; set LARS_RUNTIME_DIR to a folder of your own";
    if ((info.st_mode & others) != 0)
        return path + " is open to other users; run: chmod " + mode + " " + path;
    return {};
}

[[noreturn]] void refuse(const std::string& why) {
    throw EngineError(authRefused, why);
}

void checkFolder(const struct stat& info, const std::string& path) {
    if (!S_ISDIR(info.st_mode))
        refuse(path + " is not a folder (or a link); remove it");
    if (const auto why = whyNotOwn(info, path, "700"); !why.empty())
        refuse(why);
}

// A plain file of this user with one name only: another name may be somebody else's trap.
void checkFile(int descriptor, const std::string& path) {
    struct stat info {};
    std::string why;
    if (::fstat(descriptor, &info) != 0 || !S_ISREG(info.st_mode))
        why = path + " is not a plain file; remove it";
    else if (info.st_nlink != 1)
        why = path + " has another name elsewhere; remove it";
    else
        why = whyNotOwn(info, path, "600");
    if (why.empty())
        return;
    ::close(descriptor);
    refuse(why);
}

// A pipe in the file's place must not make us wait: O_NONBLOCK.
constexpr int carefully = O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;

std::optional<std::string> readAt(int folder, const std::string& name, const std::string& path,
                                  std::size_t most) {
    const int descriptor = ::openat(folder, name.c_str(), O_RDONLY | carefully);
    if (descriptor < 0) {
        if (errno == ENOENT || errno == ENOTDIR)
            return std::nullopt;
        refuse("cannot read " + path + " (" + std::strerror(errno) + "); remove it");
    }
    checkFile(descriptor, path);
    std::string text(most + 1, '\0');
    std::size_t length = 0;
    for (ssize_t got = 1; got > 0 && length < text.size();) {
        got = ::read(descriptor, text.data() + length, text.size() - length);
        length += got > 0 ? static_cast<std::size_t>(got) : 0;
    }
    ::close(descriptor);
    if (length > most)
        return std::nullopt;
    text.resize(length);
    return text;
}

} // namespace

std::optional<PrivateFolder> PrivateFolder::find(const std::string& path) {
    struct stat info {};
    if (::lstat(path.c_str(), &info) != 0)
        return std::nullopt;
    checkFolder(info, path);
    const int descriptor =
        ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (descriptor < 0)
        refuse("cannot open " + path + " (" + std::strerror(errno) + "); remove it");
    PrivateFolder found(path, descriptor);
    if (::fstat(descriptor, &info) != 0) // what was opened, not what was there before
        refuse(path + " cannot be looked at");
    checkFolder(info, path);
    return found;
}

PrivateFolder PrivateFolder::make(const std::string& path) {
    juce::File(juce::String::fromUTF8(path.c_str())).getParentDirectory().createDirectory();
    if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
        throw EngineError(connectionLost, "cannot make the folder " + path + " (" +
                                              std::strerror(errno) +
                                              "); set LARS_RUNTIME_DIR to another");
    auto result = find(path);
    if (!result)
        throw EngineError(connectionLost, "the folder " + path + " has gone");
    return std::move(*result);
}

PrivateFolder::~PrivateFolder() {
    if (handle >= 0)
        ::close(handle);
}

std::optional<std::string> PrivateFolder::read(const std::string& name, std::size_t most) const {
    return readAt(handle, name, where + "/" + name, most);
}

int PrivateFolder::write(const std::string& name) const {
    const auto path = where + "/" + name;
    const int descriptor = ::openat(handle, name.c_str(), O_WRONLY | O_CREAT | carefully, 0600);
    if (descriptor < 0)
        refuse("cannot write " + path + " (" + std::strerror(errno) + "); remove it");
    checkFile(descriptor, path); // and only then is it emptied
    if (::ftruncate(descriptor, 0) != 0) {
        ::close(descriptor);
        refuse("cannot empty " + path + "; remove it");
    }
    ::fcntl(descriptor, F_SETFL, ::fcntl(descriptor, F_GETFL) & ~O_NONBLOCK);
    return descriptor;
}

std::optional<std::string> readPrivate(const std::string& path, std::size_t most) {
    return readAt(AT_FDCWD, path, path, most);
}

bool isOwnFolder(const std::string& path) {
    struct stat info {};
    return ::lstat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode) &&
           info.st_uid == ::geteuid();
}

bool isOwnFile(const std::string& path) {
    struct stat info {};
    return ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) &&
           info.st_uid == ::geteuid() && (info.st_mode & S_IWOTH) == 0;
}

bool makeNewPrivateFolder(const std::string& path) {
    return ::mkdir(path.c_str(), 0700) == 0;
}

#endif

} // namespace lars
