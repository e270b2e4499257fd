// SPDX-License-Identifier: GPL-3.0-or-later
// Where `lars` is on this machine. A host that a desktop has started has no PATH to it.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace lars {

inline constexpr auto defaultCommand = "lars serve";

// The words of a command, without their quotes.
std::vector<std::string> wordsOf(const std::string& command);

// The words that run `lars`: what the newest `lars serve` has recorded (`installed.json` in the
// user's data folder), else the PATH's, else one in the usual places. Nothing where there is none.
std::optional<std::vector<std::string>> findLars();

// The words to run for a command: where its first is `lars` alone, that one is looked for.
// Throws EngineError where the command is empty or there is no `lars`.
std::vector<std::string> engineWords(const std::string& command);

// `installed.json`, which Python writes.
std::string installedFile();

} // namespace lars
