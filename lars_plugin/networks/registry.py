# SPDX-License-Identifier: GPL-3.0-or-later
"""Which architectures there are: a row each, and nothing else in the package names one.

A new architecture is a folder beside this file and a row in :data:`ARCHITECTURES`. Parts are named
("module:name") and imported when they are needed: neither a list of models nor a network that was
converted before must wait for PyTorch.

What depends on the shape of a network (which chunks it takes, what it is published with) is said by
its configuration, a :class:`~lars_plugin.networks.shared.shape.Shape`. TorchScript files, cascades
and ensembles have no row: the first hold a network of any kind, the others are made of models.
Transcribers separate nothing; their table is in :mod:`lars_plugin.zoo.transcribers`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from lars_plugin.errors import InputError

if TYPE_CHECKING:
    from torch import nn

    from lars_plugin.networks.shared.shape import Shape

__all__ = [
    "ARCHITECTURES",
    "Architecture",
    "Training",
    "compiled_names",
    "field_architecture",
    "find",
    "of_network",
    "trainable_names",
]

_HERE = "lars_plugin.networks."


def _nothing() -> Mapping[str, Any]:
    return MappingProxyType({})


@dataclass(frozen=True)
class Training:
    """How `lars train` treats networks of an architecture.

    Attributes:
        summary: what they are for, for the help text.
        loss: ``bands``: in the spectra that masks are applied to, for a ``BandNetwork``; ``wave``:
            of waves, for any network.
        trunk: the method that ``--compile`` compiles; empty for none.
        settings: what new ones get where ``--network`` says nothing.
    """

    summary: str
    loss: Literal["bands", "wave"] = "wave"
    trunk: str = ""
    settings: Mapping[str, Any] = field(default_factory=_nothing)


@dataclass(frozen=True)
class Architecture:
    """A row.

    Attributes:
        name: in a model's configuration.
        config: the :class:`~lars_plugin.networks.shared.shape.Shape` that configures it.
        network: the PyTorch module: made of a shape, ``(B, C, L)`` to ``(B, S, C, L)``.
        causal: whether networks go on hop by hop, with ``step``, ``initial_state`` and ``delay``.
        prepost: what compiled runtimes (OpenVINO) run around the core: a class made of a shape and
            a function that loads the network, a ``PrePost``, or a ``CausalPrePost``; see
            :mod:`lars_plugin.networks.shared.prepost`. Empty: only PyTorch runs it.
        precisions: those that such a runtime has, with their price: the SDR in dB that the worst
            stem of a trained model loses, by `lars bench --price precision`; None: not measured.
        automatic: the precision chosen where none is asked for, and the processor has arithmetic
            for it; it must cost less than 0.1 dB.
        on_device: a function of a network and a kind of device that returns the form in which
            PyTorch runs it fastest there; empty: as it is.
        stepper: what PyTorch steps single hops with on the processor; empty: the network.
        training: None for one that is not trained here.
        checkpoint_folder: whether weights may be a folder with a checkpoint for each stem.
        package: the class that a published package of such a network names; empty: there are none.
        field_keys: settings in the field's YAML files, under ``model``, that tell this
            architecture from the others. Its configuration reads them with ``from_field``.
        field_name: what ``model`` is in those files, where it is a name instead: settings lie
            under that name.
    """

    name: str
    config: str
    network: str
    causal: bool = False
    prepost: str = ""
    precisions: Mapping[str, float | None] = field(default_factory=_nothing)
    automatic: str = "float32"
    on_device: str = ""
    stepper: str = ""
    training: Training | None = None
    checkpoint_folder: bool = False
    package: str = ""
    field_keys: tuple[str, ...] = ()
    field_name: str = ""

    def shape_class(self) -> type[Shape]:
        """The class of its configurations; where it lies without PyTorch, that is not imported."""
        return _part(self.config)  # type: ignore[no-any-return]

    def build(self, shape: Shape) -> nn.Module:
        """A network with random weights; the settings of a shape can still be wrong here."""
        return _part(self.network)(shape)  # type: ignore[no-any-return]

    def build_prepost(self, shape: Shape, load: Callable[[], nn.Module]) -> Any:
        """What a compiled runtime runs around the core; ``prepost`` must name it.

        Args:
            shape: of the network.
            load: makes the network, in eval mode.
        """
        return _part(self.prepost)(shape, load)

    def fastest(self, network: nn.Module, device: str) -> Callable[..., Any]:
        """The form in which PyTorch runs a network on a kind of device: ``cpu``, ``cuda`` …"""
        form: Callable[..., Any] = network
        return _part(self.on_device)(network, device) if self.on_device else form

    def build_stepper(self, network: nn.Module) -> Any:
        """What steps single hops of a causal network on the processor."""
        return _part(self.stepper)(network) if self.stepper else network


def _part(name: str) -> Any:
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)


# Nobody has weights here to measure with. What int8 is for, convolutions, a RoFormer has none of.
_MASK_PRECISIONS: Mapping[str, float | None] = MappingProxyType({"float32": 0.0, "bfloat16": None})

# The first that can be trained is what `lars train` trains unless it is told otherwise.
_ROWS = (
    Architecture(
        "bandunet",
        config=_HERE + "bandunet.config:BandUNetConfig",
        network=_HERE + "bandunet.network:BandUNet",
        prepost=_HERE + "bandunet.prepost:BandPrePost",
        precisions={"float32": 0.0, "bfloat16": 0.009, "int8": 0.105},
        automatic="bfloat16",
        on_device=_HERE + "bandunet.device:on_device",
        training=Training("offline", "bands", "_trunk", {"levels": True}),
    ),
    Architecture(
        "livenet",
        config=_HERE + "livenet.config:LiveNetConfig",
        network=_HERE + "livenet.network:LiveNet",
        causal=True,
        prepost=_HERE + "livenet.prepost:LivePrePost",
        precisions={"float32": 0.0, "bfloat16": 0.001},
        stepper=_HERE + "livenet.step:LiveStepper",
        training=Training("causal, for live use", "bands", "_trunk", {"levels": True}),
    ),
    Architecture(
        "mdx23c",
        config=_HERE + "mdx23c.config:MDX23CConfig",
        network=_HERE + "mdx23c.network:MDX23C",
        prepost=_HERE + "mdx23c.prepost:MDX23CPrePost",
        # Nobody has weights here to measure with.
        precisions={"float32": 0.0, "bfloat16": None, "int8": None},
        training=Training("the published models'", trunk="_unet"),
        field_keys=("num_subbands", "num_scales", "bottleneck_factor"),
    ),
    Architecture(
        "bsroformer",
        config=_HERE + "roformer.config:BSRoFormerConfig",
        network=_HERE + "roformer.network:BSRoFormer",
        prepost=_HERE + "roformer.prepost:MaskPrePost",
        precisions=_MASK_PRECISIONS,
        field_keys=("freqs_per_bands",),
    ),
    Architecture(
        "melroformer",
        config=_HERE + "roformer.config:MelRoFormerConfig",
        network=_HERE + "roformer.network:MelRoFormer",
        prepost=_HERE + "roformer.prepost:MaskPrePost",
        precisions=_MASK_PRECISIONS,
        field_keys=("num_bands",),
    ),
    Architecture(
        "larsnet",
        config=_HERE + "larsnet.config:LarsNetConfig",
        network=_HERE + "larsnet.network:LarsNet",
        prepost=_HERE + "larsnet.prepost:MagnitudePrePost",
        # Nobody has weights here to measure with.
        precisions={"float32": 0.0, "bfloat16": None, "int8": None},
        checkpoint_folder=True,
    ),
    Architecture(
        "hdemucs",
        config=_HERE + "demucs.config:HDemucsConfig",
        network=_HERE + "demucs.network:HDemucs",
        package="demucs.hdemucs.HDemucs",
        field_name="hdemucs",
    ),
    Architecture(
        "htdemucs",
        config=_HERE + "demucs.config:HTDemucsConfig",
        network=_HERE + "demucs.network:HTDemucs",
        prepost=_HERE + "demucs.prepost:HybridPrePost",
        # Nobody has weights here to measure with.
        precisions={"float32": 0.0, "bfloat16": None, "int8": None},
        package="demucs.htdemucs.HTDemucs",
        field_name="htdemucs",
    ),
)

ARCHITECTURES: dict[str, Architecture] = {row.name: row for row in _ROWS}


def find(name: str) -> Architecture | None:
    """The architecture of that name, or None: TorchScript files, composites, unknown names."""
    return ARCHITECTURES.get(name)


def of_network(network: object) -> Architecture | None:
    """The architecture that a network is of, or None."""
    classes = [f"{one.__module__}:{one.__qualname__}" for one in type(network).__mro__]
    return next((row for row in ARCHITECTURES.values() if row.network in classes), None)


def trainable_names() -> tuple[str, ...]:
    """Architectures that `lars train` can train, its default first."""
    return tuple(row.name for row in ARCHITECTURES.values() if row.training is not None)


def compiled_names() -> tuple[str, ...]:
    """Architectures that compiled runtimes can run."""
    return tuple(row.name for row in ARCHITECTURES.values() if row.prepost)


def field_architecture(model: Mapping[str, Any] | str) -> Architecture:
    """The one that ``model`` in the field's YAML files is of: settings, or a name.

    Raises:
        InputError: none of ours.
    """
    if isinstance(model, str):
        for row in ARCHITECTURES.values():
            if row.field_name == model:
                return row
        known = ", ".join(row.field_name for row in _ROWS if row.field_name)
        raise InputError(f"model {model!r} is of no known architecture; known: {known}")
    for row in ARCHITECTURES.values():
        if any(key in model for key in row.field_keys):
            return row
    known = ", ".join(f"{row.name} ({row.field_keys[0]})" for row in _ROWS if row.field_keys)
    raise InputError(f"model has settings of no known architecture; known: {known}")
