# SPDX-License-Identifier: GPL-3.0-or-later
"""``lars evaluate``: a folder of clips with stems in, scores out."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lars_plugin.errors import InputError
from lars_plugin.options import (
    add_backend_options,
    add_cluster_options,
    add_device_option,
    add_model_option,
    add_preset_options,
    count,
    name_list,
)

if TYPE_CHECKING:
    from lars_plugin.evaluation.clips import Clip
    from lars_plugin.evaluation.systems import System

__all__ = ["add_evaluate_parser", "run_evaluate"]

_EPILOG = """\
Folders (--layout; the default looks at what is there):
  clips    one folder per clip with a file per stem: kick.wav, snare.flac ...; mix.* if you like
  stemgmd  StemGMD as published: .../drummer1/eval_session/brooklyn/kick/NAME.wav; nine pieces
           make six stems, shown as five; --split test (the default), eval, validation, train, all
  musdb    MUSDB18-HQ: test/TRACK/vocals.wav ...; --split test, train, all

Baselines: mixture (the score of doing nothing), oracle (Wiener masks made from the true stems:
about the best that masks can do), nmf (untrained factorisation whose parts are told apart by the
true stems; needs scikit-learn).

A stem counts in the clips in which it sounds; where it is silent, what came out is its leakage.
Ride and crash are also scored as one stem, cymbals, so that models of five and six stems compare.

Full mixes are clips whose folders also hold other.flac, or vocals, bass and other: one-stage models
and cascades are scored on the drums, their sum and the rest, a drum model on the drums.

  lars evaluate clips --model lars-mini --baseline mixture,nmf,oracle
  lars evaluate songs --model lars-fullmix --model cascade:mdx23c-music,lars-mini
  lars evaluate clips --wiener 1 --gate -40 --redistribute
  lars evaluate clips --model lars-mini --variants
  lars evaluate clips --model lars-mini --model lars-live --baseline nmf --confidence
  lars evaluate StemGMD --model lars-mini --kits bluebird,roots --csv s.csv --resume --html s.html

