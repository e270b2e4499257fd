# SPDX-License-Identifier: GPL-3.0-or-later
"""What speed costs: SDR against overlap and convention, and against backend and precision."""

from __future__ import annotations

import dataclasses
import hashlib
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lars_plugin.backends.openvino.runtime import has_bfloat16, has_openvino
from lars_plugin.bench.cases import RANDOM, Case, network_config
from lars_plugin.bench.random_weights import random_backend
from lars_plugin.errors import InputError
from lars_plugin.evaluation.clips import Clip, load_clip
from lars_plugin.evaluation.metrics import SILENCE_DB
from lars_plugin.evaluation.scoring import score
from lars_plugin.evaluation.tables import Table
from lars_plugin.model import Backend, Convention, Model
from lars_plugin.networks.registry import find
from lars_plugin.separation.separator import Separator
from lars_plugin.zoo import load_model

__all__ = ["OVERLAPS", "price_of_overlap", "price_of_precision", "price_tables"]

Wave = NDArray[np.float32]

OVERLAPS = (1.1, 1.25, 1.5, 2.0, 3.0, 4.0, 8.0)
_WINDOWS: Mapping[Convention, str] = {"lars": "rectangular", "msst": "linear fade", "hann": "Hann"}
# What the preset `balanced` may lose.
_NOTHING_HEARD = 0.1
# What everything is compared with, as LARS 2.0 and the field run their models.
_USUAL = 4.0

OnProgress = Callable[[str], None]


class _Memo:
    """A backend that remembers: conventions cut the same chunks and add them up differently."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._known: dict[bytes, Wave] = {}

    @property
    def name(self) -> str:
        return self._backend.name

    def forget(self) -> None:
        self._known.clear()

    def __call__(self, batch: Wave) -> Wave:
        result = []
        for chunk in batch:
            key = hashlib.sha256(chunk.tobytes()).digest()
            if key not in self._known:
                self._known[key] = self._backend(chunk[None])[0]
            result.append(self._known[key])
        return np.stack(result)


def price_of_overlap(
    name: str,
    clips: Sequence[Clip],
    *,
    overlaps: Sequence[float] = OVERLAPS,
    on_progress: OnProgress = lambda _line: None,
) -> dict[str, Any]:
    """Mean SDR of a model for each convention and overlap, nothing fitted to the recording.

    Args:
        name: of the model, whose chunks must not be causal.
        clips: with stems.
        overlaps: chunks that cover a sample.
        on_progress: called with a line for each clip.

    Raises:
        InputError: a causal model.
    """
    # In float32, by whatever computes it fastest here.
    model = load_model(name, device="cpu", backend="auto", precision="float32")
    if model.config.chunking.convention not in _WINDOWS:
        raise InputError(f"{name} is not cut into overlapping chunks: nothing to measure")
    memo = _Memo(model.backend)
    scores: dict[tuple[str, float], list[dict[str, float]]] = {}
    for index, clip in enumerate(clips):
        on_progress(f"clip {index + 1} of {len(clips)}: {clip.name}")
        recording = load_clip(clip)
        for overlap in overlaps:
            memo.forget()
            for convention in _WINDOWS:
                chunking = dataclasses.replace(
                    model.config.chunking, overlap=overlap, convention=convention
                )
                # The network's own price: a fit to the recording behind it would blur it.
                config = dataclasses.replace(model.config, chunking=chunking, refinement=None)
                stems = Separator(Model(config, memo)).separate(
                    recording.mixture, recording.sample_rate
                )
                found = _scores(clip, recording.mixture, recording.references, stems)
                scores.setdefault((convention, overlap), []).append(found)
    usual = (model.config.chunking.convention, _USUAL)
    reference = _mean(scores.get(usual, next(iter(scores.values()))))
    rows = [
        {
            "convention": convention,
            "overlap": overlap,
            "sdr_db": _mean(found),
            "lost_db": reference - _mean(found),
            "stems": _by_stem(found),
        }
        for (convention, overlap), found in scores.items()
    ]
    return {
        "price": "overlap",
        "model": name,
        "backend": memo.name,
        "clips": len(clips),
        "against": usual,
        "rows": rows,
        "presets": _presets([row for row in rows if row["convention"] == usual[0]]),
    }


def _presets(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """What a model's presets would be by the rows of its own convention."""
    cheap = [row["overlap"] for row in rows if row["lost_db"] <= _NOTHING_HEARD]
    best = max(rows, key=lambda row: row["sdr_db"])["overlap"]
    # Where even the least overlap costs nothing, fast and balanced are the same.
    return {
        "fast": min(row["overlap"] for row in rows),
        "balanced": min(cheap, default=best),
        "best": best,
    }


