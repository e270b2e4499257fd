# SPDX-License-Identifier: GPL-3.0-or-later
"""The cards of our own weights keep the policy of models/README.md."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import yaml

MODELS = Path(__file__).parents[2] / "models"
KITS = {
    "freepats_synth": "FreePats",
    "gogodze2": "Karoryfer",
    "salamander": "Alexander Holm",
    "osdk": "Real Music Media",
    "megareaper": "MegaReaper",
}
OURS = sorted(path.parent.name for path in MODELS.glob("*/weights.safetensors"))


def test_the_policy_knows_every_kit_with_its_author() -> None:
    policy = (MODELS / "README.md").read_text(encoding="utf-8")
    for kit, author in KITS.items():
        assert f"`{kit}`" in policy
        assert author in policy


def test_we_ship_at_least_one_model() -> None:
    assert "lars-mini" in OURS


@pytest.mark.parametrize("name", OURS)
def test_a_card_lists_the_training_data_and_its_licences(name: str) -> None:
    card = (MODELS / name / "README.md").read_text(encoding="utf-8")
    for words in ("Training data", "Licence of the weights", "lars train", "Groove MIDI Dataset"):
        assert words in card, f"{name}: the card lacks {words!r}"
    listed = card[card.index("Training data") :]
    for kit, author in KITS.items():
        # Used or expressly left out, but never omitted.
        assert author in listed or f"`{kit}`" in listed, f"{name}: the card is silent on {kit}"


@pytest.mark.parametrize("name", OURS)
def test_the_weights_are_those_the_card_speaks_of(name: str) -> None:
    (described,) = (*(MODELS / name).glob("config.yaml"), *(MODELS / name).glob("transcriber.yaml"))
    config = yaml.safe_load(described.read_text(encoding="utf-8"))
    data = (MODELS / name / "weights.safetensors").read_bytes()
    assert hashlib.sha256(data).hexdigest() == config["weights"]["sha256"]
