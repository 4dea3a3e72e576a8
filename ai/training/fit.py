"""Fitting the demonstration network: saliency from drawn boxes on crops, then the pooling of a view from its peaks."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ai.models.demo_net import CELL, DemoNet, peaks, smooth
from ai.training.cohort import TrainingExam, TrainingView, targets

_log = logging.getLogger(__name__)

_MOST_RATE, _DECAY = 4e-3, 1e-4
_WARM_UP = 0.05
_FOCUS = 2.0  # focal loss exponent (Lin et al., 2017)
_LESION_SHARES = (0.45, 0.30)  # of crops on a malignant, and on a benign lesion; the others lie anywhere


@dataclass(frozen=True, slots=True, kw_only=True)
class FitSettings:
    """crop: side in network input pixels, a multiple of 32. batch: crops per step."""

    steps: int = 5000
    batch: int = 16
    crop: int = 256


@dataclass(frozen=True, slots=True, eq=False)
class _Labelled:
    view: TrainingView
    wanted: NDArray[np.float32]
    counts: NDArray[np.float32]


def fit_maps(exams: Sequence[TrainingExam], settings: FitSettings, seed: int) -> DemoNet:
    """A network whose maps light up on malignant lesions. The same arguments give the same network on one machine."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    net: DemoNet = DemoNet().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(net.parameters(), lr=_MOST_RATE, weight_decay=_DECAY)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step / settings.steps))
    sampler = _Sampler([view for exam in exams for view in exam.views], settings.crop, rng)
    net.train()
    recent: list[float] = []
    for step in range(1, settings.steps + 1):
        values, wanted, counts = sampler.batch(settings.batch)
        loss = _loss(net(values.contiguous(memory_format=torch.channels_last)), wanted, counts)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        recent.append(float(loss.detach()))
        if step % 200 == 0 or step == settings.steps:
            _log.info("step %d of %d: loss %.4f", step, settings.steps, float(np.mean(recent[-200:])))
    return net.eval()


@torch.inference_mode()
def view_peaks(net: DemoNet, exams: Sequence[TrainingExam]) -> NDArray[np.float32]:
    """The peaks of both maps for every view of every exam: (number of views, 2)."""
    found = [peaks(saliency(net, view)) for exam in exams for view in exam.views]
    return np.stack(found).astype(np.float32)


@torch.inference_mode()
def saliency(net: DemoNet, view: TrainingView) -> NDArray[np.float32]:
    """Smoothed saliency logits of a whole view, as in reading."""
    batch = torch.from_numpy(view.values[None]).contiguous(memory_format=torch.channels_last)
    return smooth(net(batch)[0].numpy(), view.mask)


