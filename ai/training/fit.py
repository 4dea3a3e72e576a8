"""Fitting the network: saliency from drawn boxes on crops, then whole views against what is known of the breast.

Plain loops: a library that brings devices, precision and several processes (Lightning Fabric was looked at) brings an
HTTP stack with it, for some forty lines here.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ai.models.demo_net import DemoNet
from ai.training.examples import TrainingExam
from ai.training.report import judged
from ai.training.sampling import Crops, Sampler, Wholes
from ai.training.world import World

_DECAY = 1e-4
_WARM_UP = 0.05
_FOCUS = 2.0  # focal loss exponent (Lin et al., 2017)
_AVERAGED = 0.995  # share of the averaged network that a step leaves as it was
_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True, slots=True, kw_only=True)
class FitSettings:
    """crop: side in network input pixels, a multiple of 32. batch, wholes: crops and whole views per step and process.

    wholes_from: share of the steps after which whole views join the crops; at once where no lesion is drawn.
    evaluate_every: steps between looks at the tuning exams, by the running average of the networks of the steps so far;
    the best of those is kept. patience: looks without
    a better one after which fitting stops, 0 never. precision: of the forward pass on a GPU.
    """

    steps: int = 3000
    batch: int = 16
    crop: int = 256
    wholes: int = 1
    wholes_from: float = 0.8
    rate: float = 4e-3
    evaluate_every: int = 300
    patience: int = 0
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"


@dataclass(frozen=True, slots=True)
class Moment:
    """How fitting stood after `step` steps. loss: mean since the last one. auc, tuning_loss: of the tuning exams."""

    step: int
    loss: float
    rate: float
    auc: float
    tuning_loss: float


@dataclass(frozen=True, slots=True)
class Fitted:
    """The best network and the way there."""

    net: DemoNet
    history: tuple[Moment, ...]
    stopped_early: bool


class CheckpointError(ValueError):
    """A checkpoint that does not belong to this run."""


class _Trainee(nn.Module):
    """The network and its losses as one forward pass, which several processes need."""

    def __init__(self, net: DemoNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, crops: Crops | None, wholes: Wholes | None) -> Tensor:
        losses = []
        if crops is not None:
            losses.append(_cell_loss(self.net(crops.values), crops.wanted, crops.counts))
        if wholes is not None:
            with _unmoved(self.net, when=crops is not None):
                maps = self.net(wholes.values)
            logits = self.net.view_logit(self.net.features(maps, wholes.inside))
            losses.append(nn.functional.binary_cross_entropy_with_logits(logits, wholes.labels))
        return torch.stack(losses).sum()


@contextmanager
def _unmoved(net: nn.Module, *, when: bool) -> Iterator[None]:
    """Batch normalisation by what many crops have in common, as in reading, and not by one view and its background."""
    norms = [each for each in net.modules() if isinstance(each, nn.BatchNorm2d) and each.training and when]
    for each in norms:
        each.eval()
    try:
        yield
    finally:
        for each in norms:
            each.train()


def fit(
    exams: Sequence[TrainingExam],
    tuning: Sequence[TrainingExam],
    settings: FitSettings,
    seed: int,
    *,
    world: World,
    report: Callable[[int, float], None] = lambda _step, _loss: None,
    checkpoint: Path | None = None,
) -> Fitted:
    """Fit a network. The same arguments give the same network on one machine, interrupted and resumed or not.

    tuning: exams of other women, by which the best network is chosen. report(step, loss) is called at every step.
    checkpoint: a file that is written at every look, and gone on from where it is there already.
    Raises CheckpointError for one of another run, ValueError without exams.
    """
    if not exams or not tuning:
        raise ValueError("fitting needs exams to learn from and others to tune on")
    run = _Run(exams, tuning, settings, seed, world)
    if checkpoint is not None and checkpoint.exists():
        run.resume(checkpoint)
    while run.goes_on:
        report(run.step + 1, run.advance())
        if run.is_time_to_look:
            run.look()
            if checkpoint is not None:
                run.save(checkpoint)
    return run.result()


class _Run:
    """Where fitting stands."""

    def __init__(
        self,
        exams: Sequence[TrainingExam],
        tuning: Sequence[TrainingExam],
        settings: FitSettings,
        seed: int,
        world: World,
    ) -> None:
        torch.manual_seed(seed)
        self._settings, self._seed, self._world, self._tuning = settings, seed, world, tuning
        self._net = DemoNet().to(world.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        trainee = _Trainee(self._net)
        self._trainee = DistributedDataParallel(trainee) if world.size > 1 else trainee
        self._averaged = AveragedModel(self._net, multi_avg_fn=_average, use_buffers=True)
        self._optimizer = torch.optim.AdamW(self._net.parameters(), lr=settings.rate, weight_decay=_DECAY)
        self._schedule = torch.optim.lr_scheduler.LambdaLR(self._optimizer, lambda step: _rate(step / settings.steps))
        self._scaler = torch.amp.GradScaler(world.device.type, enabled=settings.precision == "fp16")
        self._sampler = Sampler(exams, settings.crop, np.random.default_rng((seed, world.rank)))
        self._wholes_from = settings.wholes_from if self._sampler.has_crops else 0.0
        self.step, self._recent = 0, 0.0
        self._history: list[Moment] = []
        self._best: dict[str, Tensor] = {}
        self._since_best = 0

    # ------------------------------------------------------------------ steps

    @property
    def goes_on(self) -> bool:
        """Whether there is a step to take."""
        return self.step < self._settings.steps and not self._out_of_patience

    @property
    def _out_of_patience(self) -> bool:
        return 0 < self._settings.patience <= self._since_best

    def advance(self) -> float:
        """Take one step; returns its loss."""
        self._trainee.train()
        settings = self._settings
        crops = self._moved(self._sampler.crops(settings.batch)) if self._sampler.has_crops else None
        late = self.step >= self._wholes_from * settings.steps
        wholes = self._moved(self._sampler.wholes(settings.wholes)) if late and settings.wholes else None
        dtype = _TYPES.get(settings.precision, torch.float32)
        with torch.autocast(self._world.device.type, dtype, enabled=dtype is not torch.float32):
            loss = self._trainee(crops, wholes)
        self._optimizer.zero_grad(set_to_none=True)
        self._scaler.scale(loss).backward()
        self._scaler.unscale_(self._optimizer)
        nn.utils.clip_grad_norm_(self._net.parameters(), 1.0)
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._schedule.step()
        self._averaged.update_parameters(self._net)
        self.step += 1
        value = float(loss.detach())
        self._recent += value
        return value

    def _moved(self, batch: Any) -> Any:
        """The batch on this process's device, images with their channels last."""
        parts = {name: getattr(batch, name).to(self._world.device, non_blocking=True) for name in batch.__slots__}
        parts["values"] = parts["values"].contiguous(memory_format=torch.channels_last)
        return type(batch)(**parts)

    # ------------------------------------------------------------------ looks

    @property
    def is_time_to_look(self) -> bool:
        """Whether the tuning exams are looked at now."""
        return self.step % self._settings.evaluate_every == 0 or self.step == self._settings.steps

    def look(self) -> None:
        """Judge the network on the tuning exams and keep it if it is the best so far."""
        steps = self.step - (self._history[-1].step if self._history else 0)
        found = (math.nan, math.nan)
        if self._world.is_first:
            self._averaged.eval()
            found = judged(self._mean_net, self._tuning)
        auc, tuning_loss = self._world.from_first(found)
        rate = float(self._schedule.get_last_lr()[0])
        self._history.append(Moment(self.step, self._recent / max(steps, 1), rate, auc, tuning_loss))
        self._recent = 0.0
        if _worth(self._history[-1]) >= max(map(_worth, self._history)):
            self._best = {name: value.detach().clone() for name, value in self._mean_net.state_dict().items()}
            self._since_best = 0
        else:
            self._since_best += 1

    @property
    def _mean_net(self) -> DemoNet:
        return cast("DemoNet", self._averaged.module)

    def result(self) -> Fitted:
        """The best network that was seen."""
        self._net.load_state_dict(self._best)
        return Fitted(self._net.cpu().eval(), tuple(self._history), self.step < self._settings.steps)

    # ------------------------------------------------------------------ checkpoints

    def save(self, path: Path) -> None:
        """Write where fitting stands, whole or not at all."""
        samplers = self._world.gathered(json.dumps(self._sampler.state))
        if not self._world.is_first:
            return
        state = {
            "run": self._identity,
            "step": self.step,
            "net": self._net.state_dict(),
            "averaged": self._averaged.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "schedule": self._schedule.state_dict(),
            "scaler": self._scaler.state_dict(),
            "samplers": samplers,
            "history": [asdict(moment) for moment in self._history],
            "best": self._best,
            "since_best": self._since_best,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)

    def resume(self, path: Path) -> None:
        """Go on from a checkpoint. Raises CheckpointError."""
        state = torch.load(path, map_location=self._world.device, weights_only=True)
        if state["run"] != self._identity:
            raise CheckpointError(
                f"{path} is of another run: {state['run']}, this one is {self._identity}; remove it to begin anew"
            )
        self.step, self._since_best, self._best = state["step"], state["since_best"], state["best"]
        self._net.load_state_dict(state["net"])
        self._averaged.load_state_dict(state["averaged"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._schedule.load_state_dict(state["schedule"])
        self._scaler.load_state_dict(state["scaler"])
        self._sampler.restore(json.loads(state["samplers"][self._world.rank]))
        self._history = [Moment(**moment) for moment in state["history"]]

    @property
    def _identity(self) -> str:
        return json.dumps({**asdict(self._settings), "seed": self._seed, "processes": self._world.size}, sort_keys=True)


def _average(kept: Any, now: Any, count: Tensor | int) -> None:
    """The running average takes in the present network; at the beginning it forgets faster."""
    number = int(count)
    average = get_ema_multi_avg_fn(min(_AVERAGED, (1 + number) / (10 + number)))  # type: ignore[no-untyped-call]
    average(kept, now, count)


def _worth(moment: Moment) -> float:
    """The area under the curve, or where one outcome is missing the loss."""
    return -moment.tuning_loss if math.isnan(moment.auc) else moment.auc


def _rate(progress: float) -> float:
    """Linear warm-up, then half a cosine."""
    return min(progress / _WARM_UP, 0.5 * (1 + math.cos(math.pi * progress)))


def _cell_loss(logits: Tensor, wanted: Tensor, counts: Tensor) -> Tensor:
    """Focal cross-entropy per cell; lesions' cells and the others each weigh by their own number."""
    each = nn.functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    focus = (wanted - torch.sigmoid(logits)).abs() ** _FOCUS * each * counts
    positive = counts * wanted
    negative = counts - positive
    return (focus * wanted).sum() / (positive.sum() + 50) + 4 * (focus * (1 - wanted)).sum() / (negative.sum() + 50)
