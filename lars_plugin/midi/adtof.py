# SPDX-License-Identifier: GPL-3.0-or-later
"""ADTOF, a published transcriber, as one of ours.

M. Zehren, M. Alunno, P. Bientinesi, "High-quality and reproducible automatic drum transcription
from crowdsourced data" (Signals 4, 2023): one network, five classes, trained on 359 hours of music.
What it does not say is made up as follows:

- It has no articulations: a snare is struck in the centre, a tom is the middle one, a hi-hat is
  closed.
- It has one class for all cymbals. They are called crash; with stems of a ride and a crash, the
  louder one at the hit gets it.
- It has no velocities: they come from the level of the stem, or of the mixture without stems.

Peaks are picked as published, see :func:`~lars_plugin.midi.picking.standing_out`, and its times are
those of its frames, 10 ms apart; stems refine them.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lars_plugin.forks import settle_torch
from lars_plugin.midi.hits import DEFAULT_ARTICULATION
from lars_plugin.midi.log_spectrum import log_spectrum
from lars_plugin.midi.picking import standing_out
from lars_plugin.midi.transcriber import Activations, Transcriber, pieces
from lars_plugin.model import WeightsFile
from lars_plugin.networks.adtof.network import CONTEXT, Adtof
from lars_plugin.networks.transcriber.config import GROUPS, STROKES
from lars_plugin.zoo.checkpoints import load_state, read_state
from lars_plugin.zoo.integrity import check_file
from lars_plugin.zoo.registry import find_weights
from lars_plugin.zoo.transcribers import TranscriberCard

__all__ = ["AdtofTranscriber", "load_adtof"]

# Frames for the convolutions at once, which need most of the memory.
_PIECE = 2000

Floats = NDArray[np.float32]

# Where each of its classes, which are our groups in our order, is among our strokes.
_PLACES = [
    STROKES.index((stem, DEFAULT_ARTICULATION[stem]))
    for stem in ("crash" if group == "cymbals" else group for group in GROUPS)
]


class AdtofTranscriber(Transcriber):
    """See the module.

    Args:
        network: in evaluation mode.
        thresholds: by group: how far a chance must stand out, in (0, 1).
        name: for messages.
    """

    def __init__(
        self, network: Adtof, thresholds: Mapping[str, float], name: str = "adtof"
    ) -> None:
        super().__init__(thresholds, name)
        self.network = network

    def hear_wave(self, wave: Floats) -> Activations:
        groups = self.chances(log_spectrum(wave))
        strokes = np.zeros((len(groups), len(STROKES)), np.float32)
        strokes[:, _PLACES] = groups
        return Activations(strokes, groups, pick=standing_out, one_cymbal=True)

    def chances(self, levels: Floats) -> Floats:
        """Chances ``(frames, 5)`` for levels ``(frames, bands)`` of
        :func:`~lars_plugin.midi.log_spectrum.log_spectrum`."""
        import torch

        settle_torch()
        if not len(levels):
            return np.zeros((0, len(GROUPS)), np.float32)
        features = torch.empty(1, len(levels), self.network.width)
        with torch.inference_mode():
            for heard, inside in pieces(len(levels), _PIECE, CONTEXT):
                part = self.network.listen(torch.from_numpy(levels[heard])[None])
                features[:, heard][:, inside] = part[:, inside]
            # Its memory is longer than ten seconds: pieces of it would give other chances.
            return np.asarray(self.network.decide(features)[0].numpy(), np.float32)


def load_adtof(card: TranscriberCard, backend: str) -> AdtofTranscriber:  # noqa: ARG001
    """Load it; the file is read as tensors only.

    Args:
        card: see there.
        backend: makes no difference: it runs on PyTorch.

    Raises:
        ModelNotFoundError: its weights are not on this machine; the message says how to get them.
        ModelIntegrityError: its weights are not the published ones.
        ModelFormatError: they are broken, or those of another network.
    """
    path = find_weights(card, card.folder)
    check_file(path, card.weights)
    return AdtofTranscriber(_load(path, card.weights), card.thresholds, card.name)


@functools.lru_cache(maxsize=2)
def _load(path: Path, weights: WeightsFile) -> Adtof:
    network = Adtof()
    load_state(network, read_state(path, weights.format), str(path))
    return network.eval()
