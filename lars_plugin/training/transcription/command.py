# SPDX-License-Identifier: GPL-3.0-or-later
"""``lars train OUT --architecture transcriber``: kits and grooves in, a transcriber out."""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lars_plugin.errors import InputError
from lars_plugin.networks.transcriber.config import TranscriberConfig

if TYPE_CHECKING:
    from lars_plugin.networks.transcriber.network import Transcriber as Network
    from lars_plugin.training.transcription.publish import Decisions
    from lars_plugin.training.transcription.shards import Bytes

__all__ = ["TRANSCRIBER", "add_transcription_options", "run_transcription"]

TRANSCRIBER = "transcriber"

# Options of other trainings, by their default values.
_UNUSED = {
    "clips": None, "stemgmd": None, "loss": "ours", "device": "cpu",
    "compile": False, "workers": 1, "reuse": 1.0, "silent_db": -30.0, "synthetic_kits": 32,
    "optimizer": "adamw", "cool": None, "level_weight": 0.0, "impulses": None, "patterns": None,
    "records": 0.25, "without": "", "render_engine": "local", "address": "auto",
}  # fmt: skip

_SECONDS = 5.0  # of an excerpt in training
_VALIDATION_HOURS = 0.3


def add_transcription_options(parser: argparse.ArgumentParser) -> None:
    """The options that only a transcriber has."""
    group = parser.add_argument_group("for --architecture transcriber")
    group.add_argument(
        "--hours", type=float, default=4.0,
        help="drums rendered before the training, kept in OUT/shards (default %(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--music-hours", type=float, default=2.0,
        help="music from --accompaniment, likewise (default %(default)s)",
    )  # fmt: skip


def run_transcription(args: argparse.Namespace, settings: dict[str, Any]) -> int:
    """Render what is missing, train, choose thresholds, publish; returns the exit code."""
    music = [args.accompaniment] if args.accompaniment not in (None, "synthetic") else []
    for folder in (*args.kits, args.grooves, *music):
        if not Path(folder).is_dir():
            raise InputError(f"{folder}: no such folder")
    unused = [option for option, value in _UNUSED.items() if getattr(args, option) != value]
    if unused:
        names = ", ".join(f"--{option.replace('_', '-')}" for option in unused)
        raise InputError(f"a transcriber is trained without {names}; leave it out")
    if not (args.minutes > 0 and args.batch >= 1 and args.hours > 0 and args.music_hours > 0):
        raise InputError("--minutes, --batch, --hours and --music-hours must be positive")
    try:
        config = TranscriberConfig(**settings)
    except TypeError as error:
        raise InputError(f"--network: {error}") from error
    import torch

    from lars_plugin.networks.transcriber.network import Transcriber as Network
    from lars_plugin.training.transcription.fit import FitSettings, fit
    from lars_plugin.training.transcription.publish import publish_transcriber
    from lars_plugin.training.transcription.remix import Remixer
    from lars_plugin.training.transcription.shards import read_shards

    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    network = Network(config)
    if args.init:
        _adopt(network, args.init)
    _render(args)
    performances, music = read_shards(args.out / "shards")
    parameters = sum(parameter.numel() for parameter in network.parameters())
    _tell(f"{parameters:,} parameters; {len(performances)} performances, {len(music)} pieces")
    remixer = Remixer(
        performances,
        music,
        frames=round(_SECONDS * 100),
        level_bands=config.level_bands,
        seed=args.seed + round(time.time()),  # another sequence after each resumption
        running=config.causal,
    )
    fitted = fit(
        network,
        remixer,
        FitSettings(args.minutes, args.batch, args.lr),
        args.out / "checkpoint.pt",
        _tell,
    )
    network.load_state_dict(fitted.average)
    chosen, scores = _validate(network.eval(), args.out / "validation", music, args.seed)
    record = {
        "command": " ".join(["lars", *sys.argv[1:]]),
        "steps": fitted.steps,
        "minutes": round(fitted.minutes, 1),
        "batch": f"{args.batch} excerpts of {_SECONDS:g} s",
        "hours heard": round(fitted.steps * args.batch * _SECONDS / 3600, 1),
        "learning rate": args.lr,
        "performances": len(performances),
        "pieces of music": len(music),
        "validation F at 50 ms": scores,
        "machine": f"{platform.machine()}, {platform.system()}",
    }
    folder = args.out / "model"
    publish_transcriber(folder, config, fitted.average, chosen, record)
    print(json.dumps(scores))
    print(f"transcriber: {folder} (use it with --transcriber {folder})")
    return 0


