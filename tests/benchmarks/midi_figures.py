# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables and the picture of docs/midi.md.

    python tests/benchmarks/midi_figures.py --kits ../shared/drumkits --grooves ../shared/grooves \\
        --songs ../shared/real_songs --variants --document docs/midi.md \\
        --picture docs/images/midi.png

Renders 40 clips of the validation kits and grooves (`lars midi --render`), transcribes them
(`lars evaluate --midi`), and puts the tables between the two marks of that document. With --songs a
folder of songs with ``onsets.csv`` makes a table between two other marks, and --variants one of the
clips as records have them, heard by transcribers alone. ADTOF is scored, too, if its weights are on
this machine (`lars models download adtof`). Without --document the tables are only printed. The
picture shows one of the clips.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from lars_plugin import Separator, read_audio, transcribe
from lars_plugin.errors import ModelNotFoundError
from lars_plugin.evaluation.clips import Clip
from lars_plugin.evaluation.datasets import find_clips
from lars_plugin.evaluation.midi import (
    MidiScores,
    evaluate_midi,
    midi_tables,
    midi_variant_tables,
)
from lars_plugin.evaluation.systems import make_systems
from lars_plugin.evaluation.tables import Table
from lars_plugin.evaluation.variants import VARIANTS, spread_over_variants
from lars_plugin.midi.plot import draw_hits, save_plot
from lars_plugin.midi.transcriber import DEFAULT, load_transcriber
from lars_plugin.training.data.excerpts import plain_config, render_excerpts, write_clips
from lars_plugin.training.data.grooves import load_grooves
from lars_plugin.training.data.kits import load_kits
from lars_plugin.zoo.transcribers import LIVE

MARKS = ("<!-- midi figures: by tests/benchmarks/midi_figures.py -->", "<!-- end of figures -->")
SONG_MARKS = (
    "<!-- song figures: by tests/benchmarks/midi_figures.py -->",
    "<!-- end of song figures -->",
)
VARIANT_MARKS = (
    "<!-- variant figures: by tests/benchmarks/midi_figures.py -->",
    "<!-- end of variant figures -->",
)
MODELS = ("lars-mini", "lars-live")
SONG_MODELS = ("lars-mini", "lars-live", "lars-fullmix")


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--kits", type=Path, required=True)
    arguments.add_argument("--grooves", type=Path, required=True)
    arguments.add_argument("--clips", type=Path, help="keep the clips here, or take them from here")
    arguments.add_argument("--excerpts", type=int, default=40)
    arguments.add_argument("--preset", default="balanced")
    arguments.add_argument("--songs", type=Path, help="songs with onsets.csv")
    arguments.add_argument("--variants", action="store_true")
    arguments.add_argument("--document", type=Path)
    arguments.add_argument("--picture", type=Path)
    arguments.add_argument("--picture-clip", type=int, default=3)
    arguments.add_argument("--picture-seconds", type=float, default=6.0)
    args = arguments.parse_args()
    if args.songs:
        text = song_table(args.songs, args.preset)
        print(text)
        if args.document:
            put(args.document, text, SONG_MARKS)
    with tempfile.TemporaryDirectory() as spare:
        folder = args.clips or Path(spare)
        if not any(folder.glob("*/notes.csv")):
            excerpts = render_excerpts(
                load_kits(args.kits, "validation"),
                load_grooves(args.grooves, "validation"),
                count=args.excerpts,
                seconds=12.0,
                seed=0,
                config=plain_config(),
            )
            write_clips(excerpts, folder)
        text = tables(folder, args.preset)
        print(text)
        if args.document:
            put(args.document, text, MARKS)
        if args.variants:
            text = variant_table(folder)
            print(text)
            if args.document:
                put(args.document, text, VARIANT_MARKS)
        if args.picture:
            clip = folder / f"{args.picture_clip:03d}" / "mix.flac"
            stems = Separator(MODELS[0], preset=args.preset).separate(*read_audio(clip))
            hits = transcribe(stems, model=MODELS[0])
            save_plot(draw_hits(stems, hits, seconds=args.picture_seconds), args.picture)
            print(f"{args.picture}: picture")


def transcribers() -> list[str]:
    """Those with weights on this machine."""
    try:
        load_transcriber("adtof")
    except ModelNotFoundError as error:
        print(f"without ADTOF: {error}", file=sys.stderr)
        return [DEFAULT, LIVE]
    return [DEFAULT, LIVE, "adtof"]


def scored(
    folder: Path, clips: Sequence[Clip], models: Sequence[str], preset: str
) -> list[MidiScores]:
    """Models and transcribers on clips of a folder."""

    def progress(done: int, total: int, name: str) -> None:
        print(f"\r{done} of {total} clips, now {name}", end="", file=sys.stderr, flush=True)

    systems = make_systems(models, preset=preset)
    scores = evaluate_midi(clips, folder, systems, transcribers=transcribers(), progress=progress)
    print(file=sys.stderr)
    # The live transcriber is shown alone, as it is used.
    return [score for score in scores if not score.name.endswith(f", {LIVE}")]


def variant_table(folder: Path) -> str:
    """Markdown: the mean over the classes, and all strokes alike, by variant."""
    scores = {
        variant: scored(folder, spread_over_variants(find_clips(folder)[1], [variant]), (), "")
        for variant in VARIANTS
    }
    tables = midi_variant_tables(scores)[:2]
    return "\n".join(table.markdown() for table in tables)


def song_table(folder: Path, preset: str) -> str:
    """Markdown: F-measures at 50 ms."""
    f_measures = midi_tables(scored(folder, find_clips(folder)[1], SONG_MODELS, preset))[0]
    rows = tuple(
        (label.removesuffix(", 50 ms"), *cells)
        for label, *cells in f_measures.rows
        if label.endswith(", 50 ms")
    )
    title = f_measures.title.replace("F-measure", "F-measure within 50 ms").replace(
        "clips", "songs"
    )
    return Table(title, ("heard by", *f_measures.header[1:]), rows).markdown()


def tables(folder: Path, preset: str) -> str:
    """Markdown: F-measures, details of the first model, articulations."""
    scores = scored(folder, find_clips(folder)[1], MODELS, preset)
    result = {table.title: table for table in midi_tables(scores)}
    f_measures, named, *_ = result.values()
    return "\n".join(table.markdown() for table in (f_measures, result[MODELS[0]], named))


def put(document: Path, text: str, marks: tuple[str, str]) -> None:
    """Replace the text between the marks."""
    before, _, rest = document.read_text(encoding="utf-8").partition(marks[0])
    _, end, after = rest.partition(marks[1])
    if not end:
        raise SystemExit(f"{document} lacks the marks {' and '.join(marks)}")
    document.write_text(f"{before}{marks[0]}\n\n{text}\n{end}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
