# SPDX-License-Identifier: GPL-3.0-or-later
"""Data made before training: ``python -m lars_plugin.training.prepare WHAT FOLDER``.

``accompaniment`` renders the bank of music that training and validation draw from;
``fullmix-clips`` makes the validation set of whole songs; ``kits`` collects drum kits.
After training, ``average`` makes one model from several.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from lars_plugin.errors import LarsError
from lars_plugin.training.data.free_kits import make_free_kits
from lars_plugin.training.music.arrangements import add_arrangements, add_recordings
from lars_plugin.training.music.bank import BankConfig, make_bank
from lars_plugin.training.music.percussion import add_percussion
from lars_plugin.training.render.fullmix import make_fullmix_clips

__all__ = ["main"]

log = logging.getLogger(__name__)

# Where Debian's packages fluid-soundfont-gm (MIT licence) and timgm6mb-soundfont (GPL-2) put them.
FLUID_R3 = Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")
TIM_GM = Path("/usr/share/sounds/sf2/TimGM6mb.sf2")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lars_plugin.training.prepare", description="Make data for training."
    )
    commands = parser.add_subparsers(dest="what", required=True)
    kits = commands.add_parser("kits", help="drum kits from installed Debian packages")
    kits.add_argument("folder", type=Path)
    kits.set_defaults(run=_kits)
    bank = commands.add_parser("accompaniment", help="render a bank of music without drums")
    bank.add_argument("folder", type=Path)
    bank.add_argument(
        "--soundfont", type=Path, action="append",
        help=f"for training; again for more, which --midi draws from (default {FLUID_R3})",
    )  # fmt: skip
    bank.add_argument("--validation-soundfont", type=Path, default=TIM_GM)
    bank.add_argument("--count", type=int, default=150, help="files for training (default 150)")
    bank.add_argument("--validation-count", type=int, default=40, help="(default 40)")
    bank.add_argument("--seconds", type=float, default=20.0, help="of a file (default 20)")
    bank.add_argument("--seed", type=int, default=0)
    bank.add_argument(
        "--midi", type=Path, action="append", default=[], metavar="FOLDER",
        help="for training, render these MIDI files without their drums, too",
    )  # fmt: skip
    bank.add_argument(
        "--takes", type=int, default=1,
        help="renderings of each of them, the others with other programs (default 1)",
    )  # fmt: skip
    bank.add_argument(
        "--recordings", type=Path, action="append", default=[], metavar="FOLDER",
        help="for training, music without drums that is there as audio files",
    )  # fmt: skip
    bank.add_argument(
        "--solos", type=Path, action="append", default=[], metavar="FOLDER",
        help="for training, recordings of one voice or instrument, to be laid over the rest",
    )  # fmt: skip
    bank.add_argument(
        "--percussion", type=int, default=0, metavar="COUNT",
        help="for training, so many pieces of percussion that no kit has: tambourines, shakers ...",
    )  # fmt: skip
    bank.set_defaults(run=_bank)
    mean = commands.add_parser("average", help="the mean of the weights of several models")
    mean.add_argument("folder", type=Path)
    mean.add_argument("models", nargs="+", help="names or folders of models of one kind")
    mean.add_argument(
        "--shares", type=float, nargs="+", metavar="SHARE",
        help="of each model, in their order; divided by their sum (default: all alike)",
    )  # fmt: skip
    mean.set_defaults(run=_average)
    clips = commands.add_parser("fullmix-clips", help="mix drum clips with validation music")
    clips.add_argument("folder", type=Path)
    clips.add_argument("--clips", type=Path, required=True, help="folder of drum clips with stems")
    clips.add_argument(
        "--bank", type=Path, help="made by `accompaniment`; default: our own band only"
    )
    clips.add_argument("--each", type=int, default=2, help="uses of each clip (default 2)")
    clips.add_argument("--seed", type=int, default=0)
    clips.set_defaults(run=_fullmix_clips)
    return parser


def _kits(args: argparse.Namespace) -> None:
    result = make_free_kits(args.folder)
    log.info("%s: %d kits, %d hits", args.folder, len(result), sum(result.values()))


def _average(args: argparse.Namespace) -> None:
    from lars_plugin.training.networks.average import average  # torch takes its time to load

    log.info("model: %s", average(args.models, args.folder, args.shares))


def _bank(args: argparse.Namespace) -> None:
    fonts = args.soundfont or [FLUID_R3]
    config = BankConfig(
        fonts[0], args.validation_soundfont, args.count, args.validation_count,
        args.seconds, args.seed,
    )  # fmt: skip
    result = make_bank(args.folder, config)
    for number, songs in enumerate(args.midi):
        result += add_arrangements(
            args.folder, songs, fonts, takes=args.takes, seed=args.seed + number
        )
    for folder in args.recordings:
        result += add_recordings(args.folder, folder)
    for folder in args.solos:
        result += add_recordings(args.folder, folder, solo=True)
    if args.percussion:
        result += add_percussion(
            args.folder, fonts, args.percussion, seconds=args.seconds, seed=args.seed
        )
    log.info("%s: %d files written", args.folder, result)


def _fullmix_clips(args: argparse.Namespace) -> None:
    result = make_fullmix_clips(args.clips, args.folder, args.bank, args.seed, args.each)
    log.info("%s: %d clips", args.folder, result)


def main(words: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    args = _parser().parse_args(words)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        args.run(args)
    except LarsError as error:
        log.error("%s", error)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
