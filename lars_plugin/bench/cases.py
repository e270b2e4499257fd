# SPDX-License-Identifier: GPL-3.0-or-later
"""What `lars bench` measures: networks of full size, and the settings they run with."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from lars_plugin.errors import InputError
from lars_plugin.model import Chunking, ModelConfig
from lars_plugin.zoo.registry import get_config

__all__ = [
    "CASES",
    "FIELD_CASES",
    "FULL_SIZE",
    "RANDOM",
    "Case",
    "cases_for",
    "network_config",
    "quick_cases",
]

# Networks that are measured with random weights.
RANDOM = ("small", "large", "bs-roformer", "ht-demucs", "lars-net", "tiny")

# Of these the zoo has configurations, and nobody has weights here: they are random, too.
FULL_SIZE = {"bs-roformer": "bs-roformer-music", "ht-demucs": "htdemucs", "lars-net": "larsnet"}

# LARS 2.0 ships both as TorchScript and runs them so: a batch of one, every second four times.
_PAPER = Chunking(130560, 4, "lars", 1)


@dataclass(frozen=True)
class Case:
    """One row.

    Attributes:
        model: ``small`` or ``large`` (the paper's two), ``bs-roformer``, ``ht-demucs``,
            ``lars-net``, or a model of the zoo; ``tiny`` for tests.
        backend: ``torch``, ``torchscript``, ``openvino``, or ``field``: the field's own code.
        precision: ``float32``, ``bfloat16`` or ``int8``.
        setting: ``paper`` (LARS 2.0's chunks), a preset, or ``live``.
        batch: chunks per run.
    """

    model: str
    backend: str
    precision: str
    setting: str
    batch: int = 1

    @property
    def name(self) -> str:
        """For tables."""
        return f"{self.model}, {self.backend} {self.precision}, {self.setting}"


# Small things first, then in the order of what must not be missing when time runs out.
CASES = (
    Case("lars-mini", "torch", "float32", "balanced"),
    Case("lars-mini", "torch", "bfloat16", "balanced"),
    Case("lars-mini", "openvino", "float32", "balanced"),
    Case("lars-mini", "openvino", "bfloat16", "balanced"),
    Case("lars-mini", "openvino", "int8", "balanced"),
    Case("lars-mini", "openvino", "float32", "fast"),
    Case("lars-mini", "openvino", "bfloat16", "fast"),
    Case("lars-mini", "openvino", "bfloat16", "best"),
    Case("lars-live", "torch", "float32", "live"),
    Case("lars-live", "openvino", "float32", "live"),
    Case("lars-live-low", "openvino", "float32", "live"),
    Case("small", "torchscript", "float32", "paper"),
    Case("small", "openvino", "bfloat16", "paper"),
    Case("small", "openvino", "bfloat16", "balanced"),
    Case("small", "openvino", "bfloat16", "fast"),
    Case("small", "openvino", "int8", "paper"),
    Case("small", "openvino", "int8", "balanced"),
    Case("small", "openvino", "int8", "fast"),
    Case("small", "openvino", "float32", "paper"),
    Case("small", "openvino", "float32", "balanced"),
    Case("large", "torchscript", "float32", "paper"),
    Case("large", "openvino", "bfloat16", "paper"),
    Case("large", "openvino", "bfloat16", "balanced"),
    Case("large", "openvino", "bfloat16", "fast"),
    Case("large", "openvino", "int8", "balanced"),
    Case("small", "torch", "float32", "paper"),
    Case("small", "torch", "bfloat16", "paper"),
)

# The field's large networks, a chunk of which takes many seconds: only where they are asked for.
FIELD_CASES = (
    Case("bs-roformer", "field", "float32", "balanced"),
    Case("bs-roformer", "torch", "float32", "balanced"),
    Case("bs-roformer", "openvino", "float32", "balanced"),
    Case("bs-roformer", "openvino", "bfloat16", "balanced"),
    Case("ht-demucs", "field", "float32", "balanced"),
    Case("ht-demucs", "torch", "float32", "balanced"),
    Case("ht-demucs", "openvino", "float32", "balanced"),
    Case("ht-demucs", "openvino", "bfloat16", "balanced"),
    Case("ht-demucs", "openvino", "int8", "balanced"),
    Case("lars-net", "torch", "float32", "balanced"),
    Case("lars-net", "openvino", "float32", "balanced"),
    Case("lars-net", "openvino", "bfloat16", "balanced"),
    Case("lars-net", "openvino", "int8", "balanced"),
)


def cases_for(isa: str, cases: Sequence[Case] = CASES) -> tuple[Case, ...]:
    """Those that an instruction set has arithmetic for: bfloat16 is the newest machines' alone."""
    return tuple(case for case in cases if isa == "native" or case.precision != "bfloat16")


def quick_cases() -> tuple[Case, ...]:
    """A network of a few thousand weights, for tests of the command itself."""
    return (
        Case("tiny", "torchscript", "float32", "paper"),
        Case("tiny", "torch", "float32", "balanced"),
        Case("tiny", "openvino", "bfloat16", "balanced"),
        Case("lars-live", "torch", "float32", "live"),
    )


def network_config(case: Case) -> ModelConfig:
    """The model of a case, cut as its setting says; no weights are needed for it.

    Raises:
        InputError: no such setting.
    """
    config = _config(case.model)
    if case.setting == "live":
        return config
    chunking = config.chunking
    if case.setting == "paper":
        chunking = dataclasses.replace(
            chunking, overlap=_PAPER.overlap, convention=_PAPER.convention
        )
    elif case.setting in config.presets:
        chunking = dataclasses.replace(chunking, overlap=config.presets[case.setting])
    else:
        raise InputError(f"{case.model} has no setting {case.setting!r}")
    return dataclasses.replace(
        config, chunking=dataclasses.replace(chunking, batch_size=case.batch)
    )


def _config(model: str) -> ModelConfig:
    if model not in RANDOM or model in FULL_SIZE:
        return get_config(FULL_SIZE.get(model, model))
    small = get_config("mdx23c-small")
    if model == "small":
        return small
    # The five-stem model has a window of twice the length; both see chunks of 2.96 s.
    if model == "large":
        large = get_config("mdx23c-large")
        network = {**small.network, "n_fft": 4096, "dim_f": 2048}
        return dataclasses.replace(large, architecture=small.architecture, network=network)
    network = {**small.network, "n_fft": 256, "hop_length": 64, "dim_f": 128, "num_scales": 2}
    network |= {"num_channels": 4, "growth": 4, "num_blocks_per_scale": 1}
    chunking = dataclasses.replace(small.chunking, chunk_size=64 * 511)
    return dataclasses.replace(small, network=network, chunking=chunking)
