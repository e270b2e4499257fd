# SPDX-License-Identifier: GPL-3.0-or-later
"""Options about MIDI that ``lars midi`` and ``lars separate --midi`` share."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lars_plugin.errors import InputError

if TYPE_CHECKING:
    from lars_plugin.midi.hits import DrumHit
    from lars_plugin.midi.tempo import TempoMap
    from lars_plugin.stems import Stems

__all__ = [
    "add_hit_options",
    "check_hit_options",
    "find_hits",
    "midi_path",
    "read_stems",
    "write_hits",
    "write_midi_of",
]


def add_hit_options(group: Any) -> None:
    """Options about notes, velocities and tempo; :func:`write_hits` reads them."""
    add = group.add_argument
    add("--bpm", metavar="BPM|auto", default="120",
        help="a fixed tempo, or a tempo map that follows the hits (default: %(default)s)",
    )  # fmt: skip
    add("--offset", metavar="S|auto", default="0",
        help="seconds at which a bar begins, for a fixed --bpm; auto: where the hits fit the grid"
        " best (default: %(default)s)")  # fmt: skip
    add("--quantise", "--quantize", dest="quantise", metavar="GRID",
        help="1/4, 1/8, 1/8t, 1/16, 1/16t or 1/32 (default: not at all)")  # fmt: skip
    add("--strength", type=float, default=1.0, metavar="X",
        help="of quantisation, 0 to 1 (default: %(default)s)")  # fmt: skip
    add("--note-map", "--notemap", dest="note_map", default="gm", metavar="MAP",
        help="gm, superior or a JSON file (default: %(default)s)")  # fmt: skip
    add("--velocity", choices=("log", "linear"), default="log", help="default: %(default)s")
    add("--velocity-range", type=float, default=40.0, metavar="DB",
        help="from velocity 127 to 1, with log (default: %(default)s)")  # fmt: skip
    add("--transcriber", default="auto", metavar="NAME",
        help="what hears the strokes: a transcriber's name or folder; none: each stem alone; auto:"
        " lars-transcriber for recordings, none for stems of other origin (default: %(default)s)",
    )  # fmt: skip
    add("--resolution", type=int, default=480, metavar="TICKS",
        help="per quarter note (default: %(default)s)")  # fmt: skip


def check_hit_options(args: argparse.Namespace) -> None:
    """Find wrong values before any work is done.

    Raises:
        InputError: says which.
    """
    from lars_plugin.midi.file import to_midi
    from lars_plugin.midi.velocity import check_scale

    check_scale(args.velocity, args.velocity_range)
    _offset(args)
    if args.transcriber not in ("auto", "none"):
        from lars_plugin.midi.transcriber import load_transcriber

        load_transcriber(args.transcriber, backend=transcriber_backend(args))
    to_midi(
        [],
        tempo=120.0 if args.bpm == "auto" else _bpm(args.bpm),
        offset=0.0 if args.bpm == "auto" else _offset(args),
        grid=args.quantise,
        strength=args.strength,
        note_map=args.note_map,
        ticks_per_beat=args.resolution,
    )


def _bpm(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(f"--bpm is a number or auto, got {text!r}") from None


def _offset(args: argparse.Namespace) -> float | Literal["auto"]:
    if args.offset == "auto":
        return "auto"
    try:
        offset = float(args.offset)
    except ValueError:
        raise InputError(f"--offset is a number of seconds or auto, got {args.offset!r}") from None
    if args.bpm == "auto" and offset:
        raise InputError("--bpm auto finds the beats itself: give --offset with a fixed --bpm")
    return offset


def transcriber_backend(args: argparse.Namespace) -> str | None:
    """What --backend says, as far as transcribers know it."""
    return args.backend if args.backend in ("torch", "openvino") else None


def find_hits(args: argparse.Namespace, stems: Stems) -> list[DrumHit]:
    """Transcribe stems, by the options."""
    from lars_plugin.midi import transcribe
    from lars_plugin.midi.transcriber import DEFAULT, Transcriber, load_transcriber

    name = args.transcriber
    if name == "auto":
        name = "none" if args.model == "none" else DEFAULT
    chosen: str | Transcriber = name
    if name != "none":
        chosen = load_transcriber(name, backend=transcriber_backend(args))
    return transcribe(
        stems,
        model=None if args.model == "none" else args.model,
        transcriber=chosen,
        velocity=args.velocity,
        velocity_range=args.velocity_range,
    )


def write_hits(args: argparse.Namespace, hits: list[DrumHit], path: Path) -> None:
    """Write the MIDI file, by the options."""
    from lars_plugin.midi import estimate_tempo, to_midi

    tempo: float | TempoMap = estimate_tempo(hits) if args.bpm == "auto" else _bpm(args.bpm)
    to_midi(
        hits,
        path,
        tempo=tempo,
        offset=0.0 if args.bpm == "auto" else _offset(args),
        grid=args.quantise,
        strength=args.strength,
        note_map=args.note_map,
        ticks_per_beat=args.resolution,
    )


def read_stems(folder: Path) -> Stems:
    """The stems that lie in a folder under their names, those beside the drums too.

    Raises:
        InputError: there is none, or they differ in rate or shape.
    """
    from lars_plugin.cli.left_out import reason, tell_left_out
    from lars_plugin.midi.hits import DRUMS
    from lars_plugin.model import STEM_NAMES
    from lars_plugin.separation.files import RESIDUAL

    known = {*DRUMS, *STEM_NAMES, RESIDUAL} - {"drums"}  # of which the drums are parts

    def why_not(path: Path) -> str:
        return reason(path) or ("" if path.stem in known else "not a stem by name")

    paths = [path for path in sorted(folder.iterdir()) if not path.is_dir()]
    tell_left_out(folder, paths, why_not)
    files: dict[str, Path] = {}
    for path in paths:
        if why_not(path):
            continue
        if path.stem in files:
            raise InputError(f"{folder} holds {path.stem} twice; remove one of them")
        files[path.stem] = path
    if not any(name in DRUMS for name in files):
        raise InputError(f"{folder} holds no drum stems: kick.wav, snare.wav ...")
    return _read(files)


def _read(files: Mapping[str, Path]) -> Stems:
    from lars_plugin.audio import read_audio
    from lars_plugin.midi.hits import DRUMS
    from lars_plugin.stems import Stems

    # What is not a drum is part of the recording, which the transcriber hears.
    names = [name for name in DRUMS if name in files]
    names += [name for name in files if name not in DRUMS]
    read = {name: read_audio(files[name]) for name in names}
    rates = sorted({rate for _, rate in read.values()})
    if len(rates) != 1 or not any(name in DRUMS for name in read):
        raise InputError(f"the stems differ in rate ({rates} Hz), or none of them is a drum")
    return Stems({name: wave for name, (wave, _) in read.items()}, rates[0])


def midi_path(source: Path, outputs: Mapping[str, Path]) -> Path:
    """Where the MIDI file of a separated recording goes: beside its first stem."""
    return next(iter(outputs.values())).parent / f"{source.stem}.mid"


def write_midi_of(args: argparse.Namespace, outputs: Mapping[str, Path], path: Path) -> None:
    """Transcribe stems that were written."""
    write_hits(args, find_hits(args, _read(outputs)), path)
