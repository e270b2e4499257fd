# SPDX-License-Identifier: GPL-3.0-or-later
"""Training a network: AdamW within a time budget, EMA, checkpoints, scores."""

from __future__ import annotations

import copy
import csv
import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from lars_plugin.allocator import keep_freed_memory
from lars_plugin.errors import ModelError
from lars_plugin.files import replacing
from lars_plugin.networks.registry import Training, of_network
from lars_plugin.training.data.pool import Pool, PoolConfig
from lars_plugin.training.networks.losses import MaskNetwork, band_loss
from lars_plugin.training.networks.mask_sums import Kernels
from lars_plugin.training.networks.muon import make_optimizer
from lars_plugin.training.networks.pointwise import use_matrix_products
from lars_plugin.training.networks.scores import load_clips, validate
from lars_plugin.training.networks.wave_loss import sdr_loss, wave_loss
from lars_plugin.training.render.fullmix import FULLMIX_STEMS
from lars_plugin.training.render.renderer import STEMS

__all__ = ["FitConfig", "Trainer"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FitConfig:
    """Everything a run depends on; it is stored in every checkpoint.

    The schedule follows the clock, not the step count, so ``minutes`` of training give the best
    model that is possible in this time on any machine. With ``steps`` it follows these instead,
    so that runs can be compared.
    """

    kits: str | tuple[str, ...]
    grooves: str
    clips: str
    minutes: float = 60.0
    steps: int | None = None
    segment: int = 130560
    batch: int = 8
    lr: float = 2e-3
    optimizer: str = "adamw"  # or "muon"
    weight_decay: float = 0.01
    ema: float = 0.996
    abs_weight: float = 0.3
    log_weight: float = 1.0
    log_ramp: bool = True  # bring it in little by little, which a trained network does not need
    level_weight: float = 0.0  # of the error of levels, for networks with masks
    paper_weight: float = 0.0  # of equation 1 of the paper; the others 0: it alone
    clip: float = 3.0
    seed: int = 0
    workers: int = 1
    render_engine: str = "local"  # or "ray"
    address: str = "auto"  # of the Ray cluster
    threads: int = 1
    pool: int = 480
    reuse: float = 1.0  # draws of an excerpt before another is rendered
    floor_db: float = -37.0  # of the logarithmic loss, against the mixture
    silent_db: float = -30.0  # the same where a stem is silent
    synthetic_kits: int = 32
    exclude_kits: tuple[str, ...] = ()
    stemgmd: str | None = None  # folder of StemGMD as another source
    accompaniment: str | None = None  # bank of music, or "synthetic": a seventh stem "other"
    impulses: str | None = None  # folder of impulse responses of real rooms
    patterns: str | None = None  # folder of General MIDI arrangements
    records: float = 0.25  # share of excerpts that are limited, clipped, encoded ...
    without: tuple[str, ...] = ()  # augmentations that are left out
    device: str = "cpu"
    compile: bool = False  # fuse through torch.compile: a quarter faster, needs a C++ compiler
    cooldown: float = 0.25  # the last part of the minutes, over which the rate falls
    validate_every: float = 10.0  # minutes
    save_every: float = 4.0  # minutes


def _schedule(progress: float, cooldown: float) -> float:
    """Warm-up, constant rate, linear cool-down. A run can be prolonged before the cool-down."""
    warmup = min(1.0, progress / 0.01)
    return warmup * min(1.0, max(0.0, 1 - progress) / max(cooldown, 1e-9)) + 1e-3


def _ramp(progress: float) -> float:
    """Share of the logarithmic term's weight after this share of a run, 0 to 1."""
    return float(np.clip((progress - 0.05) / 0.15, 0, 1))


def _schedule_of(state: dict[str, Any]) -> tuple[float, float]:
    """Minutes and cool-down of the run that a checkpoint is of."""
    config = state["config"]
    return config["minutes"], config.get("cooldown", FitConfig.cooldown)


def _ramp_of(state: dict[str, Any]) -> float:
    """How far the ramp is in a checkpoint; older ones only say when they were written."""
    kept: float | None = state.get("log_ramp")
    return _ramp(state["spent"] / (60 * _schedule_of(state)[0])) if kept is None else kept


def _has_bfloat16(device: str) -> bool:
    """Whether bfloat16 is faster on this device: some processors only emulate it."""
    if not device.startswith("cpu"):
        return True
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return True  # not Linux: as before, and slower at worst
    return "flags" not in flags or "avx512_bf16" in flags or "amx_bf16" in flags


def _update_ema(ema: nn.Module, network: nn.Module, decay: float) -> None:
    with torch.no_grad():
        for kept, new in zip(ema.state_dict().values(), network.state_dict().values(), strict=True):
            if kept.is_floating_point():
                kept.lerp_(new, 1 - decay)
            else:
                kept.copy_(new)


@contextmanager
def _without_subnormals() -> Iterator[None]:
    """What decays to nothing would be computed a hundred times as slowly. It is a setting of the
    thread, so it is taken back for whatever that does next."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


class Trainer:
    """One run in one folder.

    Args:
        network: trained in place.
        config: the run.
        folder: gets ``checkpoint.pt`` (resumed from, if it is there), ``steps.csv`` and
            ``scores.csv``.
        report: called with progress lines.
    """

    def __init__(
        self,
        network: nn.Module,
        config: FitConfig,
        folder: str | Path,
        report: Callable[[str], None] | None = None,
    ) -> None:
        self.config = config
        row = of_network(network)
        # A network without a row is used as it is.
        self._training = (row.training if row is not None else None) or Training("")
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.report = report or log.info
        if config.device == "cpu":
            keep_freed_memory()
            torch.set_num_threads(config.threads)
        torch.manual_seed(config.seed)
        self.network = network.to(
            device=config.device,
            memory_format=torch.channels_last,  # type: ignore[call-overload]
        )
        self.ema: nn.Module = copy.deepcopy(self.network).eval()
        self.optimizer = make_optimizer(
            config.optimizer, network, lr=config.lr, weight_decay=config.weight_decay
        )
        self.bfloat16 = _has_bfloat16(config.device)
        self.kernels = Kernels()
        if config.device == "cpu":
            use_matrix_products(network)
        if config.compile:
            self.kernels = Kernels.compiled()
            trunk = self._training.trunk
            if trunk:
                setattr(network, trunk, torch.compile(getattr(network, trunk), dynamic=False))
        self.stems = FULLMIX_STEMS if config.accompaniment else STEMS
        self.clips = load_clips(config.clips, self.stems)
        self.spent = 0.0
        self.step = 0
        self._cooled = False  # whether what was loaded had a falling rate
        self._reached = 0.0  # ramp of the logarithmic term, at the least
        self.checkpoint = self.folder / "checkpoint.pt"
        self.before_cooling = self.folder / "constant.pt"
        if self.checkpoint.is_file():
            self._resume()

    def cool_for(self, minutes: float) -> None:
        """End the run: these minutes more, over all of which the rate falls.

        An interrupted cooling over as many minutes goes on from its checkpoint.
        """
        state = self._read(self.checkpoint) if self.checkpoint.is_file() else {}
        if state.get("cooling"):
            total, cooldown = _schedule_of(state)
            if math.isclose(cooldown * total, minutes) and state["spent"] < total * 60:
                self._load(state)
                self.config = replace(self.config, minutes=total, cooldown=cooldown)
                self.report(f"the cooling goes on at minute {self.spent / 60:.1f} of {total:.1f}")
                return
        if self._cooled and self.before_cooling.is_file():
            self._load(self._read(self.before_cooling))
        self._reached = self.log_ramp
        self.save(self.before_cooling)
        total = self.spent / 60 + minutes
        self.config = replace(self.config, minutes=total, cooldown=minutes / total, steps=None)

    @property
    def cooling(self) -> bool:
        """Whether the rate has begun to fall."""
        return self.progress >= 1 - self.config.cooldown - 1e-9

    @property
    def progress(self) -> float:
        """Share of the run's minutes, or steps, that has passed, 0 to 1."""
        if self.config.steps is not None:
            return min(1.0, self.step / self.config.steps)
        return min(1.0, self.spent / (self.config.minutes * 60))

    @property
    def log_ramp(self) -> float:
        """Share of the logarithmic term's weight that has been brought in, 0 to 1.

        It never falls, not even where a longer run lowers the progress.
        """
        if not self.config.log_ramp:
            return 1.0
        return max(self._reached, _ramp(self.progress))

    def run(self) -> nn.Module:
        """Train until the minutes are over, counting all resumed runs together.

        Returns:
            The exponential moving average of the network, in eval mode.
        """
        if self.progress < 1:
            with _without_subnormals():
                self._spend()
            self.save()
            self._validate()
        return self.ema

    def _spend(self) -> None:
        config = self.config
        same = ("kits", "grooves", "segment", "batch", "pool", "workers", "synthetic_kits",
                "stemgmd", "accompaniment", "reuse", "impulses", "patterns", "records",
                "without", "address")  # fmt: skip
        pool = Pool(
            PoolConfig(
                **{name: getattr(config, name) for name in same},
                # A resumed run continues with new excerpts.
                seed=config.seed * 1_000_003 + self.step,
                exclude=config.exclude_kits,
                engine=config.render_engine,
            )
        )
        saved = validated = self.spent
        started = self.step
        try:
            pool.wait()
            last = time.monotonic()
            cooling = self.cooling
            while self.progress < 1:
                if self.cooling and not cooling:
                    self.save(self.before_cooling)
                cooling = self.cooling
                self._train_step(pool)
                now = time.monotonic()
                self.spent, last = self.spent + now - last, now
                if self.spent - saved > self.config.save_every * 60:
                    saved = self.spent
                    self.save()
                if self.spent - validated > self.config.validate_every * 60:
                    validated = self.spent
                    self._validate()
        except KeyboardInterrupt:
            if self.step > started:
                self.save()  # nothing that was learned is lost; half an update does no harm
            raise
        finally:
            pool.close()

    def _train_step(self, pool: Pool) -> None:
        config = self.config
        for group in self.optimizer.param_groups:
            group["lr"] = config.lr * _schedule(self.progress, config.cooldown)
        self.network.train()
        stems = torch.from_numpy(pool.draw()).to(config.device)
        log_weight = config.log_weight * self.log_ramp
        kind = config.device.split(":")[0]
        with torch.autocast(kind, dtype=torch.bfloat16, enabled=self.bfloat16):
            loss, scores = self._loss(stems, log_weight)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), config.clip)
        if torch.isfinite(norm):
            self.optimizer.step()
        else:
            self.report(f"step {self.step}: the gradient is not finite; step skipped")
        _update_ema(self.ema, self.network, min(config.ema, (1 + self.step) / (10 + self.step)))
        row = [self.step, f"{self.spent:.1f}", f"{loss.item():.5f}", f"{norm.item():.4f}"]
        self._append("steps.csv", [*row, pool.rendered, *(f"{v:.2f}" for v in scores.tolist())])
        self.step += 1

    def _loss(self, rows: torch.Tensor, log_weight: float) -> tuple[torch.Tensor, torch.Tensor]:
        """The band loss, the paper's, or their weighted sum; and the SDR per stem."""
        config = self.config
        count = len(self.stems)
        # Hiss and the like: in the mixture, but of no stem.
        stems, rest = rows[:, :count], rows[:, count:].sum(1)
        parts: list[tuple[torch.Tensor, torch.Tensor]] = []
        if config.abs_weight or config.log_weight:
            weights = config.abs_weight, log_weight
            floors = 10 ** (config.floor_db / 10), 10 ** (config.silent_db / 10)
            if self._training.loss == "bands":
                network = cast(MaskNetwork, self.network)
                levels = config.level_weight
                parts.append(
                    band_loss(network, stems, *weights, self.kernels, *floors, levels, rest)
                )
            else:
                parts.append(sdr_loss(self.network, stems, *weights, *floors, rest))
        if config.paper_weight:
            loss, scores = wave_loss(self.network, stems, rest)
            parts.append((config.paper_weight * loss, scores))
        return torch.stack([loss for loss, _ in parts]).sum(), parts[0][1]

    def _validate(self) -> None:
        scores = validate(self.ema, self.clips, self.config.device, self.stems)
        values = [f"{scores.get(stem, float('nan')):.2f}" for stem in (*self.stems, "mean")]
        self._append("scores.csv", [self.step, f"{self.spent:.1f}", *values])
        line = "  ".join(f"{k} {v}" for k, v in zip((*self.stems, "mean"), values, strict=True))
        self.report(f"step {self.step}, {self.spent / 60:.1f} min: {line}")

    def _append(self, name: str, row: list[object]) -> None:
        with (self.folder / name).open("a", newline="", encoding="utf-8") as handle:
            csv.writer(handle).writerow(row)

    def save(self, path: Path | None = None) -> None:
        """Write the checkpoint, replacing the previous one only when it is whole."""
        state = {
            "network": self.network.state_dict(),
            "ema": self.ema.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "spent": self.spent,
            "step": self.step,
            "cooling": self.cooling,
            "log_ramp": self.log_ramp,
            "config": asdict(self.config),
        }
        with replacing(path or self.checkpoint, error=ModelError) as temporary:
            torch.save(state, temporary)

    def _resume(self) -> None:
        state = self._read(self.checkpoint)
        ours = self.config.minutes, self.config.cooldown
        same = all(map(math.isclose, ours, _schedule_of(state)))
        if state.get("cooling") and not same and self.before_cooling.is_file():
            # The rate fell towards another end. The run goes on from where it was constant; but
            # if its minutes are over even there, the cooled weights are the better result.
            before = self._read(self.before_cooling)
            if before["spent"] < self.config.minutes * 60:
                state = before
        self._load(state)
        self.report(f"resumed at step {self.step}, {self.spent / 60:.1f} minutes in")

    def _load(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.ema.load_state_dict(state["ema"])
        if state["config"].get("optimizer", "adamw") == self.config.optimizer:
            self.optimizer.load_state_dict(state["optimizer"])
        else:
            self.report(f"the momentum is not {self.config.optimizer}'s; it begins at zero")
        self.spent, self.step = state["spent"], state["step"]
        self._cooled = bool(state.get("cooling"))
        self._reached = _ramp_of(state)

    def _read(self, path: Path) -> dict[str, Any]:
        state: dict[str, Any] = torch.load(path, weights_only=True, map_location=self.config.device)
        return state
