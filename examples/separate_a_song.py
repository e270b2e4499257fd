# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole song: one model separates the drums, another their parts, and the song is remixed.

    python examples/separate_a_song.py [song.wav] [music model] [drum model]

Without a song it makes a short one. Without a music model it uses the published `mdx23c-music`
if it is on this machine (`lars models download mdx23c-music`), or else a test model with equal
parts of the song, so that the script runs anywhere.
"""

from __future__ import annotations

import sys

import numpy as np

from lars_plugin import Cascade, ModelNotFoundError, PostProcessing, Separator, read_audio
from lars_plugin.audio import write_audio
from lars_plugin.demo import perform
from lars_plugin.testing import IdentityModel

MUSIC = ("vocals", "bass", "drums", "other")


def make_song() -> tuple[np.ndarray, int]:
    """Three seconds of drums over a chord, ``(2, samples)``, and their rate."""
    drums = perform(seed=3)
    rate = int(drums.sample_rate)
    time = np.arange(3 * rate) / rate
    chord = np.sum([np.sin(2 * np.pi * pitch * time) for pitch in (220, 277, 330)], axis=0)
    return drums.sum()[:, : 3 * rate] + (0.05 * chord).astype(np.float32), rate


def open_cascade(music: str, drums: str) -> Cascade:
    """The two stages; a test model replaces the first one if its weights are missing."""
    try:
        return Cascade(music, drums)
    except ModelNotFoundError as error:
        print(f"({str(error).split(':')[0]}: a test model with equal parts replaces it)")
        return Cascade(IdentityModel(MUSIC), drums)


def main() -> None:
    arguments = dict(enumerate(sys.argv))
    song, rate = read_audio(arguments[1]) if 1 in arguments else make_song()
    cascade = open_cascade(arguments.get(2, "mdx23c-music"), arguments.get(3, "lars-mini"))
    print(f"{cascade.config.name}: {cascade.config.description}")

    # The drums add up to the drum stem, so the remix is complete.
    separator = Separator(cascade, preset="fast", post=PostProcessing(redistribute=True))
    stems = separator.separate(song, rate)
    for name, wave in stems.items():
        print(f"  {name:<8} peak {np.abs(wave).max():.3f}")

    remix = stems.sum() + stems["kick"]  # twice the kick: 6 dB more
    # Quieter if it would clip.
    write_audio("more-kick.wav", remix / max(1.0, float(np.abs(remix).max())), rate)
    print("more-kick.wav")


if __name__ == "__main__":
    main()
