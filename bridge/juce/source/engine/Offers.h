// SPDX-License-Identifier: GPL-3.0-or-later
// The models that a status report tells of.
#pragma once

#include "engine/LinkStatus.h"
#include "protocol/Messages.h"

namespace lars {

// What cannot be read is left out: an engine of another version may tell other things.
std::vector<ModelOffer> readOffers(const protocol::Bytes& report);

} // namespace lars
