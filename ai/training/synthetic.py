"""Synthetic women as training exams: drawn once, with every lesion known."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from ai.decoding import PixelError, StoredImage
from ai.exam import STANDARD_VIEWS, ImageLaterality, View
from ai.findings import Stratum
from ai.phantom import Lesion, LesionKind, RenderedView, ScreenedWoman, VendorLook, member, place, render
from ai.pixels import BreastImage, read_breast
from ai.training.examples import DrawnBox, TrainingExam, TrainingView, cached, training_view

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
_MALIGNANT = [kind for kind in LesionKind if place(kind, seed=0).malignant]
_BENIGN = [kind for kind in LesionKind if kind not in _MALIGNANT]


def screening_exams(
    seed: int, count: int, *, prevalence: float, full_size: bool = False, cache: Path | None = None
) -> tuple[TrainingExam, ...]:
    """`count` exams of the synthetic population `seed`; the same arguments give the same exams.

    prevalence: share of women with a malignant lesion. full_size: with each system's own pixels, as a node gets them;
    else at `PITCH_MM`. cache: a folder to keep drawn exams in, or None.
    """
    women = (member(seed, index, prevalence=prevalence) for index in range(count))
    name = f"screening {seed} {prevalence}{' full size' if full_size else ''}"
    return _drawn(women, count, name, cache, None if full_size else PITCH_MM)


def teaching_exams(seed: int, count: int, *, cache: Path | None = None) -> tuple[TrainingExam, ...]:
    """`count` exams of women with several lesions in each breast: more to learn from each image that is drawn."""
    women = (teaching_woman(seed, index) for index in range(count))
    return _drawn(women, count, f"teaching {seed}", cache, PITCH_MM)


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


def _drawn(
    women: Iterable[ScreenedWoman], count: int, name: str, cache: Path | None, pitch_mm: float | None
) -> tuple[TrainingExam, ...]:
    made = []
    for index, woman in enumerate(women):
        key = hashlib.sha256(f"{name} {index} {_SOURCES}".encode()).hexdigest()[:24]
        views = cached(partial(_views, woman, pitch_mm), cache / f"{key}.npz" if cache else None)
        sides = dict.fromkeys(view.standard_view.image_laterality for view in views)
        sick = {view.standard_view.image_laterality for view in views if view.malignant}
        labels = {side: float(side in sick) for side in sides}
        look = woman.look
        stratum = Stratum(
            manufacturer=look.manufacturer,
            manufacturer_model_name=look.manufacturer_model_name,
            software_versions=", ".join(look.software_versions),
        )
        made.append(
            TrainingExam(
                views=views,
                labels=labels,
                cancer=bool(sick),
                drawn=True,
                woman_id=str(woman.woman.seed),
                stratum=stratum,
            )
        )
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


def _views(screened: ScreenedWoman, pitch_mm: float | None) -> list[TrainingView]:
    views = []
    for standard in STANDARD_VIEWS:
        rendered = render(screened.woman, standard, look=screened.look, pitch_mm=pitch_mm)
        try:
            image = breast_image(rendered, screened.look)
        except PixelError as error:
            _log.warning("a rendered view is not readable and is left out: %s", error)
            continue
        boxes = [
            DrawnBox((box.left, box.top, box.right, box.bottom), box.finding_type, box.malignant)
            for box in rendered.truth.boxes
        ]
        views.append(training_view(image, standard, boxes))
    return views
