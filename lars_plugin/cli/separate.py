# SPDX-License-Identifier: GPL-3.0-or-later
"""``lars separate``: recordings in, stems out."""

from __future__ import annotations

import argparse
import logging
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lars_plugin.options import (
    add_backend_options,
    add_device_option,
    add_model_option,
    add_preset_options,
    count,
    name_list,
)

if TYPE_CHECKING:
    from lars_plugin.cli.plan import Task
    from lars_plugin.cli.report import Outcome, Report
    from lars_plugin.separation.separator import Separator

log = logging.getLogger(__name__)

__all__ = ["add_separate_parser", "run_separate"]

_EPILOG = """\
Inputs are files, folders (all audio files below them) and patterns, also quoted ones:
  lars separate song.wav
  lars separate "takes/**/*.flac" -o stems --stems kick,snare --residual
  lars separate song.wav --model cascade:mdx23c-music,lars-mini --redistribute
  sox take.wav -t wav - trim 60 | lars separate - --stdout --stems kick | play -
WAV, FLAC, MP3, Ogg (Vorbis, Opus, FLAC) and AIFF are read, mono or stereo, at any rate, and where
PyAV (pip install 'lars-plugin[formats]') or ffmpeg is installed, AAC, ALAC, WMA and the first
sound of video files; the stems have the rate, channels and length of their input, and its BWF time
stamp, cue points, tempo, key and titles. Of files with more channels --channels says which are
meant.

Levels are never changed. A stem can be louder than full scale, even if the mixture is not:
with 16 and 24 bits that is clipped, and you are told; --bits 32f keeps it, --rescale lowers all
stems of the file by one common gain.

The stems of a file appear together when all are complete. A hidden file beside them says from
what they were made. What is there already, from the same file in the same way, is skipped, so
an interrupted batch can be run again; a file that has changed is done again. Stems of another
file, of another model or other settings, or of unknown origin are never replaced without
--overwrite.

Fields of --filename: {track} is the input's name without extension, {suffix} its extension,
{folder} the folder it lies in, {path} the folders between the folder that was named and the
input, {root} the name of the folder that was named.

exit codes: 0 all done (or skipped), 1 an input failed (the others are done), 2 wrong usage
(nothing was begun), 130 interrupted, 143 terminated
"""


def add_separate_parser(subparsers: Any) -> None:
    """Add the command to the main parser."""
    parser = subparsers.add_parser(
        "separate",
        help="split drum recordings into stems",
        description="Split drum recordings into stems.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("inputs", nargs="+", metavar="INPUT",
        help="audio file, folder or pattern; - is standard input")  # fmt: skip
    add("-o", "--out", "--output-dir", dest="out", type=Path, default=Path("separated"),
        metavar="DIR", help="where the stems go (default: %(default)s)")  # fmt: skip
    files = add_output_options(parser).add_argument
    files("--stdout", action="store_true",
        help="write the one stem of --stems to standard output, as WAV")  # fmt: skip
    files("--overwrite", action="store_true", help="replace files that are there already")
    add = parser.add_argument_group("how").add_argument
    add("-j", "--jobs", type=count, default=1, metavar="N",
        help="files at a time, sharing one model and the cores (default: %(default)s)")  # fmt: skip
    add("--json", action="store_true", help="print one JSON document about all files")
    add("-q", "--quiet", action="store_true", help="print errors only")
    add("-v", "--verbose", action="store_true", help="print more")


def add_output_options(parser: Any, *, filename: str = "{track}/{stem}.{ext}") -> Any:
    """Options that say what is made of a recording, those of ``lars separate`` and ``lars batch``.

    Args:
        parser: gets groups of options.
        filename: the default template.

    Returns:
        The group about files, for more.
    """
    from lars_plugin.cli.midi_options import add_hit_options

    group = parser.add_argument_group("what")
    add_model_options(group)
    add_channel_option(group)
    stems = group.add_mutually_exclusive_group()
    stems.add_argument("--stems", type=name_list, metavar="A,B", help="only these (default: all)")
    stems.add_argument("--two-stems", metavar="STEM",
        help="this one and the rest: --stems STEM --residual")  # fmt: skip
    group.add_argument("--residual", action="store_true",
        help="also write the mixture minus all stems written, as 'residual'")  # fmt: skip
    files = parser.add_argument_group("files")
    add = files.add_argument
    add("--filename", metavar="TEMPLATE", default=filename,
        help="below DIR; fields: track stem ext model folder path root suffix"
        " (default: %(default)s)")  # fmt: skip
    add("-f", "--format", choices=("wav", "flac"), default="wav", help="default: %(default)s")
    add("--flac", dest="format", action="store_const", const="flac", help="same as --format flac")
    add("--bits", choices=("16", "24", "32f"), default="24",
        help="per sample, 32f is float (default: %(default)s)")  # fmt: skip
    for name, bits in (("--int16", "16"), ("--int24", "24"), ("--float32", "32f")):
        add(name, dest="bits", action="store_const", const=bits, help=f"same as --bits {bits}")
    add("--rescale", action="store_true",
        help="lower all stems of a file alike where one would clip")  # fmt: skip
    add("--no-metadata", dest="metadata", action="store_false",
        help="leave out time stamp, cue points, tempo and titles of the input")  # fmt: skip
    group = parser.add_argument_group("MIDI")
    group.add_argument("--midi", action="store_true",
        help="also write what was played, as TRACK.mid beside the stems")  # fmt: skip
    add_hit_options(group)
    return files


