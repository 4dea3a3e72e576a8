"""Training exams: each view as the network sees it, with what it should say of it. Kept small, on disk as well."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ai.exam import STANDARD_VIEWS, ImageLaterality, StandardView
from ai.findings import FindingType, Stratum
from ai.models._input import CHANNELS, network_input
from ai.models.demo_net import CELL, MAPS, cells_inside
from ai.pixels import BreastImage

#: Inputs are within ±8 and kept as bytes of 1/16.
STEP = 16.0
_CORE, _SURROUND = 0.75, 1.25  # of a lesion's box: what must light up, and what is left alone around it

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class TrainingView:
    """One view. inputs: (2, rows, columns) int8, the network's input × 16. mask: breast, (rows, columns).

    boxes: lesions as (left, top, right, bottom) on that grid, with map number and whether malignant.
    """

    standard_view: StandardView
    inputs: NDArray[np.int8]
    mask: NDArray[np.bool_]
    boxes: tuple[tuple[Box, int, bool], ...]

    @property
    def values(self) -> NDArray[np.float32]:
        """The network's input."""
        return self.inputs.astype(np.float32) / STEP

    @property
    def malignant(self) -> bool:
        """Whether a malignant lesion is drawn on this view."""
        return any(malignant for _, _, malignant in self.boxes)


@dataclass(frozen=True, slots=True, eq=False)
class TrainingExam:
    """One exam of one woman.

    labels: how suspicious each breast should look, 0–1; a breast that is absent teaches nothing as a whole.
    cancer: whether the exam counts as positive when a network is judged. drawn: whether every malignant lesion has its
    box, so that what lies outside the boxes is known to be healthy.
    """

    views: tuple[TrainingView, ...]
    labels: Mapping[ImageLaterality, float]
    cancer: bool
    drawn: bool
    woman_id: str
    stratum: Stratum


@dataclass(frozen=True, slots=True)
class DrawnBox:
    """A lesion on a stored image, in its pixels (left, top, right, bottom), as a person or a drawing program set it."""

    box: Box
    finding_type: FindingType
    malignant: bool


def training_view(image: BreastImage, standard: StandardView, boxes: Sequence[DrawnBox]) -> TrainingView:
    """The network's input of an image, and the lesions on it."""
    prepared = network_input(image)
    placed = []
    for drawn in boxes:
        left, top, right, bottom = drawn.box
        corners = prepared.geometry.to_model(np.array([(left, top), (right, bottom)]))
        (left, right), (top, bottom) = np.sort(corners[:, 0]), np.sort(corners[:, 1])
        number = MAPS.index(FindingType.CALCIFICATION_CLUSTER) if drawn.finding_type in MAPS[1:] else 0
        placed.append(((float(left), float(top), float(right), float(bottom)), number, drawn.malignant))
    inputs = np.clip(np.rint(prepared.values * STEP), -127, 127).astype(np.int8)
    return TrainingView(standard, inputs, prepared.mask, tuple(placed))


def targets(view: TrainingView) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What the maps should say, and how much each cell counts; both (2, rows / 8, columns / 8).

    The core of a malignant lesion is 1 on its own map; round it, and on the other map, nothing is asked. Benign
    lesions are 0 like everything else inside the breast.
    """
    rows, columns = view.mask.shape[0] // CELL, view.mask.shape[1] // CELL
    wanted = np.zeros((len(MAPS), rows, columns), np.float32)
    inside = cells_inside(view.mask)
    counts = np.repeat(inside[None].astype(np.float32), len(MAPS), axis=0)
    malignant = [(box, number) for box, number, is_malignant in view.boxes if is_malignant]
    for box, _ in malignant:
        counts[:, _ellipse(box, _SURROUND, (rows, columns))] = 0.0
    for box, number in malignant:  # after all surroundings: lesions may overlap
        core = _ellipse(box, _CORE, (rows, columns)) & inside
        wanted[number, core], counts[number, core] = 1.0, 1.0
    return wanted, counts


def _ellipse(box: tuple[float, float, float, float], share: float, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Cells whose middle lies in the ellipse inscribed in the box, scaled by `share`."""
    left, top, right, bottom = (side / CELL for side in box)
    row, column = np.ogrid[0.5 : shape[0], 0.5 : shape[1]]
    across, down = max((right - left) / 2 * share, 0.71), max((bottom - top) / 2 * share, 0.71)
    inside: NDArray[np.bool_] = (
        ((column - (left + right) / 2) / across) ** 2 + ((row - (top + bottom) / 2) / down) ** 2
    ) <= 1.0
    return inside


def cached(make: Callable[[], Sequence[TrainingView]], path: Path | None) -> tuple[TrainingView, ...]:
    """The views that `make` gives, kept in the file `path` for the next time; None keeps nothing."""
    if path is None:
        return tuple(make())
    if not path.exists():
        _save(make(), path)
    with np.load(path) as stored:
        return tuple(_load_view(stored, number) for number in range(int(stored["count"])))


def _save(views: Sequence[TrainingView], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, NDArray[np.generic]] = {"count": np.array(len(views))}
    for number, view in enumerate(views):
        arrays[f"inputs{number}"] = view.inputs
        arrays[f"mask{number}"] = np.packbits(view.mask)
        arrays[f"boxes{number}"] = np.array([(*box, kind, bad) for box, kind, bad in view.boxes], float).reshape(-1, 6)
        arrays[f"view{number}"] = np.array(STANDARD_VIEWS.index(view.standard_view))
    part = path.with_suffix(".part.npz")
    np.savez(part, allow_pickle=False, **arrays)
    part.replace(path)


def _load_view(stored: np.lib.npyio.NpzFile, number: int) -> TrainingView:
    inputs = stored[f"inputs{number}"]
    assert inputs.shape[0] == CHANNELS
    rows, columns = inputs.shape[1:]
    mask = np.unpackbits(stored[f"mask{number}"], count=rows * columns).reshape(rows, columns).astype(bool)
    boxes = tuple(((a, b, c, d), int(kind), bool(bad)) for a, b, c, d, kind, bad in stored[f"boxes{number}"].tolist())
    return TrainingView(STANDARD_VIEWS[int(stored[f"view{number}"])], inputs, mask, boxes)
