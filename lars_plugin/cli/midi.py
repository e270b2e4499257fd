# SPDX-License-Identifier: GPL-3.0-or-later
"""``lars midi``: a drum recording in, a MIDI file out."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lars_plugin.cli.midi_options import (
    add_hit_options,
    check_hit_options,
    find_hits,
    read_stems,
    transcriber_backend,
    write_hits,
)
from lars_plugin.cli.separate import add_channel_option, add_model_options, make_separator
from lars_plugin.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from lars_plugin.audio.channels import ChannelChoice
    from lars_plugin.midi.hits import DrumHit
    from lars_plugin.midi.live import HitStream
    from lars_plugin.separation.streams.base import Stream
    from lars_plugin.stems import Stems

__all__ = ["add_midi_parser", "run_midi"]

_EPILOG = """\
INPUT is a recording, which is separated first, or a folder of stems (kick.wav, snare.flac ...);
say --model none for stems from microphones or of another program.
  lars midi drums.wav -o drums.mid --plot drums.png
  lars midi drums.wav --bpm 120 --quantise 1/16 --strength 0.8
  lars midi song.mp3 --from mixture
  lars midi separated/drums --note-map superior --bpm auto

Without --bpm the file says 120 BPM; the notes are where the hits are in any case, to the tick.
A note map of your own is JSON: {"snare": 40, "hihat": {"closed": 22, "open": 26}}.

Velocities: log gives 127 to the loudest hit of each stem and 1 to what is --velocity-range dB
below; linear is proportional to the amplitude.

--live-port plays INPUT as a stream and sends each note when it is due; the latency is printed. With
--from mixture the model is left out, and notes come earlier. A port of that name is used, or else a
virtual one is made.

For makers of models:
  lars midi --render clips --kits KITS --grooves GROOVES     clips for lars evaluate clips --midi
  lars midi --tune --model NAME --kits KITS --grooves GROOVES --start tuned/stems.json \
      --excerpts 120 --seconds 10 --steps 1000       writes midi.json and its weights
