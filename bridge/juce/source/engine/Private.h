// SPDX-License-Identifier: GPL-3.0-or-later
// Files and folders that are nobody's but this user's: where others can write too, what is found
// is not believed, and nothing is written over.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

namespace lars {

constexpr int authRefused = 14; // PROTOCOL.md's code

// A folder of this user and of mode 0700, no link, held open: it cannot be exchanged meanwhile.
class PrivateFolder {
public:
    // Nothing where there is no such folder. Throws EngineError where it is not this user's alone.
    static std::optional<PrivateFolder> find(const std::string& path);
    // The same, made if need be.
    static PrivateFolder make(const std::string& path);

    ~PrivateFolder();
    PrivateFolder(PrivateFolder&& other) noexcept;
    PrivateFolder& operator=(PrivateFolder&&) = delete;

    // The whole of a file in it of at most so many bytes; nothing where there is none, or it is
    // longer. Throws EngineError where it is not this user's alone, a link or no plain file.
    std::optional<std::string> read(const std::string& name, std::size_t most) const;

    // A file in it to write anew, as a descriptor that the caller closes. Throws as `read`.
    int write(const std::string& name) const;

private:
    PrivateFolder(std::string path, int descriptor);
    std::string where;
    int handle;
};

// `PrivateFolder::read` for a file that may be anywhere.
std::optional<std::string> readPrivate(const std::string& path, std::size_t most);

// Whether this path is a folder of this user, and no link.
bool isOwnFolder(const std::string& path);

// Whether this file, links followed, is one that only this user, or a group of theirs, can write.
bool isOwnFile(const std::string& path);

// A new folder of mode 0700; false where something is there already, or it cannot be made.
bool makeNewPrivateFolder(const std::string& path);

} // namespace lars
