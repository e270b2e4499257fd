# SPDX-License-Identifier: GPL-3.0-or-later
"""Which music models come first as first stages of cascades: ``cascade:best,B``."""

from __future__ import annotations

__all__ = ["BEST", "FIRST_STAGES"]

# The name, in a cascade, of the best first stage that is on this machine.
BEST = "best"

# SDR of the drums in dB on the Multisong dataset, as published in docs/pretrained_models.md of
# github.com/ZFTurbo/Music-Source-Separation-Training (read in November 2026), best first. The
# networks of htdemucs_ft give one good stem each, so that of the drums comes without the others.
FIRST_STAGES = {
    "bs-roformer-music": 11.29,
    "htdemucs_ft": 11.13,
    "htdemucs_ft_drums": 11.13,
    "htdemucs": 10.88,
    "hdemucs_mmi": 10.70,
    "htdemucs_6s": 10.22,
    "mdx23c-music": 7.73,
    "mdx23c-music-lars": 7.73,
}
