# SPDX-License-Identifier: GPL-3.0-or-later
"""A separator beside ordinary pedalboard plugins: pull one drum out, or leave one out.

    python examples/pedalboard_node.py

Prints the level of each drum in a pattern before and after.
"""

import numpy as np
from pedalboard import Gain

from lars_plugin import StemBoard, StemSeparator
from lars_plugin.synthesis import SAMPLE_RATE, random_kit

kit = random_kit(np.random.default_rng(5)).sounds
drums = np.zeros(2 * SAMPLE_RATE, np.float32)  # mono
for second, sound in (
    (0.0, kit["kick"]["kick"]),
    (0.5, kit["snare"]["center"]),
    (1.0, kit["kick"]["kick"]),
    (1.5, kit["hihat"]["closed"]),
):
    start = int(second * SAMPLE_RATE)
    sound = 0.5 * sound[: len(drums) - start]
    drums[start : start + len(sound)] += sound

# One separator, called as any plugin is: audio in, audio of the same shape out.
node = StemSeparator("lars-mini")
remix = node(drums, SAMPLE_RATE)
print(f"stems add up to the input within {np.abs(remix - drums).max():.1e}")

node.strips["kick"].solo = True
kick = node(drums, SAMPLE_RATE)
node.strips["kick"].solo = False
node.strips["kick"].mute = True
rest = node(drums, SAMPLE_RATE)

# Or in a list with others; a Pedalboard itself takes only native plugins.
louder = StemBoard([Gain(-6), StemSeparator("lars-mini", stems="kick"), Gain(6)])(
    drums, SAMPLE_RATE
)

print("second    mixture   kick alone   kick through the board   without kick")
for second in (0.0, 0.5, 1.0, 1.5):
    part = slice(int(second * SAMPLE_RATE), int((second + 0.4) * SAMPLE_RATE))
    levels = [
        20 * np.log10(max(float(np.abs(wave[part]).max()), 1e-6))
        for wave in (drums, kick, louder, rest)
    ]
    print("{:6.1f}  {:6.1f} dB    {:6.1f} dB  {:20.1f} dB  {:10.1f} dB".format(second, *levels))
