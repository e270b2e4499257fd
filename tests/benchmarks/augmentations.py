# SPDX-License-Identifier: GPL-3.0-or-later
"""What each augmentation of training is worth: short runs of equal steps, each without one.

    python tests/benchmarks/augmentations.py OUT --kits ../shared/drumkits --kits kits \\
        --grooves ../shared/grooves --clips ../shared/validation_clips --init lars-mini --minutes 30

Each row of the table is a training of its own without the augmentation named ("a+b": without both);
the first row leaves nothing out. All take the same number of steps: as many as --minutes hold here,
which a short trial measures, or --steps. Scored is the average of the network's weights alone,
without refinement: the median SDR of each stem over the clips, in each variant of `lars evaluate
--variants`, then the mean over the stems (or one stem by --stem). The figures are what the
augmentation gains: the score with it less the score without it. With --alone the first row leaves
everything out, each other row has the augmentation named and no other (name what it needs, too:
"room+early"), and its gain is what that row scores above the first. Two runs that differ in nothing
but the seed differ too: --seeds 3 makes three runs of each row, gives their means, and says how far
the first row's lie apart. What is less than that means nothing.

OUT keeps everything. The same command goes on where it was interrupted, within a row too, and a row
that is there is not made again; more rows and seeds may be asked for at any time.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from lars_plugin.errors import InputError, LarsError
from lars_plugin.evaluation.clips import Clip, spread
from lars_plugin.evaluation.datasets import find_clips
from lars_plugin.evaluation.tables import Table
from lars_plugin.evaluation.variants import VARIANTS, load_variant, spread_over_variants
from lars_plugin.files import replacing
from lars_plugin.networks.registry import ARCHITECTURES, trainable_names
from lars_plugin.training.networks.scores import validate
from lars_plugin.training.networks.start import adopt, build, read_weights
from lars_plugin.training.networks.trainer import FitConfig, Trainer
from lars_plugin.training.render.augmentations import (
    AUGMENTATIONS,
    RECORDS,
    check_augmentations,
)
from lars_plugin.training.render.records import RecordsConfig
from lars_plugin.training.render.renderer import STEMS

# What is left out unless --without says otherwise, besides nothing.
ROWS = (
    "timbre,layer,synthetic,extra,solo,swap_ride+swap_crash+ride_crash,washy,roll+double_kicks,"
    "eq,saturation,room,early,plate,overheads,equaliser,tape,bus,lowpass,mono,one_sided,"
    "records,parallel,flutter,noise,limit,clip,resampled,encoded,balances"
)
NOTHING = "nothing"
RATE = 44100
TRIAL = 16  # steps

Scores = dict[str, dict[str, float]]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("out", type=Path)
    add("--kits", action="append", required=True)
    add("--grooves", required=True)
    add("--clips", required=True)
    add("--impulses", help='with them there is a row "real", too')
    add("--patterns", help='with them there is a row "patterns", too')
    add("--without", default=ROWS, help="rows, with commas between them")
    add("--alone", action="store_true", help="each row has what it names, and nothing else")
    add("--variants", default=",".join(VARIANTS))
    add("--stem", choices=("mean", *STEMS), default="mean", help="what the table shows")
    add("--limit", type=int, default=1000, help="clips to score on, at most")
    add("--minutes", type=float, default=30.0, help="of each row, on this machine as it is now")
    add("--steps", type=int, help="of each row, instead of --minutes")
    add("--seeds", type=int, default=1, help="runs of each row")
    add("--architecture", choices=trainable_names(), default=trainable_names()[0])
    add("--network", type=json.loads, default={}, help="JSON object of network settings")
    add("--init", help="a model, or a run's checkpoint.pt, to start from")
    add("--optimizer", choices=("adamw", "muon"), default="adamw")
    add("--lr", type=float, default=1.2e-3)
    add("--batch", type=int, default=8)
    add("--segment", type=int, default=FitConfig.segment, help="samples of an excerpt")
    add("--pool", type=int, default=FitConfig.pool)
    add("--reuse", type=float, default=1.0)
    add("--synthetic-kits", type=int, default=32)
    add("--threads", type=int, default=1)
    add("--workers", type=int, default=1)
    add("--device", default="cpu")
    add("--compile", action="store_true")
    args = parser.parse_args()
    if (
        args.minutes <= 0
        or min(args.seeds, args.limit, 1 if args.steps is None else args.steps) < 1
    ):
        raise InputError("--minutes, --steps, --seeds and --limit must be positive")
    return args


def rows_of(args: argparse.Namespace) -> list[str]:
    """Names of the rows; the first leaves nothing out."""
    rows = [row for row in args.without.split(",") if row and row != NOTHING]
    if args.without == ROWS:
        rows += ["real"] * bool(args.impulses) + ["patterns"] * bool(args.patterns)
    for row in rows:
        check_augmentations(row.split("+"))
    return [NOTHING, *dict.fromkeys(rows)]


def left_out_of(row: str, alone: bool) -> tuple[str, ...]:
    """What a row is trained without."""
    names = () if row == NOTHING else tuple(row.split("+"))
    if not alone:
        return names
    # RECORDS stands for all that makes records, so it is not left out where one of these is kept;
    # by itself it keeps them all.
    kept = {*names, RECORDS}
    records = {field.name for field in fields(RecordsConfig)}
    if RECORDS in names and records.isdisjoint(names):
        kept |= records
    return tuple(name for name in AUGMENTATIONS if name not in kept)


def config_of(args: argparse.Namespace, row: str, seed: int, steps: int) -> FitConfig:
    return FitConfig(
        kits=tuple(args.kits),
        grooves=args.grooves,
        clips=args.clips,
        impulses=args.impulses,
        patterns=args.patterns,
        steps=steps,
        seed=seed,
        without=left_out_of(row, args.alone),
        segment=args.segment,
        batch=args.batch,
        lr=args.lr,
        optimizer=args.optimizer,
        log_ramp=not args.init,
        workers=args.workers,
        threads=args.threads,
        pool=args.pool,
        reuse=args.reuse,
        synthetic_kits=args.synthetic_kits,
        device=args.device,
        compile=args.compile,
        validate_every=1e9,
    )


def trained(args: argparse.Namespace, config: FitConfig, folder: Path) -> nn.Module:
    """The average of a run in this folder, gone on with if it was interrupted."""
    training = ARCHITECTURES[args.architecture].training
    settings: dict[str, Any] = dict(training.settings) if training is not None else {}
    for key, value in args.network.items():
        settings[key] = tuple(value) if isinstance(value, list) else value
    torch.manual_seed(config.seed)
    network = build(args.architecture, {**settings, "stems": len(STEMS)})
    if args.init:
        adopt(network, read_weights(args.init))
    return Trainer(network, config, folder, lambda line: print(f"  {line}", flush=True)).run()


def steps_in(args: argparse.Namespace) -> int:
    """How many steps --minutes hold."""
    folder = args.out / "trial"
    shutil.rmtree(folder, ignore_errors=True)
    trained(args, config_of(args, NOTHING, 0, TRIAL), folder)
    spent = [float(line.split(",")[1]) for line in (folder / "steps.csv").read_text().splitlines()]
    shutil.rmtree(folder)
    # The later ones: the first may have been compiled.
    each = max((spent[-1] - spent[len(spent) // 2]) / (len(spent) - 1 - len(spent) // 2), 1e-3)
    return max(1, round(float(args.minutes) * 60 / each))


def settle(args: argparse.Namespace) -> int:
    """The steps of each run; what is in OUT must have been made in the same way."""
    path = args.out / "settings.json"
    free = ("out", "without", "stem", "seeds", "threads", "workers")
    same = {key: value for key, value in vars(args).items() if key not in free}
    if path.is_file():
        found = json.loads(path.read_text())
        steps = int(found.pop("steps taken"))
        if found != same:
            keys = sorted(key for key in {*found, *same} if found.get(key) != same.get(key))
            raise InputError(
                f"{args.out} was made with other settings ({', '.join(keys)}); take another folder"
            )
        return steps
    args.out.mkdir(parents=True, exist_ok=True)
    steps = steps_in(args) if args.steps is None else int(args.steps)
    write(path, {**same, "steps taken": steps})
    return steps


def write(path: Path, content: object) -> None:
    with replacing(path, error=InputError) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n")


def scores_of(network: nn.Module, clips: list[Clip], variants: list[str], device: str) -> Scores:
    """Of each variant the stems' medians, and their mean."""
    result = {}
    for variant in variants:
        found = []
        for clip in spread_over_variants(clips, [variant]):
            recording = load_variant(clip)
            if recording.sample_rate != RATE or not set(STEMS) <= set(recording.references):
                raise InputError(f"{clip.name} is not of six stems at {RATE} Hz")
            found.append((clip.name, np.stack([recording.references[stem] for stem in STEMS])))
        result[variant] = validate(network, found, device)
    return result


