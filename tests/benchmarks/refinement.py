# SPDX-License-Identifier: GPL-3.0-or-later
"""The gain of the refinement and its dependence on settings: the figures of lars-mini's card.

    python tests/benchmarks/refinement.py --clips ../shared/validation_clips

Mean SDR in dB per stem over the clips, "mean of 5" with ride and crash as one. "mono", "room" and
"lp10" are the variants of ``lars evaluate --variants``. The last column is processor time against
the length of the clips, network and all; pin the command to one core for a figure to compare.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lars_plugin.evaluation.clips import Recording
from lars_plugin.evaluation.metrics import sdr
from lars_plugin.evaluation.variants import make_variant
from lars_plugin.model import AnyModel, Model
from lars_plugin.separation.separator import Separator
from lars_plugin.training.networks.scores import load_clips
from lars_plugin.training.render.renderer import STEMS
from lars_plugin.zoo.load import load_model

Wave = NDArray[np.float32]


def scores(
    model: AnyModel, clips: list[Wave], overlap: float, changes: dict[str, Any]
) -> tuple[list[float], float]:
    """SDR of kick, snare, toms, hi-hat and cymbals, means over the clips, and the time it took."""
    assert model.config.refinement is not None
    fit = dataclasses.replace(model.config.refinement, **changes)
    config = dataclasses.replace(model.config, refinement=fit)
    separator = Separator(Model(config, model.backend), overlap=overlap)
    found, taken, seconds = [], 0.0, 0.0
    for stems in clips:
        begin = time.process_time()
        result = separator.separate(stems.sum(0), 44100)
        taken += time.process_time() - begin
        seconds += stems.shape[2] / 44100
        names = list(STEMS)
        pairs = [(stems[names.index(name)], result[name]) for name in names[:4]]
        pairs.append((stems[4] + stems[5], result["ride"] + result["crash"]))
        found.append([sdr(truth, guess) for truth, guess in pairs])
    return [float(value) for value in np.mean(found, axis=0)], taken / seconds


def variant_of(name: str, stems: Wave, variant: str) -> Wave:
    """Stems of a variant of a clip, ``(stems, 2, samples)``."""
    parts = dict(zip(STEMS, stems, strict=True))
    made = make_variant(Recording(stems.sum(0), parts, 44100), variant, name)
    return np.stack([made.references[stem] for stem in STEMS])


def main() -> None:
    """Print the table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--clips", type=Path, required=True)
    arguments.add_argument("--model", default="lars-mini")
    arguments.add_argument("--only", default="", help="rows whose names begin so")
    args = arguments.parse_args()
    model = load_model(args.model, device="cpu", backend="auto", precision="auto")
    named = load_clips(args.clips)
    heard = {
        variant: [variant_of(name, stems, variant) for name, stems in named]
        for variant in ("plain", "mono", "room", "lp10")
    }
    plain: dict[str, Any] = {"templates": {}}
    before = {**plain, "unstruck": {}, "iterations": 20}
    rows: list[tuple[str, str, float, dict[str, Any]]] = []
    for variant in heard:
        rows += [
            (f"{variant}: no refinement", variant, 1.1, {"fits": 0}),
            (f"{variant}: no templates, 20 updates", variant, 1.1, before),
            (f"{variant}: as shipped", variant, 1.1, {}),
            (f"{variant}: drums that are not struck as they come", variant, 1.1, {"unstruck": {}}),
            (f"{variant}: no templates, mean of three", variant, 1.1, {**before, "fits": 3}),
            (f"{variant}: three, and templates again", variant, 1.1, {"fits": 3}),
            (f"{variant}: the same, not struck as they come", variant, 1.1,
             {"fits": 3, "unstruck": {}}),
        ]  # fmt: skip
    rows += [
        *((f"seed {seed}", "plain", 1.1, {"seed": seed}) for seed in range(1, 4)),
        *((f"seed {seed}, overlap 2", "plain", 2, {"seed": seed}) for seed in range(4)),
        # Clips of ten seconds: windows of 3, 3 and 4 s, as the last one takes the rest.
        ("windows of 3 s", "plain", 1.1, {"window": 132300}),
        *((f"{n} updates", "plain", 1.1, {"iterations": n}) for n in (8, 20, 40)),
        ("no trust in the network", "plain", 1.1, {"trust": {}}),
        ("lp10, stems as loud as they come", "lp10", 1.1, {"louder": {}}),
        ("mono, trust as elsewhere", "mono", 1.1, {"mono_trust": {}}),
        ("lp10, trust as in mono", "lp10", 1.1, {"trust": {"kick": 0.4, "hihat": 0.4}}),
    ]
    print("| | kick | snare | toms | hihat | cymbals | mean of 5 | time |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for name, variant, overlap, changes in rows:
        if not name.startswith(args.only):
            continue
        found, share = scores(model, heard[variant], overlap, changes)
        cells = " | ".join(f"{value:.1f}" for value in found)
        print(f"| {name} | {cells} | {np.mean(found):.2f} | {share:.3f} |", flush=True)


if __name__ == "__main__":
    main()
