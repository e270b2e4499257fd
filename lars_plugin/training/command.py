# SPDX-License-Identifier: GPL-3.0-or-later
"""`lars train`: kits and grooves in, a model folder out."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lars_plugin.errors import InputError
from lars_plugin.networks.registry import ARCHITECTURES, trainable_names
from lars_plugin.options import add_device_option
from lars_plugin.training.transcription.command import (
    TRANSCRIBER,
    add_transcription_options,
    run_transcription,
)

if TYPE_CHECKING:
    from lars_plugin.training.networks.trainer import FitConfig

__all__ = ["add_train_parser", "run_train"]


# Weights of the loss terms. The gradients of an untrained network by our loss and by equation 1
# (of mixtures brought to RMS 1) have about equal norms. With both, ours leads.
_LOSSES: dict[str, dict[str, float]] = {
    "ours": {},
    "paper": {"abs_weight": 0.0, "log_weight": 0.0, "paper_weight": 1.0},
    "both": {"paper_weight": 0.3},
}


# What is not separated but trained all the same, in a way of its own.
_OTHER_TRAININGS = {TRANSCRIBER: run_transcription}


def add_train_parser(subparsers: Any) -> None:
    """Add the `train` command to the command line."""
    names = trainable_names()
    kinds = [
        f"{row.name}: {row.training.summary}"
        for row in ARCHITECTURES.values()
        if row.training is not None
    ]
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "train",
        help="train a model of your own",
        description="Train a six-stem model on mixtures rendered on the fly (seven stems with music"
        " around the drums). You may interrupt it at any time: the same command continues from"
        " the last checkpoint.",
    )
    parser.add_argument("out", type=Path, help="folder for the checkpoint, the logs and the model")
    parser.add_argument(
        "--kits", required=True, action="append", metavar="FOLDER",
        help="folder of one-shots with a manifest.csv; give it again for more",
    )  # fmt: skip
    parser.add_argument("--grooves", required=True, help="folder of MIDI performances")
    parser.add_argument(
        "--clips", help="folder of validation clips with stems; a transcriber needs none"
    )
    parser.add_argument("--minutes", type=float, default=60.0, help="training time (default 60)")
    parser.add_argument("--batch", type=int, default=8, help="excerpts per step (default 8)")
    parser.add_argument("--lr", type=float, default=2e-3, help="peak learning rate (default 0.002)")
    parser.add_argument(
        "--optimizer", choices=("adamw", "muon"), default="adamw",
        help="muon: orthogonal updates of convolutions and linear layers, AdamW for the rest"
        " (default adamw)",
    )  # fmt: skip
    parser.add_argument(
        "--cool", type=float, metavar="MINUTES",
        help="end the run: train these minutes more while the rate falls, and write the model;"
        " the run can go on later, without this option, as if it had not been cooled",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="of weights and rendering (default 0)")
    parser.add_argument("--threads", type=int, default=1, help="torch threads (default 1)")
    parser.add_argument("--workers", type=int, default=1, help="rendering processes (default 1)")
    parser.add_argument(
        "--render-engine", choices=("local", "ray"), default="local",
        help="ray: the workers are those of a Ray cluster, a CPU each; all nodes need the same"
        " folders (default local)",
    )  # fmt: skip
    parser.add_argument(
        "--address", default="auto", help="of the Ray cluster, as for lars batch (default auto)"
    )
    parser.add_argument(
        "--reuse", type=float, default=1.0,
        help="how often an excerpt is used before another is rendered; more saves time on a small"
        " machine (default 1)",
    )  # fmt: skip
    parser.add_argument(
        "--silent-db", type=float, default=-30.0,
        help="leakage into a silent stem is punished above this level against the mixture; raise it"
        " if the network learns only silence (default -30)",
    )  # fmt: skip
    parser.add_argument(
        "--impulses",
        metavar="FOLDER",
        help="impulse responses of real rooms, for half of the rooms",
    )
    parser.add_argument(
        "--patterns", metavar="FOLDER",
        help="General MIDI arrangements, whose drums a fifth of the excerpts play",
    )  # fmt: skip
    parser.add_argument(
        "--records", type=float, default=0.25, metavar="SHARE",
        help="share of the excerpts that are treated as records are: limited, clipped, on tape,"
        " resampled, encoded where PyAV is installed (default 0.25)",
    )  # fmt: skip
    parser.add_argument(
        "--without", default="", metavar="A,B",
        help="augmentations that are left out, to measure what they are worth: room, encoded,"
        " records for all that makes records ...",
    )  # fmt: skip
    add_device_option(parser, default="cpu")
    parser.add_argument(
        "--compile", action="store_true", help="torch.compile: faster steps, needs a C++ compiler"
    )
    parser.add_argument(
        "--synthetic-kits",
        type=int,
        default=32,
        help="synthetic kits beside the recorded ones (default 32)",
    )
    parser.add_argument(
        "--exclude-kits", default="", metavar="A,B", help="kits of --kits that are left out"
    )
    parser.add_argument(
        "--stemgmd", metavar="FOLDER", help="StemGMD with its info.csv as another source"
    )
    parser.add_argument(
        "--accompaniment",
        metavar="FOLDER",
        help="whole songs: a seventh stem, other, from this bank of music; synthetic: from our own"
        " band, without a bank",
    )
    parser.add_argument(
        "--loss",
        choices=tuple(_LOSSES),
        default="ours",
        help="ours, the paper's (equation 1), or both (steps take twice as long)",
    )
    parser.add_argument(
        "--level-weight", type=float, default=0.0,
        help="weight of the error of levels in bands, in units of 10 dB, for networks with masks"
        " (default 0)",
    )  # fmt: skip
    parser.add_argument(
        "--architecture",
        choices=(*names, *_OTHER_TRAININGS),
        default=names[0],
        help=f"{'; '.join(kinds)}; {TRANSCRIBER}: hears which drums are struck"
        f" (default {names[0]})",
    )
    parser.add_argument("--network", help="JSON object of network settings, instead of our own")
    parser.add_argument(
        "--init",
        metavar="MODEL",
        help="start from a model's weights, or from the average in a run's checkpoint.pt; stems"
        " that are missing there are added",
    )
    add_transcription_options(parser)


def _settings(args: argparse.Namespace) -> FitConfig:
    from lars_plugin.training.networks.trainer import FitConfig
    from lars_plugin.training.render.augmentations import check_augmentations

    names = {field.name for field in fields(FitConfig)}
    if args.clips is None:
        raise InputError("--clips FOLDER is missing: validation clips with stems")
    for path in args.kits:
        if not Path(path).is_dir():
            raise InputError(f"--kits {path}: no such folder")
    for folder in ("grooves", "clips", "stemgmd", "accompaniment", "impulses", "patterns"):
        path = getattr(args, folder)
        if path is None or (folder, path) == ("accompaniment", "synthetic"):
            continue
        if not Path(path).is_dir():
            raise InputError(f"--{folder} {path}: no such folder")
    if args.minutes <= 0 or args.batch < 1 or args.workers < 1 or args.threads < 1:
        raise InputError("--minutes, --batch, --workers and --threads must be positive")
    if args.cool is not None and args.cool <= 0:
        raise InputError("--cool must be positive")
    if not 0 <= args.records <= 1:
        raise InputError("--records must lie in 0 to 1")
    if args.level_weight < 0:
        raise InputError("--level-weight must not be negative")
    if args.reuse <= 0:
        raise InputError("--reuse must be positive")
    if args.synthetic_kits < 0:
        raise InputError("--synthetic-kits must not be negative")
    given = {**vars(args), **_LOSSES[args.loss]}
    given["kits"] = tuple(args.kits)
    # The bounded term alone would drive rare stems of a trained network back to silence.
    given["log_ramp"] = not args.init
    given["exclude_kits"] = tuple(filter(None, args.exclude_kits.split(",")))
    given["without"] = tuple(filter(None, args.without.split(",")))
    check_augmentations(given["without"])
    return FitConfig(**{key: value for key, value in given.items() if key in names})


def _network_settings(args: argparse.Namespace) -> dict[str, Any]:
    if not args.network:
        return {}
    try:
        return {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in json.loads(args.network).items()
        }
    except (json.JSONDecodeError, AttributeError) as error:
        raise InputError(f"--network must be a JSON object: {error}") from error


def run_train(args: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    if args.architecture in _OTHER_TRAININGS:
        return _OTHER_TRAININGS[args.architecture](args, _network_settings(args))
    config = _settings(args)
    import torch

    from lars_plugin.training.networks.curve import draw_curve
    from lars_plugin.training.networks.publish import publish
    from lars_plugin.training.networks.start import adopt, build, read_weights
    from lars_plugin.training.networks.trainer import Trainer

    settings = _network_settings(args)
    settings.setdefault("stems", 7 if config.accompaniment else 6)
    training = ARCHITECTURES[args.architecture].training
    settings = {**(training.settings if training is not None else {}), **settings}
    torch.manual_seed(config.seed)
    network = build(args.architecture, settings)
    if args.init:
        adopt(network, read_weights(args.init))
    parameters = sum(parameter.numel() for parameter in network.parameters())
    trainer = Trainer(network, config, args.out, lambda line: print(line, flush=True))
    if args.cool is not None:
        trainer.cool_for(args.cool)
    print(f"{parameters:,} parameters; {trainer.config.minutes:g} minutes on {config.device}")
    average = trainer.run()
    record = {
        "command": " ".join(["lars", *sys.argv[1:]]),
        "minutes": round(trainer.spent / 60, 1),
        "steps": trainer.step,
        "machine": f"{platform.machine()}, {platform.system()}, device {config.device}",
        "settings": asdict(trainer.config),
    }
    folder = publish(average, args.out / "model", record)
    print(f"curve: {draw_curve(args.out)}")
    print(f"model: {folder} (use it with --model {folder})")
    return 0
