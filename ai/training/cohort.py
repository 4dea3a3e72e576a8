"""Synthetic exams as the network sees them, with what it should find. Rendered once, kept small in memory."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ai.decoding import PixelError, StoredImage
from ai.exam import STANDARD_VIEWS, ImageLaterality, StandardView, View
from ai.findings import FindingType
from ai.models._input import CHANNELS, network_input
from ai.models.demo_net import CELL, MAPS
from ai.phantom import Lesion, LesionBox, LesionKind, RenderedView, ScreenedWoman, VendorLook, member, place, render
from ai.pixels import BreastImage, read_breast

_log = logging.getLogger(__name__)
_ROOM = Path(__file__).parents[1]
#: Drawn exams that were kept are void when what draws or prepares them has changed.
_SOURCES = hashlib.sha256(
    b"".join(
        file.read_bytes()
        for file in (
            *sorted((_ROOM / "phantom").glob("*.py")),
            _ROOM / "pixels.py",
            _ROOM / "geometry.py",
            _ROOM / "models" / "_input.py",
        )
    )
).hexdigest()

#: Views are drawn at this pitch: the fine grid of the network's preprocessing.
PITCH_MM = 0.1
_STEP = 16.0  # inputs are within ±8 and kept as bytes of 1/16
_MALIGNANT = [kind for kind in LesionKind if place(kind, seed=0).malignant]
_BENIGN = [kind for kind in LesionKind if kind not in _MALIGNANT]
_CORE, _SURROUND = 0.75, 1.25  # of a lesion's box: what must light up, and what is left alone around it


@dataclass(frozen=True, slots=True, eq=False)
class TrainingView:
    """One view. inputs: (2, rows, columns) int8, the network's input × 16. mask: breast, (rows, columns).

    boxes: lesions as (left, top, right, bottom) on that grid, with map number and whether malignant.
    """

    standard_view: StandardView
    inputs: NDArray[np.int8]
    mask: NDArray[np.bool_]
    boxes: tuple[tuple[tuple[float, float, float, float], int, bool], ...]

    @property
    def values(self) -> NDArray[np.float32]:
        """The network's input."""
        return self.inputs.astype(np.float32) / _STEP

    @property
    def malignant(self) -> bool:
        """Whether a malignant lesion is on this view."""
        return any(malignant for _, _, malignant in self.boxes)


@dataclass(frozen=True, slots=True, eq=False)
class TrainingExam:
    """Four views of one synthetic woman."""

    views: tuple[TrainingView, ...]

    @property
    def malignant(self) -> bool:
        """Whether any view shows a malignant lesion."""
        return any(view.malignant for view in self.views)


def screening_exams(seed: int, count: int, *, prevalence: float, cache: Path | None = None) -> tuple[TrainingExam, ...]:
    """`count` exams of the synthetic population `seed`; the same arguments give the same exams.

    prevalence: share of women with a malignant lesion. cache: a folder to keep drawn exams in, or None.
    """
    women = (member(seed, index, prevalence=prevalence) for index in range(count))
    return _drawn(women, count, f"screening {seed} {prevalence}", cache)


def teaching_exams(seed: int, count: int, *, cache: Path | None = None) -> tuple[TrainingExam, ...]:
    """`count` exams of women with several lesions in each breast: more to learn from each image that is drawn."""
    return _drawn((teaching_woman(seed, index) for index in range(count)), count, f"teaching {seed}", cache)


def teaching_woman(seed: int, index: int) -> ScreenedWoman:
    """A woman of the population with up to three malignant lesions and two benign ones in each breast."""
    rng = np.random.default_rng((seed, index))
    like = member(seed, index, prevalence=0.0)
    lesions: list[Lesion] = []
    for side in ImageLaterality:
        kinds = [*rng.choice(_MALIGNANT, rng.integers(1, 4)), *rng.choice(_BENIGN, rng.integers(0, 3))]
        for kind in kinds:
            number = len(lesions)
            lesions.append(place(LesionKind(kind), seed=like.woman.seed, number=number, image_laterality=side))
    return ScreenedWoman(woman=replace(like.woman, lesions=tuple(lesions)), look=like.look)