def fit_pooling(net: DemoNet, exams: Sequence[TrainingExam]) -> None:
    """Logistic regression from a view's peaks to whether it shows a malignant lesion; written into the network."""
    features = torch.from_numpy(view_peaks(net, exams))
    labels = torch.tensor([float(view.malignant) for exam in exams for view in exam.views])
    with torch.no_grad():
        net.pooled.weight.fill_(0.5)
        net.pooled.bias.zero_()
    optimizer = torch.optim.LBFGS(net.pooled.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = nn.functional.binary_cross_entropy_with_logits(net.view_logit(features), labels)
        loss = loss + 1e-3 * net.pooled.weight.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    with torch.no_grad():  # more suspicion on a map must never lower the score
        net.pooled.weight.clamp_(min=0.05)


def _rate(progress: float) -> float:
    """Linear warm-up, then half a cosine."""
    return min(progress / _WARM_UP, 0.5 * (1 + math.cos(math.pi * progress)))


def _loss(logits: Tensor, wanted: Tensor, counts: Tensor) -> Tensor:
    """Focal cross-entropy per cell; lesions' cells and the others each weigh by their own number."""
    each = nn.functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    focus = (wanted - torch.sigmoid(logits)).abs() ** _FOCUS * each * counts
    positive = counts * wanted
    negative = counts - positive
    return (focus * wanted).sum() / (positive.sum() + 50) + 4 * (focus * (1 - wanted)).sum() / (negative.sum() + 50)


class _Sampler:
    """Crops of views: some on malignant lesions, some on benign ones, some anywhere in the breast."""

    def __init__(self, views: Sequence[TrainingView], crop: int, rng: np.random.Generator) -> None:
        self._all = [_Labelled(view, *targets(view)) for view in views]
        self._crop, self._rng = crop, rng
        self._lesions = {
            wanted: [
                (labelled, box)
                for labelled in self._all
                for box, _, malignant in labelled.view.boxes
                if malignant is wanted
            ]
            for wanted in (True, False)
        }

    def batch(self, size: int) -> tuple[Tensor, Tensor, Tensor]:
        """values (n, 2, crop, crop), wanted and counts (n, 2, crop / 8, crop / 8)."""
        crops = [self._one() for _ in range(size)]
        values, wanted, counts = (np.stack(part) for part in zip(*crops, strict=True))
        return torch.from_numpy(values), torch.from_numpy(wanted), torch.from_numpy(counts)

    def _one(self) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        labelled, (row, column) = self._place()
        values = _cut(labelled.view.inputs, row, column, self._crop).astype(np.float32) / 16.0
        cells = self._crop // CELL
        wanted = _cut(labelled.wanted, row // CELL, column // CELL, cells)
        counts = _cut(labelled.counts, row // CELL, column // CELL, cells)
        values, wanted, counts = self._turned(values, wanted, counts)
        return self._varied(values), np.ascontiguousarray(wanted), np.ascontiguousarray(counts)

    def _turned(self, *grids: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
        """Mirrored and turned, all in the same way: a lesion has no up or down."""
        down, across, turned = self._rng.random(3) < 0.5
        for_rows, for_columns = slice(None, None, -1 if down else 1), slice(None, None, -1 if across else 1)
        flipped = (grid[:, for_rows, for_columns] for grid in grids)
        return tuple(grid.transpose(0, 2, 1) if turned else grid for grid in flipped)

    def _place(self) -> tuple[_Labelled, tuple[int, int]]:
        """A view, and the top left corner of a crop of it on the grid of cells; it may hang over the edge."""
        draw = self._rng.random()
        malignant = draw < _LESION_SHARES[0]
        lesions = self._lesions[malignant]
        if draw < sum(_LESION_SHARES) and lesions:
            labelled, (left, top, right, bottom) = lesions[int(self._rng.integers(len(lesions)))]
            middle = ((top + bottom) / 2, (left + right) / 2)
        else:
            labelled = self._all[int(self._rng.integers(len(self._all)))]
            rows, columns = labelled.view.mask.shape
            middle = (self._rng.uniform(0, rows), self._rng.uniform(0, columns))
        shift = self._rng.uniform(-0.35, 0.35, 2) * self._crop
        row, column = (int(m + s - self._crop / 2) // CELL * CELL for m, s in zip(middle, shift, strict=True))
        return labelled, (row, column)

    def _varied(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Contrast, brightness and noise vary a little, as makers do; background stays 0."""
        outside = values[0] == 0
        gain, shift = self._rng.uniform(0.85, 1.18), self._rng.uniform(-0.2, 0.2)
        noise = self._rng.standard_normal(values.shape, dtype=np.float32) * np.float32(self._rng.uniform(0, 0.06))
        varied = values * np.float32(gain) + np.float32(shift) + noise
        varied[:, outside] = 0.0
        return np.asarray(varied, dtype=np.float32)


def _cut(grid: NDArray[np.generic], row: int, column: int, side: int) -> NDArray[np.float32]:
    """A square of (channels, side, side) from (row, column); zeros where it hangs over the edge."""
    square = np.zeros((grid.shape[0], side, side), grid.dtype)
    top, left = max(row, 0), max(column, 0)
    bottom, right = min(row + side, grid.shape[1]), min(column + side, grid.shape[2])
    if bottom > top and right > left:
        square[:, top - row : bottom - row, left - column : right - column] = grid[:, top:bottom, left:right]
    return square
