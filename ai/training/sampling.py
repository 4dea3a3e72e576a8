"""What a network is shown at each step: crops round lesions and anywhere, and whole views with their breast's label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ai.models.demo_net import CELL, cells_inside
from ai.training.examples import STEP, Box, TrainingExam, TrainingView, targets

_LESION_SHARES = (0.45, 0.30)  # of crops on a malignant, and on a benign lesion; the others lie anywhere


@dataclass(frozen=True, slots=True)
class Crops:
    """values (n, 2, crop, crop); wanted and counts (n, 2, crop / 8, crop / 8): see `examples.targets`."""

    values: Tensor
    wanted: Tensor
    counts: Tensor


@dataclass(frozen=True, slots=True)
class Wholes:
    """values (n, 2, rows, columns), filled up with background; inside (n, rows / 8, columns / 8); labels (n,) 0–1."""

    values: Tensor
    inside: Tensor
    labels: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class _Labelled:
    view: TrainingView
    wanted: NDArray[np.float32]
    counts: NDArray[np.float32]


class Sampler:
    """Draws from the exams it is given; `state` and `restore` make it go on where it was.

    Crops come from exams whose lesions are drawn, whole views from all. Half of the whole views are of breasts with a
    label of a half or more, however few there are: one cancer in 170 exams would teach too little.
    """

    def __init__(self, exams: Sequence[TrainingExam], crop: int, rng: np.random.Generator) -> None:
        self._rng, self._crop = rng, crop
        drawn = [_Labelled(view, *targets(view)) for exam in exams if exam.drawn for view in exam.views]
        self._drawn = drawn
        self._lesions = {
            wanted: [(each, box) for each in drawn for box, _, malignant in each.view.boxes if malignant is wanted]
            for wanted in (True, False)
        }
        labelled = [
            (view, exam.labels[view.standard_view.image_laterality])
            for exam in exams
            for view in exam.views
            if view.standard_view.image_laterality in exam.labels
        ]
        self._wholes = [[each for each in labelled if (each[1] >= 0.5) is high] for high in (False, True)]

    @property
    def has_crops(self) -> bool:
        """Whether any exam's lesions are drawn."""
        return bool(self._drawn)

    @property
    def state(self) -> dict[str, Any]:
        """Where the draws have got to."""
        return dict(self._rng.bit_generator.state)

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        self._rng.bit_generator.state = state

    def crops(self, count: int) -> Crops:
        """`count` crops, turned and varied."""
        drawn = [self._one_crop() for _ in range(count)]
        values, wanted, counts = (np.stack(part) for part in zip(*drawn, strict=True))
        return Crops(torch.from_numpy(values), torch.from_numpy(wanted), torch.from_numpy(counts))

    def wholes(self, count: int) -> Wholes:
        """`count` whole views, mirrored and varied."""
        chosen = [self._one_whole() for _ in range(count)]
        rows, columns = (max(values.shape[axis] for values, _, _ in chosen) for axis in (1, 2))
        values = np.zeros((count, chosen[0][0].shape[0], rows, columns), np.float32)
        inside = np.zeros((count, rows // CELL, columns // CELL), bool)
        for number, (one, cells, _) in enumerate(chosen):
            values[number, :, : one.shape[1], : one.shape[2]] = one
            inside[number, : cells.shape[0], : cells.shape[1]] = cells
        labels = torch.tensor([label for _, _, label in chosen], dtype=torch.float32)
        return Wholes(torch.from_numpy(values), torch.from_numpy(inside), labels)

    def _one_whole(self) -> tuple[NDArray[np.float32], NDArray[np.bool_], float]:
        groups = [group for group in self._wholes if group]
        group = groups[int(self._rng.integers(len(groups)))]
        view, label = group[int(self._rng.integers(len(group)))]
        values, cells = self._varied(view.values), cells_inside(view.mask)
        if self._rng.random() < 0.5:  # head and foot may change places, chest wall and nipple may not
            values, cells = values[:, ::-1], cells[::-1]
        return values, cells, label

    def _one_crop(self) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        labelled, (row, column) = self._place()
        values = _cut(labelled.view.inputs, row, column, self._crop) / np.float32(STEP)
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
        labelled, (across, down) = self._target()
        shift = self._rng.uniform(-0.35, 0.35, 2) * self._crop
        row, column = (
            int(middle + by - self._crop / 2) // CELL * CELL for middle, by in zip((down, across), shift, strict=True)
        )
        return labelled, (row, column)

    def _target(self) -> tuple[_Labelled, tuple[float, float]]:
        draw = self._rng.random()
        malignant = draw < _LESION_SHARES[0]
        lesions = self._lesions[bool(malignant)]
        if draw < sum(_LESION_SHARES) and lesions:
            labelled, box = lesions[int(self._rng.integers(len(lesions)))]
            return labelled, _middle(box)
        labelled = self._drawn[int(self._rng.integers(len(self._drawn)))]
        rows, columns = labelled.view.mask.shape
        return labelled, (float(self._rng.uniform(0, columns)), float(self._rng.uniform(0, rows)))

    def _varied(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Contrast, brightness and noise vary a little, as makers do; background stays 0."""
        outside = values[0] == 0
        gain, shift = self._rng.uniform(0.85, 1.18), self._rng.uniform(-0.2, 0.2)
        noise = self._rng.standard_normal(values.shape, dtype=np.float32) * np.float32(self._rng.uniform(0, 0.06))
        varied = values * np.float32(gain) + np.float32(shift) + noise
        varied[:, outside] = 0.0
        return np.asarray(varied, dtype=np.float32)


def _middle(box: Box) -> tuple[float, float]:
    left, top, right, bottom = box
    return ((left + right) / 2, (top + bottom) / 2)


def _cut(grid: NDArray[Any], row: int, column: int, side: int) -> NDArray[np.float32]:
    """A square of (channels, side, side) from (row, column); zeros where it hangs over the edge."""
    square = np.zeros((grid.shape[0], side, side), np.float32)
    top, left = max(row, 0), max(column, 0)
    bottom, right = min(row + side, grid.shape[1]), min(column + side, grid.shape[2])
    if bottom > top and right > left:
        square[:, top - row : bottom - row, left - column : right - column] = grid[:, top:bottom, left:right]
    return square