def scores_of_run(args: argparse.Namespace, row: str, seed: int, steps: int) -> Scores:
    """Of a run that is made now, unless it is there."""
    folder = args.out / f"{row}-{seed}"
    path = folder / "variants.json"
    if not path.is_file():
        kind = "with" if args.alone else "without"
        print(f"{kind} {row}, seed {seed}: {steps} steps", flush=True)
        network = trained(args, config_of(args, row, seed, steps), folder)
        _, clips = find_clips(Path(args.clips))
        variants = args.variants.split(",")
        write(path, scores_of(network, spread(clips, args.limit), variants, args.device))
    found: Scores = json.loads(path.read_text())
    return found


def table_of(args: argparse.Namespace, runs: dict[str, list[Scores]]) -> Table:
    variants = args.variants.split(",")

    def values(scores: Scores) -> list[float]:
        each = [scores[variant].get(args.stem, float("nan")) for variant in variants]
        return [float(np.mean(each)), *each]

    found = {row: np.array([values(one) for one in run]) for row, run in runs.items()}
    whole = found.pop(NOTHING)
    lines = [(NOTHING, str(len(whole)), *(f"{value:.2f}" for value in whole.mean(0)))]
    if len(whole) > 1:
        lines.append(("(its runs lie apart)", "", *(f"{value:.2f}" for value in np.ptp(whole, 0))))
    # Seed by seed: not all of them may be there yet.
    sign = -1.0 if args.alone else 1.0
    gains = {row: sign * (whole[: len(each)] - each).mean(0) for row, each in found.items()}
    for row in sorted(gains, key=lambda row: -float(gains[row][0])):
        cells = (f"{value:+.2f}" for value in gains[row])
        lines.append((row, str(len(found[row])), *cells))
    return Table(
        f"{args.stem}: dB of the network, and what each augmentation gains",
        ("with" if args.alone else "without", "runs", "all variants", *variants),
        tuple(lines),
    )


def main() -> int:
    try:
        args = parse()
        rows = rows_of(args)
        steps = settle(args)
        runs: dict[str, list[Scores]] = {}
        for seed in range(args.seeds):
            for row in rows:
                runs.setdefault(row, []).append(scores_of_run(args, row, seed, steps))
                # As far as it is known: rows take hours.
                (args.out / "table.md").write_text(table_of(args, runs).markdown())
    except LarsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{steps} steps each\n\n{table_of(args, runs).text()}", end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
