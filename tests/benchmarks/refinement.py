# SPDX-License-Identifier: GPL-3.0-or-later
"""The gain of the refinement and its dependence on settings: the figures of lars-mini's card.

    python tests/benchmarks/refinement.py --clips ../shared/validation_clips

Mean SDR in dB per stem over the clips, "mean of 5" with ride and crash as one. Mono: mixtures and
stems are the means of their channels.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lars_plugin.evaluation.metrics import sdr
from lars_plugin.model import Model
from lars_plugin.separation.separator import Separator
from lars_plugin.training.networks.trainer import load_clips
from lars_plugin.training.render.renderer import STEMS
from lars_plugin.zoo.load import load_model

Wave = NDArray[np.float32]


def scores(model: Model, clips: list[Wave], overlap: float, changes: dict[str, Any]) -> list[float]:
    """SDR of kick, snare, toms, hi-hat and cymbals, means over the clips."""
    assert model.config.refinement is not None
    fit = dataclasses.replace(model.config.refinement, **changes)
    config = dataclasses.replace(model.config, refinement=fit)
    separator = Separator(Model(config, model.backend), overlap=overlap)
    found = []
    for stems in clips:
        result = separator.separate(stems.sum(0), 44100)
        names = list(STEMS)
        pairs = [(stems[names.index(name)], result[name]) for name in names[:4]]
        pairs.append((stems[4] + stems[5], result["ride"] + result["crash"]))
        found.append([sdr(truth, guess) for truth, guess in pairs])
    return [float(value) for value in np.mean(found, axis=0)]


def main() -> None:
    """Print the table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--clips", type=Path, required=True)
    arguments.add_argument("--model", default="lars-mini")
    arguments.add_argument("--only", default="", help="rows whose names begin so")
    args = arguments.parse_args()
    model = load_model(args.model, device="cpu", backend="auto", precision="auto")
    clips = [stems for _, stems in load_clips(args.clips)]
    mono = [np.repeat(stems.mean(axis=1, keepdims=True), 2, axis=1) for stems in clips]
    rows: list[tuple[str, list[Wave], float, dict[str, Any]]] = [
        ("no refinement", clips, 1.1, {"fits": 0}),
        *((f"seed {seed}", clips, 1.1, {"seed": seed}) for seed in range(4)),
        *((f"seed {seed}, overlap 2", clips, 2, {"seed": seed}) for seed in range(4)),
        # Clips of ten seconds: windows of 3, 3 and 4 s, as the last one takes the rest.
        ("windows of 3 s", clips, 1.1, {"window": 132300}),
        *((f"{n} updates", clips, 1.1, {"iterations": n}) for n in (10, 40)),
        ("mean of three", clips, 1.1, {"fits": 3}),
        ("no trust in the network", clips, 1.1, {"trust": {}}),
        ("mono, no refinement", mono, 1.1, {"fits": 0}),
        ("mono, trust as elsewhere", mono, 1.1, {"mono_trust": {}}),
        *((f"mono, seed {seed}", mono, 1.1, {"seed": seed}) for seed in range(2)),
    ]
    print("| | kick | snare | toms | hihat | cymbals | mean of 5 |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for name, some, overlap, changes in rows:
        if not name.startswith(args.only):
            continue
        found = scores(model, some, overlap, changes)
        cells = " | ".join(f"{value:.1f}" for value in [*found, float(np.mean(found))])
        print(f"| {name} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
