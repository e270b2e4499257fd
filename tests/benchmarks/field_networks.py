# SPDX-License-Identifier: GPL-3.0-or-later
"""Our networks against the field's own code: the largest absolute differences.

    python tests/benchmarks/field_networks.py --packages FIELD --msst MSST [--full]

What FIELD and MSST are: ``tests/golden/README.md``. For each golden case the field's network gets
the stored weights and input; "stored" is how far its output is from the stored one, "ours" how far
ours is from it. ``--full`` adds networks of the published sizes with random weights (their own
initial ones after ``torch.manual_seed(0)``) on a second of noise: about a minute of a core, and
3 GB of memory.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[2]))

from lars_plugin.networks.demucs.config import HDemucsConfig, HTDemucsConfig
from lars_plugin.networks.registry import ARCHITECTURES, field_architecture
from lars_plugin.networks.roformer.config import BSRoFormerConfig, MelRoFormerConfig
from lars_plugin.zoo.checkpoints import load_state
from tests.field_files import GOLDEN, golden, state_of

# Architecture, and the module and class of the field.
CLASSES = {
    "htdemucs": ("demucs.htdemucs", "HTDemucs"),
    "hdemucs": ("demucs.hdemucs", "HDemucs"),
    "bsroformer": ("models.bs_roformer.bs_roformer", "BSRoformer"),
    "melroformer": ("models.bs_roformer.mel_band_roformer", "MelBandRoformer"),
}
SONG = ["drums", "bass", "other", "vocals"]
SECONDS = 1


def field_class(architecture: str) -> Callable[..., nn.Module]:
    module, name = CLASSES[architecture]
    found: Callable[..., nn.Module] = getattr(importlib.import_module(module), name)
    return found


def known(make: Callable[..., nn.Module], said: dict[str, Any]) -> dict[str, Any]:
    """The arguments that a class of the field takes; lists as tuples, as its YAML files have."""
    names = inspect.signature(make).parameters
    said = {**said, "match_input_audio_length": True}  # else some leave out the last samples
    return {
        key: tuple(one) if isinstance(one, list) and key != "sources" else one
        for key, one in said.items()
        if key in names
    }


def both(case: str) -> tuple[nn.Module, nn.Module, dict[str, Tensor]]:
    """The field's network and ours with the weights of a golden case, and its tensors."""
    architecture = case.partition("_")[0]
    said, tensors = golden(case)
    make = field_class(architecture)
    row = ARCHITECTURES[architecture]
    shape_class: Any = row.shape_class()
    if "model" in said:
        assert row is field_architecture(said["model"])
        theirs = make(**known(make, said["model"]))
        ours = row.build(shape_class.from_field(said))
    else:
        theirs = make(**known(make, said))
        ours = row.build(shape_class(len(said["sources"]), **shape_class.from_package(said)))
    state = {key: tensor.float() for key, tensor in state_of(tensors).items()}
    missing, unexpected = theirs.load_state_dict(state, strict=False)
    # Rotary frequencies are constants, which only some versions of the field store.
    assert not unexpected
    assert all("rotary_embed" in key for key in missing), missing
    load_state(ours, state, case)
    return theirs.eval(), ours.eval(), tensors


def full() -> Iterator[tuple[str, nn.Module, Any]]:
    """Networks of the published sizes: architecture, the field's network, the shape of ours."""

    def roformer(name: str, shape: Any, **more: Any) -> nn.Module:
        fields = {key: one for key, one in vars(shape).items() if key not in ("stems",)}
        theirs = {"n_fft": "stft_n_fft", "hop_length": "stft_hop_length"}
        said = {theirs.get(key, key): one for key, one in fields.items()}
        said |= {"stereo": True, "num_stems": shape.stems, "stft_win_length": shape.n_fft, **more}
        said |= {"flash_attn": True}
        make = field_class(name)
        return make(**known(make, said))

    def demucs(name: str, **said: Any) -> nn.Module:
        return field_class(name)(SONG, **said)

    large: dict[str, Any] = {"bottom_channels": 512, "dconv_mode": 3}
    bands, mel = BSRoFormerConfig(), MelRoFormerConfig(stems=1)
    long = SECONDS * 44100
    torch.manual_seed(0)
    # One by one: each has some hundred megabytes.
    yield (
        "htdemucs",
        demucs("htdemucs", segment=SECONDS, **large),
        HTDemucsConfig(segment_length=long, **large),
    )
    yield "hdemucs", demucs("hdemucs"), HDemucsConfig()
    yield "bsroformer", roformer("bsroformer", bands), bands
    yield "melroformer", roformer("melroformer", mel), mel


def difference(one: Tensor, other: Tensor) -> str:
    return f"{float((one - other).abs().max()):.1e}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--packages", type=Path, required=True)
    parser.add_argument("--msst", type=Path, required=True)
    parser.add_argument("--full", action="store_true")
    args = parser.parse_args()
    sys.path[1:1] = [str(args.msst), str(args.packages)]
    print(f"{'network':24} {'stored':>8} {'ours':>8}  largest sample")
    cases = sorted(path.stem for path in GOLDEN.glob("*.json"))
    with torch.inference_mode():
        for case in (one for one in cases if one.partition("_")[0] in CLASSES):
            theirs, ours, tensors = both(case)
            wave, stored = tensors["forward.input"], tensors["forward.output"]
            wanted = theirs(wave).reshape(stored.shape)
            figures = (difference(stored, wanted), difference(ours(wave), wanted))
            print(f"{case:24} {figures[0]:>8} {figures[1]:>8}  {float(stored.abs().max()):.2f}")
        for name, theirs, shape in full() if args.full else ():
            network = ARCHITECTURES[name].build(shape).eval()
            state = theirs.state_dict()
            kept = network.state_dict().keys()
            load_state(network, {key: state[key] for key in kept}, name)
            generator = torch.Generator().manual_seed(1)
            wave = 0.1 * torch.randn(1, 2, SECONDS * 44100, generator=generator)
            found = network(wave)
            wanted = theirs.eval()(wave).reshape(found.shape)
            size = sum(one.numel() for one in network.parameters())
            label = f"{name}, {size / 1e6:.0f} M"
            largest = float(wanted.abs().max())
            print(f"{label:24} {'':8} {difference(found, wanted):>8}  {largest:.2f}", flush=True)


if __name__ == "__main__":
    main()