def add_model_options(group: Any) -> None:
    """Options that choose a model and how it runs; :func:`make_separator` reads them."""
    add_model_option(group, "-n", "--name")
    add_preset_options(group)
    add = group.add_argument
    add("--batch-size", type=count, metavar="N", help="chunks per run of the network")
    add_device_option(group)
    add_backend_options(group)
    add("--wiener", type=float, metavar="ALPHA",
        help="share the mixture's spectrum out by |stem|^ALPHA; 1 is usual, more ducks more",
    )  # fmt: skip
    add("--gate", type=float, metavar="DB",
        help="silence a stem while it is this far below the mixture, -40 say")  # fmt: skip
    add("--redistribute", action="store_true",
        help="make the stems add up to the mixture; in a cascade, the drums to the drum stem",
    )  # fmt: skip


def add_channel_option(group: Any) -> None:
    """The option that chooses channels of a recording."""
    group.add_argument("--channels", metavar="A,B|front|downmix",
        help="of files with more than two channels: these, by number from 1; the front pair; or"
        " a stereo downmix (ITU-R BS.775)")  # fmt: skip


def make_separator(args: argparse.Namespace, stems: tuple[str, ...] | None = None) -> Separator:
    """The separator that the options ask for."""
    from lars_plugin.allocator import keep_freed_memory
    from lars_plugin.refine.postprocess import PostProcessing
    from lars_plugin.separation.separator import Separator

    keep_freed_memory()
    return Separator(
        args.model,
        preset=args.preset,
        overlap=args.overlap,
        batch_size=args.batch_size,
        shifts=args.shifts,
        device=args.device,
        stems=stems,
        precision=args.precision,
        backend=args.backend,
        post=PostProcessing(wiener=args.wiener, gate=args.gate, redistribute=args.redistribute),
    )


def run_separate(args: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    from lars_plugin.cli.report import Report

    report = Report(json=args.json, quiet=args.quiet)
    try:
        _separate_all(args, report)
    except BaseException as error:
        report.stop(error)
        raise
    finally:
        report.close()
    return report.exit_code


def _separate_all(args: argparse.Namespace, report: Report) -> None:
    from lars_plugin.audio.channels import check_channel_names
    from lars_plugin.audio.writer import check_format
    from lars_plugin.cli.display import Display
    from lars_plugin.cli.inputs import find_inputs
    from lars_plugin.cli.jobs import run_all
    from lars_plugin.cli.pipes import check_stdout, input_names, separate_to_stdout
    from lars_plugin.cli.plan import make_plan
    from lars_plugin.cli.report import Outcome
    from lars_plugin.cli.work import separate_one, share_cores, with_midi

    check_format(args.format, args.bits)
    if args.channels is not None:
        check_channel_names(args.channels)
    if args.midi:
        from lars_plugin.cli.midi_options import check_hit_options

        check_hit_options(args)
    stems = (args.two_stems,) if args.two_stems else args.stems
    args.residual = args.residual or bool(args.two_stems)
    found = find_inputs(input_names(args.inputs), args.out)
    if args.stdout:
        check_stdout(args, found)
    for item in found:
        if item.error:
            report.add(Outcome(item.path, "failed", error=item.error))
    found = [item for item in found if not item.error]
    if not found:
        return
    separator = make_separator(args, stems)
    if args.stdout:
        separate_to_stdout(args, separator, found[0], report)
        return
    report.about(separator)
    plan = make_plan(args, separator, found)
    for outcome in plan.settled:
        report.add(outcome)
    for task in plan.midi_only:
        report.add(with_midi(args, task, Outcome(task.path, "skipped", outputs=task.outputs)))
    share_cores(separator.model, args.jobs)
    # On a terminal, where somebody wonders; the log of --verbose says it with the reason.
    if sys.stderr.isatty() and not (args.quiet or args.json):
        print(
            f"lars: {separator.model.config.name} on {separator.model.backend_name}",
            file=sys.stderr,
        )
    with Display(len(plan.work), shown=not args.quiet) as display:

        def work(task: Task, stop: threading.Event) -> Outcome:
            if stop.is_set():
                return Outcome(task.path, "cancelled")
            with display.file(task.path) as step:

                def progress(done: int, total: int) -> bool:
                    step(done, total)
                    return not stop.is_set()

                return separate_one(args, separator, task, progress)

        waiting = [task.path for task in plan.work]

        def done(task: Task, outcome: Outcome) -> None:
            waiting.remove(task.path)
            report.add(outcome)

        try:
            run_all(work, plan.work, args.jobs, done)
        except KeyboardInterrupt:
            for path in waiting:
                report.add(Outcome(path, "cancelled"))
            raise