def _drawn(women: Iterable[ScreenedWoman], count: int, name: str, cache: Path | None) -> tuple[TrainingExam, ...]:
    made = []
    for index, woman in enumerate(women):
        if cache is None:
            made.append(_exam(woman))
        else:
            key = hashlib.sha256(f"{name} {index} {_SOURCES}".encode()).hexdigest()[:24]
            made.append(_cached(woman, cache / f"{key}.npz"))
        if (index + 1) % 25 == 0 or index + 1 == count:
            _log.info("%s: %d of %d exams", name, index + 1, count)
    return tuple(made)


def breast_image(rendered: RenderedView, look: VendorLook) -> BreastImage:
    """A rendered view as if it had been stored and decoded. Raises PixelError as reading would."""
    rows, columns = rendered.pixels.shape
    standard = rendered.truth.standard_view
    view = View(
        sop_instance_uid="",
        sop_class_uid="",
        series_instance_uid="",
        study_instance_uid="",
        modality="MG",
        image_laterality=standard.image_laterality,
        view_position=standard.view_position,
        rows=rows,
        columns=columns,
        imager_pixel_spacing_mm=(rendered.pitch_mm, rendered.pitch_mm),
    )
    values = np.rint(rendered.pixels * look.largest_value).astype(np.uint16)
    return read_breast(view, StoredImage("", values, look.largest_value, ""))


def targets(view: TrainingView) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What the maps should say, and how much each cell counts; both (2, rows / 8, columns / 8).

    The core of a malignant lesion is 1 on its own map; round it, and on the other map, nothing is asked. Benign
    lesions are 0 like everything else inside the breast.
    """
    rows, columns = view.mask.shape[0] // CELL, view.mask.shape[1] // CELL
    wanted = np.zeros((len(MAPS), rows, columns), np.float32)
    inside = view.mask.reshape(rows, CELL, columns, CELL).mean(axis=(1, 3)) > 0.5
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


def _exam(woman: ScreenedWoman) -> TrainingExam:
    return TrainingExam(tuple(_views(woman)))


def _views(screened: ScreenedWoman) -> Iterator[TrainingView]:
    for standard in STANDARD_VIEWS:
        rendered = render(screened.woman, standard, look=screened.look, pitch_mm=PITCH_MM)
        try:
            image = breast_image(rendered, screened.look)
        except PixelError as error:
            _log.warning("a rendered view is not readable and is left out: %s", error)
            continue
        yield training_view(image, standard, rendered.truth.boxes)


def training_view(image: BreastImage, standard: StandardView, boxes: Sequence[LesionBox]) -> TrainingView:
    """The network's input of an image, and the lesions on it (boxes in the image's stored pixels)."""
    prepared = network_input(image)
    placed = []
    for box in boxes:
        corners = prepared.geometry.to_model(np.array([(box.left, box.top), (box.right, box.bottom)]))
        (left, right), (top, bottom) = np.sort(corners[:, 0]), np.sort(corners[:, 1])
        number = MAPS.index(FindingType.CALCIFICATION_CLUSTER) if box.finding_type in MAPS[1:] else 0
        placed.append(((float(left), float(top), float(right), float(bottom)), number, box.malignant))
    inputs = np.clip(np.rint(prepared.values * _STEP), -127, 127).astype(np.int8)
    return TrainingView(standard, inputs, prepared.mask, tuple(placed))


def _cached(woman: ScreenedWoman, path: Path) -> TrainingExam:
    if not path.exists():
        _save(_exam(woman), path)
    with np.load(path) as stored:
        return TrainingExam(tuple(_load_view(stored, number) for number in range(int(stored["count"]))))


def _save(exam: TrainingExam, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, NDArray[np.generic]] = {"count": np.array(len(exam.views))}
    for number, view in enumerate(exam.views):
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
