# SPDX-License-Identifier: GPL-3.0-or-later
"""``lars models``: list, info, download, prepare, convert, export."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lars_plugin.composites.drum_sum import ONE_DRUM
from lars_plugin.errors import LarsError
from lars_plugin.model import ModelConfig
from lars_plugin.networks.transcriber.config import GROUPS
from lars_plugin.zoo.composite_specs import part_names
from lars_plugin.zoo.fetch import DownloadProgress, download
from lars_plugin.zoo.load import load_model, read_model_config
from lars_plugin.zoo.registry import (
    Published,
    list_models,
    missing_weights,
    model_folders,
    weights_here,
)
from lars_plugin.zoo.transcribers import (
    TranscriberCard,
    list_transcribers,
    published,
    read_transcriber,
    transcriber_folders,
)
from lars_plugin.zoo.yaml_configs import config_as_data

__all__ = ["add_models_parser", "describe", "is_here", "overview", "run_models"]

_EXPORT_SUFFIXES = {"torchscript": ".pt", "onnx": ".onnx"}


def add_models_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Add ``models`` and its commands to a parser's subparsers."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "models",
        help="list, download, convert and export models",
        description="List, download, convert and export models.",
    )
    commands = parser.add_subparsers(dest="models_command", required=True, metavar="COMMAND")

    listed = commands.add_parser("list", help="all models, and whether their weights are here")
    listed.add_argument("--json", action="store_true", help="machine-readable output")

    info = commands.add_parser("info", help="everything about a model")
    info.add_argument("model", help="a name from `lars models list`, a folder or a config file")
    info.add_argument("--json", action="store_true", help="machine-readable output")

    get = commands.add_parser("download", help="get the weights of published models")
    get.add_argument("models", nargs="+", metavar="NAME",
        help="from `lars models list`; a cascade means its parts")  # fmt: skip

    ahead = commands.add_parser(
        "prepare",
        help="convert models for OpenVINO ahead of their first run",
        description="Convert models for OpenVINO ahead of their first run, which then needs no"
        " PyTorch. The folder can be copied to other machines: as `prepared` in their cache folder"
        " (LARS_CACHE).",
    )
    ahead.add_argument("models", nargs="*", metavar="NAME",
        help="from `lars models list` (default: all whose weights are here)")  # fmt: skip
    ahead.add_argument("-o", "--output", type=Path, metavar="FOLDER",
        help="where to put them (default: where they are found, in the cache folder)")  # fmt: skip

    convert = commands.add_parser("convert", help="make a model folder from a checkpoint")
    _add_source(convert)
    convert.add_argument("-o", "--output", required=True, help="the folder to make")
    convert.add_argument("--name", help="of the new model (default: the folder's)")
    convert.add_argument("--dtype", choices=("float32", "float16"), default="float32")

    export = commands.add_parser("export", help="write a network for other programs")
    _add_source(export)
    export.add_argument("--format", choices=tuple(_EXPORT_SUFFIXES), default="torchscript")
    export.add_argument("-o", "--output", help="the file (default: named after the model, here)")
    return parser


def _add_source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", nargs="?", help="a name from `lars models list`, or a folder")
    parser.add_argument("--weights", help="a weights file to use instead of the model's")
    parser.add_argument("--config", help="its configuration: ours, or the field's YAML file")


def run_models(args: argparse.Namespace) -> int:
    """Run what :func:`add_models_parser` parsed.

    Returns:
        0.

    Raises:
        LarsError: what went wrong, in one line.
    """
    commands: dict[str, Callable[[argparse.Namespace], None]] = {
        "list": _list,
        "info": _info,
        "download": _download,
        "prepare": _prepare,
        "convert": _convert,
        "export": _export,
    }
    commands[args.models_command](args)
    return 0


def overview(configs: Sequence[ModelConfig], cards: Sequence[TranscriberCard] = ()) -> str:
    """A line per model: name, where its weights are, stems. In groups: for drum recordings, for
    whole songs, for transcription; those whose weights are here come first."""
    groups: dict[str, list[tuple[bool, str, str, str]]] = {
        "drums": [],
        "songs": [],
        "transcription": [],
    }
    for config in configs:
        here, stems = is_here(config), ", ".join(config.stems)
        group = groups["songs" if _is_for_songs(config) else "drums"]
        group.append((here, config.name, _here(here, _missing_bytes(config)), stems))
    for card in cards:
        here = weights_here(card, card.folder) is not None
        row = (here, card.name, _here(here, card.weights.size), ", ".join(GROUPS))
        groups["transcription"].append(row)
    names = max((len(row[1]) for rows in groups.values() for row in rows), default=0)
    tables = []
    for name, rows in groups.items():
        rows.sort(key=lambda row: not row[0])  # those that are here first, each in its order
        last = "hears" if name == "transcription" else "stems"
        if rows:
            head = (name.ljust(names), "weights here", last)
            tables.append(_table([head, *(row[1:] for row in rows)]))
    return "\n\n".join(tables)


def _is_for_songs(config: ModelConfig) -> bool:
    """Whether a model separates whole songs: its stems are not drums alone."""
    return not set(config.stems) <= {*ONE_DRUM}


def _here(here: bool, missing: int) -> str:
    return "yes" if here else f"no ({_size(missing)})" if missing else "no"


def _missing_bytes(config: ModelConfig) -> int:
    """What is to be downloaded, parts that are here left out; 0 where that is not known."""
    try:
        found = [read_model_config(part) for part in part_names(config)]
    except LarsError:  # a missing part
        return 0
    parts = [part for part, folder in found if weights_here(part, folder) is None] or [config]
    sizes = [part.weights.size if part.weights is not None else 0 for part in parts]
    return sum(sizes) if all(sizes) else 0


def _table(rows: Sequence[tuple[str, str, str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    return "\n".join(f"{a:{widths[0]}}  {b:{widths[1]}}  {c}" for a, b, c in rows)


def describe(config: ModelConfig, folder: Path | None = None) -> str:
    """Several lines about a model, for people."""
    chunking = config.chunking
    seconds = chunking.chunk_size / config.sample_rate
    presets = ", ".join(f"{name} {overlap:g}" for name, overlap in config.presets.items())
    refined = _refinement(config)
    lines = [
        f"{config.name}: {config.description}" if config.description else config.name,
        f"  stems        {', '.join(config.stems)}",
        f"  network      {config.architecture}",
        f"  audio        {config.sample_rate} Hz, {config.channels} channels",
        f"  chunks       {chunking.chunk_size} samples ({seconds:.2f} s), "
        f"overlap {chunking.overlap:g}, convention {chunking.convention}",
        *([f"  presets      {presets}"] if presets else []),
        *([f"  refinement   {refined}"] if refined else []),
        f"  licence      {config.license or 'not stated'}",
    ]
    for part in part_names(config):
        here = weights_here(*read_model_config(part))
        lines.append(f"  made of      {part}, weights here: {here if here is not None else 'no'}")
    return "\n".join(lines + _weights_lines(config, folder))


def _describe_transcriber(card: TranscriberCard) -> str:
    """Several lines about a transcriber, for people."""
    thresholds = ", ".join(f"{group} {value:g}" for group, value in card.thresholds.items())
    lines = [
        f"{card.name}: {card.description}" if card.description else card.name,
        "  does         transcription",
        f"  network      {card.architecture}",
        f"  thresholds   {thresholds}",
        f"  licence      {card.license or 'not stated'}",
    ]
    return "\n".join(lines + _weights_lines(card, card.folder))


def _weights_lines(config: Published, folder: Path | None) -> list[str]:
    weights = config.weights
    if weights is None:
        return []
    path = weights_here(config, folder)
    lines = [
        f"  weights      {weights.file}, {weights.format}",
        f"  size         {_size(weights.size) or 'not recorded'}",
        f"  SHA-256      {weights.sha256 or 'not published'}",
        f"  here         {path if path is not None else 'no'}",
    ]
    if path is None:
        lines.append(f"  {missing_weights(config, folder)}")
    return lines


def _refinement(config: ModelConfig) -> str:
    settings = config.refinement
    if settings is None:
        return ""
    counts = {"usually": settings.fits, **settings.presets}
    fits = ", ".join(f"{name} {count}" for name, count in counts.items())
    seconds = settings.window / config.sample_rate
    first = "templates in time, then " if settings.templates else ""
    return f"offline, {first}{settings.iterations} updates over {seconds:.0f} s; fits: {fits}"


def is_here(config: ModelConfig) -> bool:
    """Whether the weights of the model, or of all its parts, are on this machine."""
    try:
        parts = part_names(config)
        if parts:
            return all(weights_here(*read_model_config(part)) is not None for part in parts)
    except LarsError:  # a missing part
        return False
    return weights_here(config) is not None


def _size(size: int) -> str:
    return f"{size / 1e6:.0f} MB" if size >= 1e6 else f"{size} bytes" if size else ""


def _as_json(config: ModelConfig, folder: Path | None = None) -> dict[str, Any]:
    path = weights_here(config, folder)
    data = config_as_data(config)
    for key, unused in (("spatial", 0), ("refinement", None), ("weights", None)):
        data.setdefault(key, unused)
    return data | {"group": "separation", "path": str(path) if path is not None else None}


def _transcriber_as_json(card: TranscriberCard) -> dict[str, Any]:
    path = weights_here(card, card.folder)
    return {
        "name": card.name,
        "group": "transcription",
        "description": card.description,
        "license": card.license,
        "stems": [],  # it makes none; what reads the list need not know the groups
        "drums": list(GROUPS),
        "architecture": card.architecture,
        "network": dict(card.network),
        "thresholds": dict(card.thresholds),
        "weights": asdict(card.weights),
        "path": str(path) if path is not None else None,
    }


def _list(args: argparse.Namespace) -> None:
    configs, cards = list_models(), list_transcribers()
    if args.json:
        entries = [_as_json(config) for config in configs]
        print(json.dumps(entries + [_transcriber_as_json(card) for card in cards], indent=2))
        return
    print(overview(configs, cards))


def _info(args: argparse.Namespace) -> None:
    if args.model in transcriber_folders() and args.model not in model_folders():
        card = read_transcriber(transcriber_folders()[args.model])
        if args.json:
            print(json.dumps(_transcriber_as_json(card), indent=2))
        else:
            print(_describe_transcriber(card))
        return
    config, folder = read_model_config(args.model)
    if args.json:
        print(json.dumps(_as_json(config, folder), indent=2))
    else:
        print(describe(config, folder))


def _download(args: argparse.Namespace) -> None:
    names = [part for name in args.models for part in (part_names(name) or (name,))]
    for name in dict.fromkeys(names):
        config, _ = published(name)
        print(f"{name}: licence of the weights: {config.license or 'not stated'}", file=sys.stderr)
        with _bar(name) as progress:
            path = download(name, progress)
        print(path)


def _prepare(args: argparse.Namespace) -> None:
    from lars_plugin.zoo.prepare import preparable, prepare

    names = args.models or preparable()
    for number, name in enumerate(names, 1):
        print(f"converting {name} ({number} of {len(names)}) …", file=sys.stderr)
        folder = prepare(name, args.output)
    files = [path for path in folder.rglob("*") if path.is_file()]
    print(f"{sum(path.stat().st_size for path in files) / 1e6:.1f} MB in", file=sys.stderr)
    print(folder)


@contextmanager
def _bar(name: str) -> Iterator[DownloadProgress]:
    if not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(compact=True),
        console=Console(stderr=True),
        transient=True,
    ) as bars:
        task = bars.add_task(name, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total or None)


def _convert(args: argparse.Namespace) -> None:
    from lars_plugin.zoo.convert import convert

    folder = convert(
        args.model,
        args.output,
        weights=args.weights,
        config=args.config,
        name=args.name,
        dtype=args.dtype,
    )
    print(folder)


def _export(args: argparse.Namespace) -> None:
    from lars_plugin.zoo.export import export

    model = load_model(
        args.model, weights=args.weights, config=args.config, device="cpu", backend="torch"
    )
    output = args.output or model.config.name + _EXPORT_SUFFIXES[args.format]
    difference = export(model, output, args.format)
    print(f"agrees with the source to {difference:.1e} of the largest sample", file=sys.stderr)
    print(output)