def price_of_precision(
    name: str,
    clips: Sequence[Clip],
    *,
    preset: str | None = None,
    on_progress: OnProgress = lambda _line: None,
) -> dict[str, Any]:
    """SDR lost against float32, and the SNR of the stems, for each backend and precision.

    Args:
        name: of the model; ``small`` or ``large``: the paper's networks with random weights, of
            which the SNR alone says something.
        clips: with stems.
        preset: of the model.
        on_progress: called with a line before something takes seconds.
    """
    separators: dict[tuple[str, str], Separator] = {}
    for way in _ways():
        first = next(iter(separators.values()), None)
        row = find(first.model.config.architecture) if first is not None else None
        if row is not None and way[0] == "openvino" and way[1] not in row.precisions:
            continue  # it has none of these networks
        if name in RANDOM and way[1] == "float16":
            continue  # a processor takes minutes for a chunk of them
        on_progress(f"loading {way[0]} {way[1]}")
        separator = separators[way] = Separator(_loaded(name, *way), preset=preset)
        # Converts and compiles, which is not what is compared.
        config = separator.model.config
        something = np.random.default_rng(0).standard_normal(
            (config.channels, config.chunking.chunk_size), np.float32
        )
        separator.separate(0.1 * something, config.sample_rate)
    ways = list(separators)
    scores: dict[tuple[str, str], list[dict[str, float]]] = {way: [] for way in ways}
    noise: dict[tuple[str, str], list[float]] = {way: [] for way in ways}
    work = dict.fromkeys(ways, 0.0)
    for index, clip in enumerate(clips):
        on_progress(f"clip {index + 1} of {len(clips)}: {clip.name}")
        recording = load_clip(clip)
        exact: Mapping[str, Wave] | None = None
        for way, separator in separators.items():
            started = time.perf_counter()
            stems = separator.separate(recording.mixture, recording.sample_rate)
            work[way] += time.perf_counter() - started
            exact = stems if exact is None else exact
            scores[way].append(_scores(clip, recording.mixture, recording.references, stems))
            noise[way].append(_snr(exact, stems))
    reference = _mean(scores[ways[0]])
    exact_stems = _by_stem(scores[ways[0]])
    rows = []
    for way in ways:
        stems_db = _by_stem(scores[way])
        rows.append(
            {
                "backend": way[0],
                "precision": way[1],
                "sdr_db": _mean(scores[way]),
                "lost_db": reference - _mean(scores[way]),
                "lost_db_worst_stem": max(exact_stems[s] - stems_db[s] for s in stems_db),
                "snr_db": None if way == ways[0] else statistics.median(noise[way]),
                "snr_db_worst_clip": None if way == ways[0] else min(noise[way]),
                "work_s": work[way],
                "stems": stems_db,
            }
        )
    return {"price": "precision", "model": name, "clips": len(clips), "rows": rows}


def _loaded(name: str, backend: str, precision: str) -> Model:
    if name not in RANDOM:
        return load_model(name, device="cpu", backend=backend, precision=precision)
    case = Case(name, backend, precision, "balanced")
    config = network_config(case)
    return Model(config, random_backend(case, config))