"""


def add_midi_parser(subparsers: Any) -> None:
    """Add the command to the main parser."""
    parser = subparsers.add_parser(
        "midi",
        help="transcribe drum recordings to MIDI",
        description="Separate a drum recording and write what was played as a MIDI file.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "input",
        nargs="?",
        type=Path,
        metavar="INPUT",
        help="audio file (- is standard input), or folder of stems",
    )
    add("--from", dest="heard", choices=("stems", "mixture"), default="stems",
        help="mixture: hear the recording itself, drums or a whole song, without separating it;"
        " many times faster (default: %(default)s)")  # fmt: skip
    add("-o", "--out", type=Path, metavar="FILE",
        help="the MIDI file (default: INPUT with .mid, in this folder)")  # fmt: skip
    add("--overwrite", action="store_true", help="replace files that are there already")
    add_hit_options(parser.add_argument_group("notes"))
    add = parser.add_argument_group("more").add_argument
    add("--plot", type=Path, metavar="FILE", help="a picture of stems and hits (.png, .svg, .pdf)")
    add("--plot-seconds", type=float, metavar="S", help="show only the first S seconds")
    add("--live-port", metavar="NAME", help="play to a MIDI port instead of writing a file")
    add("-q", "--quiet", action="store_true", help="print errors only")
    add("-v", "--verbose", action="store_true", help="print more")
    group = parser.add_argument_group("separation")
    add_model_options(group)
    add_channel_option(group)
    group = parser.add_argument_group("tuning and data")
    what = group.add_mutually_exclusive_group()
    what.add_argument("--tune", action="store_true", help="tune thresholds for the model")
    what.add_argument("--render", type=Path, metavar="DIR", help="render clips with notes")
    add = group.add_argument
    add("--kits", type=Path, action="append", metavar="DIR",
        help="one-shots with a manifest.csv; give it again for more to tune with, but plain"
        " performances, which set thresholds, are played on the first only")  # fmt: skip
    add("--grooves", type=Path, metavar="DIR", help="MIDI performances")
    add("--split", choices=("train", "validation"),
        help="for --render (default: validation); --tune always uses train")  # fmt: skip
    add("--excerpts", type=int, default=40, metavar="N", help="default: %(default)s")
    add("--seconds", type=float, default=12.0, metavar="S", help="each (default: %(default)s)")
    add("--seed", type=int, default=0, help="default: %(default)s")
    add("--cache", type=Path, metavar="DIR", help="keeps excerpts and their stems between runs")
    add("--source", choices=("model", "stems"), default="model",
        help="tune for the model's stems, or for true stems (default: %(default)s)",
    )  # fmt: skip
    add("--cymbals", action="store_true", help="for models whose ride and crash are one stem")
    add("--steps", type=int, default=1000, metavar="N",
        help="of training; 0: the picker of --start as it is (default: %(default)s)",
    )  # fmt: skip
    add("--start", type=Path, metavar="FILE", help="go on from these settings' picker")


def run_midi(args: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    if args.tune or args.render:
        return _run_data(args)
    if args.input is None:
        raise InputError("name a recording, or a folder of stems")
    from lars_plugin.audio import STDIN, input_path

    args.input = input_path(args.input)
    check_hit_options(args)
    if args.heard == "mixture" and args.transcriber == "none":
        raise InputError("--from mixture needs a transcriber; leave --transcriber out")
    if args.live_port:
        return _run_live(args)
    from lars_plugin.midi.plot import check_suffix, draw_hits, save_plot

    if args.plot:
        check_suffix(args.plot)
    named = args.input if args.input == STDIN else args.input.resolve()
    out = args.out or Path(named.name).with_suffix(".mid")
    _check_outputs(args, [path for path in (out, args.plot) if path is not None])
    if args.heard == "mixture":
        stems, hits = _hear_mixture(args)
    else:
        stems = _stems(args)
        hits = find_hits(args, stems)
    write_hits(args, hits, out)
    if args.plot:
        save_plot(draw_hits(stems, hits, seconds=args.plot_seconds), args.plot)
    if not args.quiet:
        counts = {stem: sum(hit.stem == stem for hit in hits) for stem in stems}
        listed = ", ".join(f"{name} {count}" for name, count in counts.items() if count)
        print(f"{out}: {len(hits)} hits ({listed or 'none'})")
        if args.plot:
            print(f"{args.plot}: picture")
    return 0


def _hear_mixture(args: argparse.Namespace) -> tuple[Stems, list[DrumHit]]:
    """Hits without separating; the recording stands for each drum that was found."""
    from lars_plugin.audio import read_audio
    from lars_plugin.midi import transcribe_mixture
    from lars_plugin.midi.hits import DRUMS
    from lars_plugin.midi.transcriber import DEFAULT, load_transcriber
    from lars_plugin.stems import Stems

    if args.input.is_dir():
        raise InputError("--from mixture hears a recording, not a folder of stems")
    audio, rate = read_audio(args.input)
    audio = _choice(args, audio.shape[0])(audio)
    name = DEFAULT if args.transcriber == "auto" else args.transcriber
    hits = transcribe_mixture(
        audio,
        rate,
        transcriber=load_transcriber(name, backend=transcriber_backend(args)),
        velocity=args.velocity,
        velocity_range=args.velocity_range,
    )
    found = {hit.stem for hit in hits}
    names = [drum for drum in DRUMS if drum in found] or list(DRUMS[:1])
    return Stems(dict.fromkeys(names, audio), rate), hits


def _check_outputs(args: argparse.Namespace, outputs: list[Path]) -> None:
    """Before any work is done, whether the outputs may be written.

    Raises:
        InputError: one is there already, or is the input, or both are one.
    """
    for path in outputs:
        if path.exists() and args.input.exists() and path.samefile(args.input):
            raise InputError(f"{path} is the input itself; choose another -o")
        if os.path.lexists(path) and not args.overwrite:
            raise InputError(f"{path} is there already; use --overwrite, or another -o or --plot")
    if len({os.path.realpath(path) for path in outputs}) < len(outputs):
        raise InputError(f"-o and --plot would both be written to {outputs[0]}")


def _stems(args: argparse.Namespace) -> Stems:
    """Of a recording by separation, or read from a folder."""
    from lars_plugin.audio import read_audio

    if not args.input.is_dir():
        audio, rate = read_audio(args.input)
        audio = _choice(args, audio.shape[0])(audio)
        return make_separator(args).separate(audio, rate)
    return read_stems(args.input)


def _choice(args: argparse.Namespace, channels: int) -> ChannelChoice:
    """What is to be heard of a recording with so many channels."""
    from lars_plugin.audio.channels import ChannelChoice, channel_places

    return ChannelChoice(args.channels, channels, channel_places(args.input, channels), args.input)


def _run_live(args: argparse.Namespace) -> int:
    from lars_plugin.audio import AudioReader
    from lars_plugin.midi.live import live_hits
    from lars_plugin.midi.ports import LivePort, open_port

    with AudioReader(args.input) as reader:
        choice = _choice(args, reader.channels)
        stream = None
        if args.heard == "stems":
            stream = _live_stream(args, reader.rate, choice.count)
        transcriber = _live_transcriber(args, stream, reader.rate, choice.count)
        separation = stream.latency_samples if stream else 0
        total = separation + transcriber.latency_samples

        def blocks() -> Iterator[NDArray[np.float32]]:
            begin, done = time.monotonic(), 0
            for block in reader.blocks(512):
                done += block.shape[1]
                # As a sound card would: not before the block has been played.
                time.sleep(max(0.0, begin + done / reader.rate - time.monotonic()))
                chosen = choice(block)
                yield stream.push(chosen) if stream else chosen
            if stream:
                yield stream.flush()

        count = 0
        with open_port(args.live_port) as port:
            print(
                f"latency {total} samples = {1000 * total / reader.rate:.1f} ms: separation"
                f" {separation}, hits {transcriber.latency_samples}",
                flush=True,
            )
            notes = LivePort(port, args.note_map)
            try:
                for hits, now in live_hits(transcriber, blocks()):
                    notes.send(hits, now)
                    count += len(hits)
            finally:
                notes.close()
    if not args.quiet:
        print(f"{count} hits sent")
    return 0


def _live_stream(args: argparse.Namespace, rate: float, channels: int) -> Stream:
    """A stream of stems; a model that is made for live use goes hop by hop."""
    from lars_plugin.separation.streams.open import open_stream

    separator = make_separator(args)
    if separator.chunking.convention != "causal":
        return separator.stream(rate, channels)
    hops = replace(separator.chunking, batch_size=1)
    return open_stream(
        separator.model, rate, channels, chunking=hops, post=separator.post, live=True
    )


def _live_transcriber(
    args: argparse.Namespace, stream: Stream | None, rate: float, channels: int
) -> HitStream:
    """What hears the stems of a stream, or the recording itself if there is none."""
    from lars_plugin.midi.hits import DRUMS
    from lars_plugin.midi.live import LiveTranscriber
    from lars_plugin.midi.live_heard import LiveHearing
    from lars_plugin.midi.settings import settings_for
    from lars_plugin.midi.transcriber import load_transcriber
    from lars_plugin.zoo.transcribers import LIVE

    scale, range_db = args.velocity, args.velocity_range
    if args.transcriber == "none" and stream is not None:
        settings = settings_for(args.model, [name for name in stream.stems if name in DRUMS])
        return LiveTranscriber(
            stream.stems, rate, channels, settings, velocity=scale, velocity_range=range_db
        )
    name = LIVE if args.transcriber == "auto" else args.transcriber
    return LiveHearing(
        load_transcriber(name, backend=transcriber_backend(args)),
        rate,
        channels,
        stream.stems if stream else None,
        velocity=scale,
        velocity_range=range_db,
    )


def _run_data(args: argparse.Namespace) -> int:
    from lars_plugin.training.data.excerpts import plain_config, render_excerpts, write_clips
    from lars_plugin.training.data.grooves import load_grooves
    from lars_plugin.training.data.kits import load_kits

    if args.kits is None or args.grooves is None:
        raise InputError("--kits and --grooves say what to render from")
    if args.excerpts < 1 or not args.seconds > 0 or args.steps < 0:
        raise InputError("--excerpts and --seconds must be positive, --steps not negative")
    if args.tune:
        _check_tuning(args)
    split = "train" if args.tune else args.split or "validation"
    kits, grooves = load_kits(args.kits, split), load_grooves(args.grooves, split)
    if args.render:
        excerpts = render_excerpts(
            kits,
            grooves,
            count=args.excerpts,
            seconds=args.seconds,
            seed=args.seed,
            config=plain_config(),
        )
        count = write_clips(excerpts, args.render)
        print(f"{args.render}: {count} clips")
        return 0
    return _tune(args, kits, grooves)


def _check_tuning(args: argparse.Namespace) -> None:
    if args.split not in (None, "train"):
        raise InputError("tuning uses the train split: the other is for figures")
    if args.out is None and args.source != "model":
        raise InputError("-o says where to write settings that belong to no model")
    if args.steps == 0 and args.start is None:
        raise InputError("--steps 0 keeps a picker: say whose with --start")


def _tune(args: argparse.Namespace, kits: Any, grooves: Any) -> int:
    import tempfile

    from lars_plugin.midi.settings import SETTINGS_FILE, read_settings
    from lars_plugin.training.data.examples import separate_excerpts, unseparated
    from lars_plugin.training.data.excerpts import mixed_excerpts
    from lars_plugin.training.data.kits import load_kits
    from lars_plugin.training.midi.tune_midi import tune

    start = read_settings(args.start).picker if args.start else None
    plain = load_kits(args.kits[0], "train") if len(args.kits) > 1 else None
    excerpts = mixed_excerpts(kits, grooves, args.excerpts, args.seconds, args.seed, plain)
    out, name = args.out, ""
    with tempfile.TemporaryDirectory() as spare:
        if args.source == "model":
            separator = make_separator(args)
            config = separator.model.config
            name = config.name
            if out is None:
                from lars_plugin.zoo.registry import model_folders

                out = model_folders().get(name, Path(args.model)) / SETTINGS_FILE
            weights = config.weights.sha256 if config.weights else ""
            what = f"{name} {weights} {args.preset} {args.excerpts} {args.seconds} {args.seed}\n"
            examples = separate_excerpts(
                excerpts, separator, args.cache or Path(spare), args.excerpts, what
            )
        else:
            examples = unseparated(excerpts)

        def tell(line: str) -> None:
            if not args.quiet:
                print(line, flush=True)

        result = tune(
            examples,
            args.source,
            model=name,
            cymbals=args.cymbals,
            steps=args.steps,
            start=start,
            seed=args.seed,
            tell=tell,
        )
        result.save(out)
    print(f"{out}: settings", file=sys.stderr if args.quiet else sys.stdout)
    return 0