def _adopt(network: Network, source: str) -> None:
    """Start from the weights of another transcriber, as far as the shapes are the same: a causal
    network hears with the convolutions of one that is not."""
    from lars_plugin.zoo.checkpoints import read_state
    from lars_plugin.zoo.registry import find_weights
    from lars_plugin.zoo.transcribers import ARCHITECTURES, find_transcriber

    card = find_transcriber(source)
    if card.architecture != next(iter(ARCHITECTURES)):
        raise InputError(f"--init: {source} is of another architecture; name one of our own")
    own = network.state_dict()
    state = read_state(find_weights(card, card.folder), card.weights.format)
    same = {
        key: value for key, value in state.items() if key in own and own[key].shape == value.shape
    }
    own.update(same)
    network.load_state_dict(own)
    _tell(f"{len(same)} of {len(own)} tensors from {source}")


def _tell(line: str) -> None:
    print(line, flush=True)


def _render(args: argparse.Namespace) -> None:
    from lars_plugin.training.data.examples import claim_folder
    from lars_plugin.training.data.grooves import load_grooves
    from lars_plugin.training.data.kits import load_kits
    from lars_plugin.training.music.accompaniment import Accompaniment
    from lars_plugin.training.transcription.shards import render_music, render_performances

    excluded = tuple(filter(None, args.exclude_kits.split(",")))
    what = [*sorted(args.kits), args.grooves, args.accompaniment or "-", args.exclude_kits]
    for name, split, hours in (
        ("shards", "train", args.hours),
        ("validation", "validation", _VALIDATION_HOURS),
    ):
        claim_folder(args.out / name, "\n".join([*what, str(args.seed), ""]))
        render_performances(
            args.out / name,
            load_kits(args.kits, split, exclude=excluded),
            load_grooves(args.grooves, split),
            hours=hours,
            seed=args.seed,
            tell=_tell,
        )
    if args.accompaniment:
        bank = None if args.accompaniment == "synthetic" else Path(args.accompaniment)
        render_music(
            args.out / "shards",
            lambda seed: Accompaniment(bank, seed, "train").draw,
            hours=args.music_hours,
            seed=args.seed,
            tell=_tell,
        )


def _validate(
    network: Network, folder: Path, music: Sequence[Bytes], seed: int
) -> tuple[Decisions, dict[str, float]]:
    """Thresholds and biases, and F by group with them, on performances of validation kits and
    grooves."""
    from lars_plugin.midi.transcriber import LarsTranscriber
    from lars_plugin.training.transcription.publish import Decisions
    from lars_plugin.training.transcription.shards import read_shards
    from lars_plugin.training.transcription.thresholds import (
        choose_biases,
        choose_thresholds,
        excerpts,
        scores,
    )

    performances, _ = read_shards(folder)
    transcriber = LarsTranscriber.of_network(network, {})
    pairs = list(excerpts(performances, music, network.config, seed))
    heard = [transcriber.hear_levels(levels) for levels, _ in pairs]
    truths = [truth for _, truth in pairs]
    thresholds = choose_thresholds(heard, truths)
    biases = choose_biases(heard, truths, thresholds)
    return Decisions(thresholds, biases), scores(heard, truths, thresholds)