def _ways() -> Iterator[tuple[str, str]]:
    """Backends and precisions there are here, float32 in PyTorch first."""
    yield from (("torch", "float32"), ("torch", "bfloat16"), ("torch", "float16"))
    if has_openvino():
        import importlib.util

        yield ("openvino", "float32")
        if has_bfloat16():
            yield ("openvino", "bfloat16")
        if importlib.util.find_spec("nncf") is not None:
            yield ("openvino", "int8")


def _scores(
    clip: Clip, mixture: Wave, references: Mapping[str, Wave], stems: Mapping[str, Wave]
) -> dict[str, float]:
    """SDR of the stems that sound."""
    rows = score(
        clip.name, clip.kit, "", "", mixture, references, dict(stems), seconds=1.0, work=0.0
    )
    return {
        row.stem: row.sdr_db
        for row in rows
        if row.sdr_db is not None and row.reference_db > SILENCE_DB
    }


def _by_stem(found: Sequence[Mapping[str, float]]) -> dict[str, float]:
    names = dict.fromkeys(name for one in found for name in one)
    return {name: statistics.fmean(one[name] for one in found if name in one) for name in names}


def _mean(found: Sequence[Mapping[str, float]]) -> float:
    """Over the stems' means, cymbals left out where ride and crash are there."""
    stems = _by_stem(found)
    if {"ride", "crash"} & stems.keys():
        stems.pop("cymbals", None)
    if not stems:
        raise InputError("no stem sounds in any of the clips: nothing to score")
    return statistics.fmean(stems.values())


def _snr(exact: Mapping[str, Wave], result: Mapping[str, Wave]) -> float:
    """Energy of all stems against that of their differences, in dB, at most 200."""
    signal = sum(float(np.square(wave, dtype=np.float64).sum()) for wave in exact.values())
    noise = sum(
        float(np.square(result[name] - wave, dtype=np.float64).sum())
        for name, wave in exact.items()
    )
    if signal == 0:
        return 200.0
    return float(10 * np.log10(signal / max(noise, 1e-20 * signal)))


def price_tables(found: Mapping[str, Any]) -> list[Table]:
    """As tables."""
    rows, head = found["rows"], f"{found['model']}, mean over stems and {found['clips']} clips"
    if found["price"] == "precision":
        lines = []
        for row in rows:
            snr = [row["snr_db"], row["snr_db_worst_clip"]]
            lines.append(
                (
                    f"{row['backend']} {row['precision']}",
                    f"{row['sdr_db']:.3f}",
                    f"{row['lost_db']:+.3f}",
                    f"{row['lost_db_worst_stem']:+.3f}",
                    *("-" if value is None else f"{value:.1f}" for value in snr),
                    f"{row['work_s'] / rows[0]['work_s']:.2f}",
                )
            )
        header = ("", "SDR", "lost", "worst stem", "SNR", "worst clip", "time")
        return [Table(f"Price of precision in dB: {head}", header, tuple(lines))]
    overlaps = list(dict.fromkeys(row["overlap"] for row in rows))
    cells = {(row["convention"], row["overlap"]): row for row in rows}
    conventions = list(dict.fromkeys(row["convention"] for row in rows))
    names = ("overlap", *(f"{overlap:g}" for overlap in overlaps))
    body = []
    for convention in conventions:
        these = [cells[convention, overlap] for overlap in overlaps]
        window = _WINDOWS[convention]
        body.append((f"{window} ({convention}), SDR", *(f"{row['sdr_db']:.3f}" for row in these)))
        body.append((f"{window}, lost", *(f"{row['lost_db']:+.3f}" for row in these)))
    against = f"{_WINDOWS[found['against'][0]]} at {found['against'][1]:g}"
    presets = ", ".join(f"{name} {overlap:g}" for name, overlap in found["presets"].items())
    title = f"Price of overlap in dB, lost against {against}: {head}; presets by it: {presets}"
    return [Table(title, names, tuple(body))]
