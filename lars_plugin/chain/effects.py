# SPDX-License-Identifier: GPL-3.0-or-later
"""The effects that a chain can have, as a window shows them: pedalboard's own, and plugins on disk.

Of pedalboard's own those are left out that lose audio between blocks (PitchShift, GSM), whose
latency depends on a setting (Resample, MP3), and that read a file (Convolution).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pedalboard

__all__ = [
    "BUILT_IN",
    "PREFIX",
    "BuiltIn",
    "Setting",
    "built_in_effects",
    "installed_plugins",
]

PREFIX = "vst3/"  # before the file's name, in the name of an effect that is a plugin on disk
_OURS = "lars.vst3"  # an engine that hosts its own client would wait for itself


@dataclass(frozen=True)
class Setting:
    """One parameter of an effect.

    Attributes:
        name: pedalboard's.
        title: for people.
        low, high: the range; of a choice the first and the last index.
        default: of a new effect.
        unit: ``dB``, ``Hz``, ``ms``, ``s`` or empty.
        choices: what each index means; empty for a number.
    """

    name: str
    title: str
    low: float
    high: float
    default: float
    unit: str = ""
    choices: tuple[str, ...] = ()

    @property
    def logarithmic(self) -> bool:
        """Whether a slider should go by ratios."""
        return self.low > 0 and self.high / self.low >= 100


@dataclass(frozen=True)
class BuiltIn:
    """One of pedalboard's own effects: its class's name, a name for people, its settings."""

    name: str
    title: str
    settings: tuple[Setting, ...] = ()


def _cutoff(default: float) -> Setting:
    return Setting("cutoff_frequency_hz", "Frequency", 20.0, 20000.0, default, "Hz")


_GAIN = Setting("gain_db", "Gain", -24.0, 24.0, 0.0, "dB")
_Q = Setting("q", "Q", 0.1, 18.0, 0.70710678)
_ATTACK = Setting("attack_ms", "Attack", 0.1, 200.0, 5.0, "ms")
_RELEASE = Setting("release_ms", "Release", 5.0, 1000.0, 100.0, "ms")
_RATE = Setting("rate_hz", "Rate", 0.05, 10.0, 1.0, "Hz")
_FEEDBACK = Setting("feedback", "Feedback", 0.0, 0.95, 0.0)
_MIX = Setting("mix", "Mix", 0.0, 1.0, 0.5)
_DEPTH = Setting("depth", "Depth", 0.0, 1.0, 0.25)
_SHELF = (_cutoff(440.0), _GAIN, _Q)

_ALL = (
    BuiltIn("Gain", "Gain", (Setting("gain_db", "Gain", -60.0, 24.0, 0.0, "dB"),)),
    BuiltIn(
        "Compressor",
        "Compressor",
        (
            Setting("threshold_db", "Threshold", -60.0, 0.0, -18.0, "dB"),
            Setting("ratio", "Ratio", 1.0, 20.0, 4.0),
            _ATTACK,
            _RELEASE,
        ),
    ),
    BuiltIn(
        "NoiseGate",
        "Gate",
        (
            Setting("threshold_db", "Threshold", -100.0, 0.0, -50.0, "dB"),
            Setting("ratio", "Ratio", 1.0, 20.0, 10.0),
            _ATTACK,
            _RELEASE,
        ),
    ),
    BuiltIn(
        "Limiter",
        "Limiter",
        (Setting("threshold_db", "Threshold", -40.0, 0.0, -6.0, "dB"), _RELEASE),
    ),
    BuiltIn(
        "BrickwallLimiter",
        "Brickwall limiter",
        (Setting("ceiling_db", "Ceiling", -24.0, 0.0, -1.0, "dB"), _RELEASE),
    ),
    BuiltIn("Clipping", "Clipper", (Setting("threshold_db", "Threshold", -40.0, 0.0, -6.0, "dB"),)),
    BuiltIn("Distortion", "Distortion", (Setting("drive_db", "Drive", 0.0, 60.0, 12.0, "dB"),)),
    BuiltIn("Bitcrush", "Bit crusher", (Setting("bit_depth", "Bits", 1.0, 24.0, 8.0),)),
    BuiltIn("HighpassFilter", "High-pass", (_cutoff(80.0),)),
    BuiltIn("LowpassFilter", "Low-pass", (_cutoff(8000.0),)),
    BuiltIn("PeakFilter", "Peak EQ", (_cutoff(1000.0), _GAIN, _Q)),
    BuiltIn("LowShelfFilter", "Low shelf", _SHELF),
    BuiltIn("HighShelfFilter", "High shelf", (_cutoff(4000.0), _GAIN, _Q)),
    BuiltIn(
        "LadderFilter",
        "Ladder filter",
        (
            Setting(
                "mode",
                "Mode",
                0.0,
                5.0,
                0.0,
                choices=("LPF12", "HPF12", "BPF12", "LPF24", "HPF24", "BPF24"),
            ),
            Setting("cutoff_hz", "Frequency", 20.0, 20000.0, 1000.0, "Hz"),
            Setting("resonance", "Resonance", 0.0, 1.0, 0.0),
            Setting("drive", "Drive", 1.0, 10.0, 1.0),
        ),
    ),
    BuiltIn(
        "Reverb",
        "Reverb",
        (
            Setting("room_size", "Room", 0.0, 1.0, 0.5),
            Setting("damping", "Damping", 0.0, 1.0, 0.5),
            Setting("wet_level", "Wet", 0.0, 1.0, 0.2),
            Setting("dry_level", "Dry", 0.0, 1.0, 0.4),
            Setting("width", "Width", 0.0, 1.0, 1.0),
        ),
    ),
    BuiltIn(
        "Delay",
        "Delay",
        (Setting("delay_seconds", "Time", 0.001, 2.0, 0.25, "s"), _FEEDBACK, _MIX),
    ),
    BuiltIn(
        "Chorus",
        "Chorus",
        (_RATE, _DEPTH, Setting("centre_delay_ms", "Delay", 1.0, 50.0, 7.0, "ms"), _FEEDBACK, _MIX),
    ),
    BuiltIn(
        "Phaser",
        "Phaser",
        (
            _RATE,
            _DEPTH,
            Setting("centre_frequency_hz", "Centre", 100.0, 10000.0, 1300.0, "Hz"),
            _FEEDBACK,
            _MIX,
        ),
    ),
    BuiltIn("Invert", "Invert polarity"),
)

# Those of the installed pedalboard: older ones lack a few.
BUILT_IN = {effect.name: effect for effect in _ALL if hasattr(pedalboard, effect.name)}


def built_in_effects() -> list[dict[str, object]]:
    """What EFFECTS tells of pedalboard's own effects; JSON types only."""
    return [
        {
            "effect": effect.name,
            "title": effect.title,
            "parameters": [described(setting) for setting in effect.settings],
        }
        for effect in BUILT_IN.values()
    ]


def described(setting: Setting) -> dict[str, object]:
    """One parameter in JSON types."""
    description: dict[str, object] = {
        "name": setting.name,
        "title": setting.title,
        "min": setting.low,
        "max": setting.high,
        "default": setting.default,
    }
    if setting.unit:
        description["unit"] = setting.unit
    if setting.logarithmic:
        description["log"] = True
    if setting.choices:
        description["choices"] = list(setting.choices)
    return description


def installed_plugins() -> dict[str, Path]:
    """The VST3 plugins where systems keep them, by the names that chains have for them.

    None of them is loaded for this. Of two files of one name the first that is found counts.
    """
    found: dict[str, Path] = {}
    # pedalboard's types have no property of a class, which this is.
    for file in pedalboard.VST3Plugin.installed_plugins:  # type: ignore[attr-defined]
        path = Path(file)
        if path.name.lower() != _OURS:
            found.setdefault(PREFIX + path.name, path)
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))