exit codes: 0 all done, 1 a clip failed (the others are done), 2 wrong usage, 130 interrupted
"""


def add_evaluate_parser(subparsers: Any) -> None:
    """Add the command to the main parser."""
    parser = subparsers.add_parser(
        "evaluate",
        help="score models on clips with stems",
        description="Score models and baselines on a folder of clips with stems.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where the clips are")
    group = parser.add_argument_group("what")
    add_model_option(group, dest="models", action="append", default=None,
        more="may be repeated; none for baselines only")  # fmt: skip
    add = group.add_argument
    add("--baseline", type=name_list, default=("mixture", "oracle"), metavar="A,B",
        help="mixture, oracle, nmf, or none (default: mixture,oracle)")  # fmt: skip
    add("--layout", choices=("auto", "clips", "stemgmd", "musdb"), default="auto",
        help="default: %(default)s")  # fmt: skip
    add("--split", help="part of the data, where the layout has parts")
    add("--kits", type=name_list, default=(), metavar="A,B", help="only these drum kits")
    add("--limit", type=count, metavar="N", help="at most N clips, evenly spread over all")
    add("--variants", nargs="?", const="all", metavar="A,B",
        help="each clip as records have it: mono, low-passed, in rooms, squashed, one-sided; all"
        " variants, or those named (plain, mono, lp10, lp5, mono-lp10, room, hall, squash, bright,"
        " dull, low-toms, left, inverted)")  # fmt: skip
    add = parser.add_argument_group("post-processing: further rows for each model").add_argument
    add("--wiener", type=float, action="append", default=[], metavar="ALPHA",
        help="with a Wiener filter of this exponent; may be repeated")  # fmt: skip
    add("--gate", type=float, action="append", default=[], metavar="DB",
        help="with stems silenced while this far below the mixture; may be repeated")  # fmt: skip
    add("--redistribute", action="store_true",
        help="with what the stems leave handed to them; of several options one more row has all",
    )  # fmt: skip
    add("--midi", action="store_true",
        help="score transcription instead; clips need notes.csv (`lars midi --render` makes some)"
        " or onsets.csv",
    )  # fmt: skip
    add("--transcriber", action="append", default=[], metavar="NAME",
        help="with --midi: score this transcriber, alone and with the models; may be repeated"
        " (default: lars-transcriber)",
    )  # fmt: skip
    add("--strokes", action="store_true",
        help="show instead where the energy of strokes goes that sound alone; clips need"
        " onsets.csv",
    )  # fmt: skip
    add("--confidence", action="store_true",
        help="show what blending the models as auto:A,B gains, and how often it chose right",
    )  # fmt: skip
    group = parser.add_argument_group("how")
    add_preset_options(group)
    add_device_option(group)
    # Figures are those of one backend and float32, wherever they are made, unless told otherwise.
    add_backend_options(group, backend="torch", precision="float32")
    add = group.add_argument
    add("-j", "--jobs", type=count, metavar="N",
        help="clips at a time; more than 1 spoils the real-time ratio (default: 1; with --engine"
        " ray, as many as the cluster has room for)",
    )  # fmt: skip
    add("--engine", choices=("local", "ray"), default="local",
        help="score here, or with workers of a Ray cluster (default: %(default)s)")  # fmt: skip
    add_cluster_options(group)
    add("--resume", action="store_true",
        help="go on from the rows in the --csv file; trusts that the models are the same",
    )  # fmt: skip
    add("-q", "--quiet", action="store_true", help="print errors and tables only")
    add("-v", "--verbose", action="store_true", help="print more")
    add = parser.add_argument_group("figures").add_argument
    add("--five-stems", action=argparse.BooleanOptionalAction,
        help="leave out ride and crash where there are cymbals (default: for stemgmd only)",
    )  # fmt: skip
    add("--silence-db", type=float, default=-60.0, metavar="DB",
        help="a stem sounds above this level against the mixture (default: %(default)s)",
    )  # fmt: skip
    add("--per-clip", action="store_true", help="also print a table of every clip")
    add("--markdown", action="store_true", help="print tables as Markdown")
    add = parser.add_argument_group("files").add_argument
    add("--csv", type=Path, metavar="FILE", help="a row for each clip, system and stem")
    add("--json", type=Path, metavar="FILE", help="summary, rows, versions, machine")
    add("--figure", type=Path, metavar="FILE", help="the paper's Figure 3 (.png, .svg, .pdf)")
    add("--html", type=Path, metavar="FILE", help="a page with tables, figure, sounds")
    add("--html-clips", type=int, default=3, metavar="N",
        help="clips to listen to in the page (default: %(default)s)")  # fmt: skip
    add("--html-audio", choices=("ogg", "flac"), default="ogg",
        help="small, or exact (default: %(default)s)")  # fmt: skip


def run_evaluate(args: argparse.Namespace) -> int:
    """Run the command and return its exit code.

    Raises:
        LarsError: nothing could be done; what clips fail on is printed instead.
    """
    from lars_plugin.allocator import keep_freed_memory
    from lars_plugin.evaluation.datasets import find_clips
    from lars_plugin.evaluation.ledger import Ledger
    from lars_plugin.evaluation.run import evaluate
    from lars_plugin.evaluation.summary import summarise
    from lars_plugin.evaluation.systems import make_systems, make_variants
    from lars_plugin.evaluation.tables import all_tables, variant_tables
    from lars_plugin.evaluation.variants import VARIANTS, spread_over_variants

    keep_freed_memory()
    elsewhere = None
    if args.engine == "ray":
        from lars_plugin.evaluation.remote import on_ray

        if args.midi or args.strokes or args.confidence:
            raise InputError(
                "--engine ray scores stems; leave out --midi, --strokes and --confidence"
            )
        elsewhere = on_ray(
            args.address, cpus=args.cpus_per_worker, gpus=args.gpus_per_worker, jobs=args.jobs
        )
    args.jobs = args.jobs or (1 if elsewhere is None else 0)  # 0: as many as there is room for
    if args.resume and args.csv is None:
        raise InputError("resume goes on from a table: say which with --csv")
    if args.figure and args.figure.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise InputError(f"a picture is .png, .svg or .pdf, not {args.figure.name!r}")
    systems = make_systems(
        [name for name in args.models or ["lars-mini"] if name != "none"],
        [name for name in args.baseline if name != "none"],
        variants=make_variants(args.wiener, args.gate, args.redistribute),
        preset=args.preset,
        overlap=args.overlap,
        shifts=args.shifts,
        device=args.device,
        precision=args.precision,
        backend=args.backend,
    )
    layout, clips = find_clips(
        args.folder,
        None if args.layout == "auto" else args.layout,
        split=args.split,
        kits=args.kits,
    )
    clips = _limited(clips, args.limit)
    if args.variants:
        chosen = tuple(VARIANTS) if args.variants == "all" else name_list(args.variants)
        clips = spread_over_variants(clips, chosen)
    if args.midi:
        return _evaluate_midi(args, clips, systems)
    if args.strokes:
        return _evaluate_strokes(args, clips, systems)
    if args.confidence:
        return _evaluate_confidence(args, clips, systems)
    with (
        Ledger(args.csv, resume=args.resume) as ledger,
        _shared_cores(args.jobs, systems),
        _progress(args) as progress,
    ):
        outcome = evaluate(
            clips, systems, ledger, jobs=max(1, args.jobs), progress=progress, elsewhere=elsewhere
        )
    names = [system.name for system in systems]
    summary = summarise(
        outcome.rows,
        [name for name in names if any(row.system == name for row in outcome.rows)],
        models=[system.name for system in systems if system.is_model],
        five=layout == "stemgmd" if args.five_stems is None else args.five_stems,
        threshold_db=args.silence_db,
    )
    if outcome.rows:
        tables = all_tables(outcome.rows, summary, clips=args.per_clip)
        if args.variants:
            tables = variant_tables(outcome.rows, summary)
        for table in tables:
            print(table.markdown() if args.markdown else table.text())
        if args.jobs != 1 and summary.models:
            many = args.jobs or "several"
            print(f"RTR was measured with {many} clips at a time: compare it with care.\n")
        from lars_plugin.evaluation.written import write_results

        write_results(
            args,
            layout,
            clips,
            systems,
            outcome,
            summary,
            lambda line: print(line, file=sys.stderr),
        )
    if outcome.failures:
        print(
            f"lars: {len(outcome.failures)} of {len(clips) * len(systems)} failed, first:"
            f" {outcome.failures[0].system} on {outcome.failures[0].clip}:"
            f" {outcome.failures[0].reason}",
            file=sys.stderr,
        )
    return 1 if outcome.failures else 0


def _evaluate_midi(args: argparse.Namespace, clips: list[Clip], systems: list[System]) -> int:
    from lars_plugin.audio import AtomicFiles
    from lars_plugin.evaluation.midi import (
        MidiScores,
        evaluate_midi,
        midi_document,
        midi_tables,
        midi_variant_tables,
    )
    from lars_plugin.evaluation.results import to_json
    from lars_plugin.midi.transcriber import DEFAULT

    if args.csv or args.figure or args.html:
        raise InputError("--midi makes tables and --json; leave out --csv, --figure and --html")
    by_variant: dict[str, list[Clip]] = {}
    for clip in clips:
        by_variant.setdefault(clip.variant, []).append(clip)
    scores: dict[str, list[MidiScores]] = {}
    with _progress(args) as progress:
        for variant, some in by_variant.items():
            scores[variant] = evaluate_midi(
                some,
                args.folder,
                systems,
                transcribers=args.transcriber or (DEFAULT,),
                backend=args.backend if args.backend in ("torch", "openvino") else None,
                progress=progress,
            )
    if args.variants:
        tables = midi_variant_tables(scores)
        document: dict[str, Any] = {name: midi_document(one) for name, one in scores.items()}
    else:
        tables = midi_tables(scores[""])
        document = midi_document(scores[""])
    for table in tables:
        print(table.markdown() if args.markdown else table.text())
    if args.json:
        with AtomicFiles() as files:
            files.create(args.json).write(to_json(document).encode())
    return 0


def _evaluate_strokes(args: argparse.Namespace, clips: list[Clip], systems: list[System]) -> int:
    from lars_plugin.evaluation.strokes import evaluate_strokes, stroke_tables

    if args.csv or args.json or args.figure or args.html or args.variants:
        raise InputError(
            "--strokes prints tables only; leave out --variants, --csv, --json, --figure, --html"
        )
    with _progress(args) as progress:
        scores = evaluate_strokes(clips, args.folder, systems, progress=progress)
    for table in stroke_tables(scores):
        print(table.markdown() if args.markdown else table.text())
    return 0


def _evaluate_confidence(args: argparse.Namespace, clips: list[Clip], systems: list[System]) -> int:
    from lars_plugin.evaluation.confidence import confidence_tables, evaluate_confidence

    if args.csv or args.json or args.figure or args.html:
        raise InputError("--confidence makes tables: leave out --csv, --json, --figure and --html")
    with _progress(args) as progress:
        found = evaluate_confidence(clips, systems, progress=progress)
    for table in confidence_tables(found, threshold_db=args.silence_db):
        print(table.markdown() if args.markdown else table.text())
    return 0


def _limited(clips: list[Clip], limit: int | None) -> list[Clip]:
    from lars_plugin.evaluation.clips import spread

    return clips if limit is None else spread(clips, limit)


@contextlib.contextmanager
def _progress(args: argparse.Namespace) -> Iterator[Callable[[int, int, str], None] | None]:
    """A bar on a terminal; with ``--verbose`` the log tells instead."""
    if args.quiet or args.verbose or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    with Progress(
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True),
        TextColumn("left  {task.description}", markup=False),
        console=Console(stderr=True),
        transient=True,
    ) as bars:
        task = bars.add_task("", total=None)
        yield lambda done, total, what: bars.update(
            task, completed=done, total=total, description=what
        )


@contextlib.contextmanager
def _shared_cores(jobs: int, systems: list[System]) -> Iterator[None]:
    """Give each of several clips its part of the cores, instead of all of them to each."""
    if jobs <= 1 or not any(system.is_model for system in systems):
        yield
        return
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, threads // jobs))
    try:
        yield
    finally:
        torch.set_num_threads(threads)
