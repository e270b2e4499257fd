# SPDX-License-Identifier: GPL-3.0-or-later
"""``lars bench``: speed side by side, and what it costs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lars_plugin.errors import InputError
from lars_plugin.options import PRESET_CHOICES, add_model_option, count, name_list

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lars_plugin.bench.cases import Case
    from lars_plugin.evaluation.clips import Clip
    from lars_plugin.evaluation.tables import Table

__all__ = ["add_bench_parser", "run_bench"]

_EPILOG = """\
  lars bench                                    the paper's Table 1 beside ours, 14 minutes
  lars bench --isa avx2                         the same as on a processor without AVX-512
  lars bench --only lars-mini,lars-live         these models
  lars bench --price overlap --clips CLIPS      SDR against overlap, both conventions
  lars bench --price precision --clips CLIPS    SDR lost by each backend and precision

Speed does not depend on the weights, so they are random and nothing is downloaded. Each row runs
in a process of its own with pinned threads, is warmed up first, and says how many chunks were
timed; the others of a large network are counted at the median. Prices need a trained model and a
folder of clips as for `lars evaluate`.
"""


def add_bench_parser(subparsers: Any) -> None:
    """Add the command to the main parser."""
    parser = subparsers.add_parser(
        "bench",
        help="measure speed, and what it costs",
        description="Measure speed, and what it costs.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument_group("speed").add_argument
    add("--only", type=name_list, metavar="A,B",
        help="small, large (the paper's networks), lars-mini, lars-live; bs-roformer, ht-demucs,"
        " lars-net (the field's, beside its own code; default: all but these)",
    )  # fmt: skip
    add("--lengths", type=_numbers, default=(15.0, 30.0, 45.0), metavar="A,B",
        help="seconds of audio (default: 15,30,45)")  # fmt: skip
    add("--threads", type=count, metavar="N", help="default: the cores that may be used")
    add("--budget", type=float, default=11.0, metavar="MINUTES",
        help="for all rows; rows that do not fit are named (default: %(default)g)")  # fmt: skip
    add("--isa", choices=("native", "avx512", "avx2"), default="native",
        help="leave newer instructions unused, as on an ordinary machine")  # fmt: skip
    add("--quick", action="store_true", help="tiny networks: a test of the command, no figures")
    group = parser.add_argument_group("prices")
    add = group.add_argument
    add("--price", choices=("overlap", "precision"), help="measure this instead of speed")
    add("--clips", type=Path, metavar="FOLDER", help="clips with stems")
    add("--limit", type=count, metavar="N", help="at most N clips, evenly spread")
    add_model_option(group,
        more="for --price precision also small and large, with random weights")  # fmt: skip
    add("--preset", choices=PRESET_CHOICES, help="for --price precision")
    add("--overlaps", type=_numbers, metavar="A,B", help="for --price overlap")
    add = parser.add_argument_group("output").add_argument
    add("--json", type=Path, metavar="FILE", help="all figures, machine, versions, commit")
    add("--markdown", action="store_true", help="print tables as Markdown")
    add("-q", "--quiet", action="store_true", help="print tables only")


def run_bench(args: argparse.Namespace) -> int:
    """Run the command and return its exit code.

    Raises:
        LarsError: nothing could be measured.
    """
    from lars_plugin.bench.environment import environment

    described = environment()
    found, tables = _prices(args) if args.price else _speed(args)
    for table in tables:
        print(table.markdown() if args.markdown else table.text())
    machine = described["machine"]
    print(
        f"{machine['processor']}, {machine['cores']} cores, {' '.join(machine['instructions'])};"
        f" commit {described['commit'] or 'of a release'}; "
        + ", ".join(f"{name} {version}" for name, version in described["versions"].items())
    )
    if args.json:
        from lars_plugin.audio import AtomicFiles
        from lars_plugin.evaluation.results import to_json

        with AtomicFiles() as files:
            files.create(args.json).write(to_json({**described, **found}).encode())
        _tell(args, f"wrote {args.json}")
    return 1 if any("error" in row for row in found["rows"]) else 0


def _speed(args: argparse.Namespace) -> tuple[dict[str, Any], list[Table]]:
    import os

    from lars_plugin.bench.cases import FIELD_CASES, FULL_SIZE, cases_for, quick_cases
    from lars_plugin.bench.ceiling import ceiling_tables, chunk_operations, measure_ceiling
    from lars_plugin.bench.speed import ISAS, run_cases, speed_tables
    from lars_plugin.bench.startup import measure_command, measure_startup, startup_tables
    from lars_plugin.evaluation.results import machine

    if args.clips:
        raise InputError("clips are for --price overlap or --price precision")
    cases: tuple[Case, ...] = quick_cases() if args.quick else cases_for(args.isa)
    if args.only:
        cases += () if args.quick else cases_for(args.isa, FIELD_CASES)
        unknown = set(args.only) - {case.model for case in cases}
        if unknown:
            known = ", ".join(dict.fromkeys(case.model for case in cases))
            raise InputError(f"nothing to measure for {', '.join(sorted(unknown))}: use {known}")
        cases = tuple(case for case in cases if case.model in args.only)
    lengths = (3.0,) if args.quick else args.lengths
    threads = args.threads or machine()["cores"]
    rows = run_cases(
        cases,
        lengths=lengths,
        budget=60 * args.budget,
        threads=threads,
        isa=args.isa,
        quick=args.quick,
        on_progress=lambda line: _tell(args, line),
    )
    environment = {**os.environ, **ISAS[args.isa], "OMP_NUM_THREADS": str(threads)}
    ceiling: list[dict[str, Any]] = []
    operations = 0.0
    if any(case.model == "small" for case in cases):
        _tell(args, "the ceiling of this processor")
        ceiling = measure_ceiling(threads=threads, environment=environment)
        operations = chunk_operations()
    starts, whole = [], []
    # Start-up and whole files are those of our own models: nothing new beside the field's alone.
    ours = any(case.model not in FULL_SIZE for case in cases)
    backends = (["--backend", "torch"], ["--backend", "auto"])
    for options in backends[: 1 if args.quick else 2 if ours else 0]:
        _tell(args, f"start-up, {' '.join(options)}")
        times = 1 if args.quick else 5
        starts.append(measure_startup(options, times=times, environment=environment))
    for preset in ("fast", "balanced")[: 2 if ours and not args.quick else 0]:
        _tell(args, f"three minutes from file to files, --preset {preset}")
        options = ["--preset", preset]
        whole.append(measure_command(options, seconds=180.0, times=3, environment=environment))
    found = {
        "format": "lars-bench-1",
        "isa": args.isa,
        "threads": threads,
        "lengths": list(lengths),
        "rows": rows,
        "ceiling": ceiling,
        "chunk_operations": operations,
        "startup": starts,
        "command": whole,
    }
    tables = [*speed_tables(rows, lengths), *ceiling_tables(ceiling, operations)]
    return found, [*tables, *startup_tables(starts, whole)]


def _prices(args: argparse.Namespace) -> tuple[dict[str, Any], list[Table]]:
    from lars_plugin.allocator import keep_freed_memory
    from lars_plugin.bench.cases import RANDOM
    from lars_plugin.bench.price import (
        OVERLAPS,
        price_of_overlap,
        price_tables,
    )
    from lars_plugin.evaluation.clips import spread
    from lars_plugin.evaluation.datasets import find_clips

    if args.clips is None:
        raise InputError("prices are measured on clips with stems: give a folder with --clips")
    keep_freed_memory()
    if args.model in RANDOM and args.price == "overlap":
        raise InputError(
            f"{args.model} has random weights: give --price overlap a model of the zoo"
        )
    _, clips = find_clips(args.clips)
    if args.limit:
        clips = spread(clips, args.limit)

    def on_progress(line: str) -> None:
        _tell(args, line)

    if args.price == "overlap":
        overlaps = args.overlaps or OVERLAPS
        found = price_of_overlap(args.model, clips, overlaps=overlaps, on_progress=on_progress)
    else:
        found = _price_of_precision(args, clips, on_progress)
    return {"format": "lars-bench-1", **found}, price_tables(found)


def _price_of_precision(
    args: argparse.Namespace, clips: Sequence[Clip], on_progress: Callable[[str], None]
) -> dict[str, Any]:
    import os
    import tempfile

    from lars_plugin.bench.cases import RANDOM
    from lars_plugin.bench.price import price_of_precision

    if args.model not in RANDOM:
        return price_of_precision(args.model, clips, preset=args.preset, on_progress=on_progress)
    # Random networks of hundreds of megabytes do not belong into the user's cache.
    kept = os.environ.get("LARS_CACHE")
    with tempfile.TemporaryDirectory(prefix="lars-bench-") as cache:
        os.environ["LARS_CACHE"] = cache
        try:
            return price_of_precision(
                args.model, clips, preset=args.preset, on_progress=on_progress
            )
        finally:
            if kept is None:
                del os.environ["LARS_CACHE"]
            else:
                os.environ["LARS_CACHE"] = kept


def _tell(args: argparse.Namespace, line: str) -> None:
    if not args.quiet:
        print(f"lars: {line}", file=sys.stderr)


def _numbers(text: str) -> tuple[float, ...]:
    numbers = tuple(float(part) for part in text.split(",") if part.strip())
    if not numbers or min(numbers) <= 0:
        raise argparse.ArgumentTypeError(f"must be numbers above 0, got {text}")
    return numbers
