# SPDX-License-Identifier: GPL-3.0-or-later
"""The nouns: models as frozen data, and the backends that run their networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, Protocol, SupportsIndex, get_args, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from lars_plugin.errors import InputError
from lars_plugin.pickling import Picklable, made_again, recipe_of

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "SAMPLE_RATE",
    "STEM_NAMES",
    "AnyModel",
    "Backend",
    "CausalBackend",
    "Chunking",
    "Convention",
    "Model",
    "ModelConfig",
    "Refinement",
    "Wave",
    "WeightsFile",
    "canonical_stem",
]

Wave = NDArray[np.float32]

# Hz, of models that say nothing else.
SAMPLE_RATE = 44100

Convention = Literal["msst", "lars", "hann", "demucs", "demucs-short", "live", "causal"]

# The names that users see, independent of the names in checkpoints.
STEM_NAMES = (
    "kick", "snare", "toms", "hihat", "ride", "crash", "cymbals",
    "vocals", "bass", "drums", "guitar", "piano", "other",
)  # fmt: skip

_ALIASES = {
    "hh": "hihat",
    "hi-hat": "hihat",
    "hi_hat": "hihat",
    "hi hat": "hihat",
    "hat": "hihat",
    "hats": "hihat",
    "hihats": "hihat",
    "tom": "toms",
    "cymbal": "cymbals",
    "bd": "kick",
    "bass drum": "kick",
    "kick drum": "kick",
    "sd": "snare",
    "snare drum": "snare",
    "rides": "ride",
    "crashes": "crash",
    "vocal": "vocals",
}


def canonical_stem(name: str) -> str:
    """The canonical name of a stem, from a checkpoint's or user's name ("hh" to "hihat").

    Raises:
        InputError: the name is unknown.
    """
    lowered = name.strip().lower()
    known = _ALIASES.get(lowered, lowered)
    if known not in STEM_NAMES:
        raise InputError(f"unknown stem {name!r}; known stems: {', '.join(STEM_NAMES)}")
    return known


@dataclass(frozen=True)
class Chunking:
    """How long audio is split into chunks and put together again.

    Attributes:
        chunk_size: samples the network sees at once.
        overlap: how many chunks cover a sample, 1 or more; ``step = chunk_size // overlap``.
            Fractions are allowed: 1.25 recomputes a quarter.
        convention: weights and padding. ``msst``: linear fades of ``chunk_size // 10`` at both
            ends; ``lars``: all samples have equal weight; ``hann``: a Hann window over the whole
            chunk; all three reflect-pad inputs longer than twice the border
            ``chunk_size - step``. ``demucs``: a triangle, no padding; a last chunk that is too
            short is seen in the middle of a whole one, behind what comes before it and in front
            of silence. ``demucs-short``: the same, but a last chunk is as short as it is, for
            networks that take any length. ``live``: silence before the start, needs no future
            beyond ``lookahead``. ``causal``: for networks with a state; chunks are hops, each
            seen once, and ``lookahead`` is the network's delay.
        batch_size: chunks given to the network together. It never changes the weights; results
            of different batch sizes agree to float rounding.
        lookahead: only ``live``: samples at the end of a chunk that are context, not output.
            ``causal``: samples by which the network's output trails its input.
        fade: only ``live``: samples over which successive chunks are cross-faded.
        shifts: how often a recording is separated, each time with the chunks elsewhere; the mean
            counts. Their places are spread over half a second. Not for ``live`` and ``causal``.
    """

    chunk_size: int
    overlap: float = 4.0
    convention: Convention = "msst"
    batch_size: int = 1
    lookahead: int = 0
    fade: int = 0
    shifts: int = 1

    def __post_init__(self) -> None:
        if self.chunk_size < 1:
            raise InputError(f"chunk_size must be positive, got {self.chunk_size}")
        if not 1 <= self.overlap <= self.chunk_size:
            raise InputError(f"overlap must be between 1 and chunk_size, got {self.overlap}")
        if self.batch_size < 1:
            raise InputError(f"batch_size must be positive, got {self.batch_size}")
        if self.convention not in get_args(Convention):
            known = ", ".join(get_args(Convention))
            raise InputError(f"unknown convention {self.convention!r}: use one of {known}")
        if self.shifts < 1:
            raise InputError(f"shifts must be positive, got {self.shifts}")
        if self.shifts > 1 and self.convention in ("live", "causal"):
            raise InputError(f"{self.convention} chunks have no shifts, got {self.shifts}")
        if min(self.lookahead, self.fade) < 0:
            raise InputError("lookahead and fade must not be negative")
        if self.convention == "live":
            if self.step + self.lookahead + self.fade > self.chunk_size:
                raise InputError("step + lookahead + fade must fit into chunk_size")
            if self.fade > self.step:
                raise InputError("fade must not be longer than the step")
        elif self.convention == "causal":
            if self.overlap != 1 or self.fade:
                raise InputError("causal hops must not overlap or fade")
        elif self.lookahead or self.fade:
            raise InputError("lookahead and fade belong to the live convention")

    @property
    def step(self) -> int:
        """Samples from one chunk's start to the next one's."""
        return int(self.chunk_size // self.overlap)

    @property
    def border(self) -> int:
        """Samples two neighbouring chunks share: ``chunk_size - step``."""
        return self.chunk_size - self.step


@dataclass(frozen=True)
class Refinement(Picklable):
    """Settings of the offline refinement of stems; see :mod:`lars_plugin.refine.refiner`.

    Attributes:
        window: samples that are refined together.
        n_fft: window of its spectrograms in samples, a multiple of 6.
        components: spectra per place.
        places: number of places, for stems that have more than one.
        trust: the network's share in the final power of a stem, 0 to 1, as an exponent; 0 for
            stems that are not named.
        mono_trust: the same for mono recordings, which have no directions. Stems that are not
            named keep their ``trust``.
        iterations: updates of a refinement.
        seed: of the initial random numbers.
        fits: number of refinements, each with its own random numbers; their stems are averaged.
            0 for none. With templates and more than one, templates are fitted to the mean once
            more, and the mean of both is returned.
        templates: seconds of the template in time of each stem that is struck, fitted before the
            others (:mod:`lars_plugin.refine.nmfd`); none for no such fit.
        unstruck: decibels by which the power of a stem with a template falls, 30 dB a second, where
            it was not struck for twice as long; 0 for stems that are not named.
        louder: decibels by which a stem's power over the window may exceed that of the network's
            estimate at most; no limit for stems that are not named.
        template_fft: window of its spectrograms in samples, a multiple of 6.
        template_updates: updates of that fit.
        presets: ``fits`` for presets that differ.
    """

    window: int = 529200
    n_fft: int = 3840
    components: int = 8
    iterations: int = 20
    seed: int = 0
    fits: int = 1
    places: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    trust: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    mono_trust: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    templates: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    unstruck: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    louder: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    template_fft: int = 9216
    template_updates: int = 7
    presets: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        for name in ("n_fft", "template_fft"):
            size = getattr(self, name)
            if size < 6 or size % 6:
                raise InputError(f"refinement.{name} must be a multiple of 6, got {size}")
        if self.window < 2 * self.n_fft:
            raise InputError(f"refinement.window must be twice n_fft or more, got {self.window}")
        if self.components < 1:
            raise InputError(f"refinement.components must be positive, got {self.components}")
        if any(count < 1 for count in self.places.values()):
            raise InputError("refinement.places must be positive")
        for shares in (self.trust, self.mono_trust):
            if not all(0 <= share <= 1 for share in shares.values()):
                raise InputError("refinement.trust and mono_trust must lie between 0 and 1")
        if not all(0.02 <= seconds <= 10 for seconds in self.templates.values()):
            raise InputError("refinement.templates must lie between 0.02 and 10 seconds")
        for name, most in (("unstruck", 60), ("louder", 100)):
            if not all(0 <= decibels <= most for decibels in getattr(self, name).values()):
                raise InputError(f"refinement.{name} must lie between 0 and {most} dB")
        if bare := sorted(set(self.unstruck) - set(self.templates)):
            raise InputError(f"refinement.unstruck: {', '.join(bare)} has no template")
        if min(self.iterations, self.template_updates) < 1:
            raise InputError("refinement.iterations and template_updates must be positive")
        if self.fits < 0:
            raise InputError("refinement.fits must not be negative")
        if any(count < 0 for count in self.presets.values()):
            raise InputError("refinement.presets must not be negative")

    def of_preset(self, preset: str | None) -> Refinement:
        """The same with ``fits`` of a preset."""
        fits = self.fits if preset is None else self.presets.get(preset, self.fits)
        return replace(self, fits=fits)


@dataclass(frozen=True)
class WeightsFile:
    """A file of weights and its addresses.

    Attributes:
        file: its name, relative to the model's folder or the cache folder.
        format: ``safetensors`` (ours), or published: ``checkpoint`` (``.ckpt``, ``.th``),
            ``checkpoints`` (a folder of them, named by stem), ``torchscript`` (``.pt``).
        sha256: of the whole file, lower-case hexadecimal; empty if it was never published.
        size: bytes, or 0 if unknown.
        urls: download addresses, tried in order.
        of: the model whose weights these are, and in whose folders they lie; empty for its own.
    """

    file: str
    format: Literal["safetensors", "checkpoint", "checkpoints", "torchscript"]
    sha256: str = ""
    size: int = 0
    urls: tuple[str, ...] = ()
    of: str = ""


def _no_entries() -> Mapping[str, Any]:
    return MappingProxyType({})


@dataclass(frozen=True)
class ModelConfig(Picklable):
    """Everything about a model except its numbers.

    Attributes:
        name: for users and commands.
        stems: canonical stem names in the order of the network's outputs.
        sample_rate: Hz.
        channels: of the mixture and of each stem.
        chunking: the defaults for this model.
        architecture: which network: ``mdx23c``, ``bandunet``, ``torchscript`` …
        network: the settings of that network.
        presets: overlap per preset (``fast``, ``balanced``, ``best``).
        spatial: window in samples of a multichannel Wiener filter after the network
            (:class:`~lars_plugin.refine.spatial_wiener.SpatialFilter`); 0 for none. Not for causal
            models.
        refinement: of the network's stems, offline; or None.
        weights: the file, or None for a network without one (tests).
        description: one line.
        license: of the weights.
    """

    name: str
    stems: tuple[str, ...]
    chunking: Chunking
    sample_rate: int = SAMPLE_RATE
    channels: int = 2
    architecture: str = ""
    network: Mapping[str, Any] = field(default_factory=_no_entries)
    presets: Mapping[str, float] = field(default_factory=_no_entries)
    spatial: int = 0
    refinement: Refinement | None = None
    weights: WeightsFile | None = None
    description: str = ""
    license: str = ""

    def __post_init__(self) -> None:
        if not self.stems:
            raise InputError(f"model {self.name!r} has no stems")
        if len(set(self.stems)) != len(self.stems):
            raise InputError(f"model {self.name!r} names a stem twice: {', '.join(self.stems)}")
        if self.spatial and self.chunking.convention == "causal":
            raise InputError(
                f"spatial: model {self.name!r} is causal, and the filter looks at whole chunks;"
                " leave spatial out"
            )
        if self.refinement is None:
            return
        for table in ("places", "trust", "mono_trust", "templates", "unstruck", "louder"):
            unknown = set(getattr(self.refinement, table)) - set(self.stems)
            if unknown:
                names = ", ".join(sorted(unknown))
                raise InputError(f"refinement.{table}: model {self.name!r} has no {names}")


class Backend(Protocol):
    """A network ready to run.

    ``backend(batch)`` takes ``(batch, channels, samples)`` float32, which it must not change,
    and returns new memory ``(batch, stems, channels, samples)`` float32. It raises
    :class:`~lars_plugin.errors.EngineError` when the machine fails it. NaN and Inf in its result
    are the caller's to find.
    """

    @property
    def name(self) -> str:
        """Backend, device and precision for people: "torch cpu float32"."""
        ...

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]: ...


@runtime_checkable
class CausalBackend(Backend, Protocol):
    """A network that runs hop by hop, with a state.

    Called like any backend, it takes a whole recording and removes its delay. The state is
    explicit: each step returns the state for the next one, and nothing else is kept.
    """

    def initial_state(self) -> Any:
        """The state before the first sample."""
        ...

    def step(self, hops: NDArray[np.float32], state: Any) -> tuple[NDArray[np.float32], Any]:
        """Stems of the next hops.

        Args:
            hops: ``(channels, n * hop_length)`` float32, n >= 1; not changed.
            state: from the previous step; not changed.

        Returns:
            New memory ``(stems, channels, n * hop_length)``, delayed by the network's delay, and
            the state for the next step.

        Raises:
            EngineError: the machine failed.
        """
        ...


class AnyModel:
    """What separation needs: a configuration, and a backend that runs on chunks.

    A network that was loaded is a :class:`Model`, models put together are a
    :class:`~lars_plugin.composites.composite.Composite`; nothing of either ever changes.

    Pickling one stores how it was made, and unpickling makes it again; see
    :mod:`lars_plugin.pickling`. Copies share the network.
    """

    if TYPE_CHECKING:  # attributes of the subclasses

        @property
        def config(self) -> ModelConfig: ...

        @property
        def backend(self) -> Backend: ...

    @property
    def backend_name(self) -> str:
        """What runs it, for people: "torch cpu float32"."""
        return self.backend.name

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        recipe = recipe_of(self)
        return super().__reduce_ex__(protocol) if recipe is None else (made_again, (recipe,))

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self


@dataclass(frozen=True)
class Model(AnyModel):
    """A configuration with a backend that runs its network."""

    config: ModelConfig
    backend: Backend
