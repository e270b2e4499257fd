# SPDX-License-Identifier: GPL-3.0-or-later
"""``lars demo``: a drum performance made on the spot, separated, measured and drawn."""

from __future__ import annotations

import argparse
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lars_plugin.cli.separate import add_model_options, make_separator

if TYPE_CHECKING:
    from lars_plugin.separation.files import FileResult
    from lars_plugin.separation.separator import Separator
    from lars_plugin.stems import Stems

__all__ = ["add_demo_parser", "run_demo"]


def add_demo_parser(subparsers: Any) -> None:
    """Add the command to the main parser."""
    parser = subparsers.add_parser(
        "demo",
        help="separate a drum performance made on the spot",
        description="Make twelve seconds of drums by synthesis, separate them, and print the"
        " signal-to-distortion ratio of each stem against the drum as it was made. The mixture,"
        " the stems, the references and a picture of them are written to a folder, whose files"
        " of an earlier demo are replaced.",
        allow_abbrev=False,
    )
    parser.add_argument("-o", "--out", type=Path, default=Path("lars-demo"), metavar="DIR",
        help="default: %(default)s")  # fmt: skip
    parser.add_argument("--seed", type=int, default=7, help="another kit (default: %(default)s)")
    add_model_options(parser)
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress bar")


def run_demo(args: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    from lars_plugin.audio import printable, read_audio, write_audio
    from lars_plugin.demo import draw_stems, perform
    from lars_plugin.evaluation.metrics import sdr
    from lars_plugin.stems import Stems

    separator = make_separator(args)
    references = perform(args.seed)
    rate = int(references.sample_rate)
    mixture = args.out / "mix.wav"
    write_audio(mixture, references.sum(), rate)
    for name, wave in references.items():
        write_audio(args.out / "reference" / f"{name}.wav", wave, rate)
    result = _separate(separator, mixture, args)

    estimates = Stems({name: read_audio(path)[0] for name, path in result.outputs.items()}, rate)
    truth = _named_like(references, estimates)
    notes = {name: f"{sdr(truth[name], estimates[name]):.1f} dB" for name in truth}
    print(
        f"{result.seconds:.1f} s of drums separated by {separator.model.config.name}"
        f" in {result.elapsed:.1f} s; signal-to-distortion ratio per stem:"
    )
    for name in estimates:
        print(f"  {name:<8} {notes.get(name, 'no reference'):>9}")
    picture = args.out / "stems.png"
    draw_stems(picture, references.sum(), estimates, notes)
    print(f"folder:  {printable(args.out.resolve())}")
    print(f"picture: {printable(picture.resolve())}")
    return 0


def _separate(separator: Separator, mixture: Path, args: argparse.Namespace) -> FileResult:
    from lars_plugin.cli.display import Display
    from lars_plugin.cli.jobs import run_all
    from lars_plugin.separation.files import separate_file

    results: list[FileResult] = []
    with Display(1, shown=not args.quiet) as display:

        def work(path: Path, stop: threading.Event) -> FileResult:
            with display.file(path) as step:

                def progress(done: int, total: int) -> bool:
                    step(done, total)
                    return not stop.is_set()

                return separate_file(
                    separator,
                    path,
                    lambda stem: args.out / "stems" / f"{stem}.wav",
                    progress=progress,
                )

        run_all(work, [mixture], 1, lambda _, result: results.append(result))
    return results[0]


def _named_like(references: Stems, estimates: Stems) -> dict[str, Any]:
    """The references that the model's stems are to be held against."""
    truth: dict[str, Any] = {name: references[name] for name in estimates if name in references}
    if "cymbals" in estimates:
        truth["cymbals"] = references["ride"] + references["crash"]
        if "hihat" not in estimates:
            truth["cymbals"] = truth["cymbals"] + references["hihat"]
    return truth
