"""How well a fitted network does on exams it was not fitted on, in plain numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ai.evaluation.auc import area_under_curve, delong
from ai.evaluation.intervals import Estimate
from ai.exam import ImageLaterality
from ai.geometry import Geometry
from ai.models._input import NetworkInput
from ai.models.demo_net import DemoNet, detect_one, look
from ai.training.examples import TrainingExam, TrainingView


def breast_scores(net: DemoNet, exam: TrainingExam) -> dict[ImageLaterality, float]:
    """Each breast's score as `ai.reading.screening` gives it: the mean of its views."""
    views: dict[ImageLaterality, list[float]] = {}
    for view in exam.views:
        views.setdefault(view.standard_view.image_laterality, []).append(look(net, view.values, view.mask)[1])
    return {side: float(np.mean(scores)) for side, scores in views.items()}


def exam_scores(net: DemoNet, exams: Sequence[TrainingExam]) -> NDArray[np.float64]:
    """Each exam's score: that of its higher breast."""
    return np.array([max(breast_scores(net, exam).values()) for exam in exams])


def judged(net: DemoNet, exams: Sequence[TrainingExam]) -> tuple[float, float]:
    """(area under the curve of the exams' scores, mean cross-entropy of the breasts' scores against their labels)."""
    scores, losses = [], []
    for exam in exams:
        breasts = breast_scores(net, exam)
        scores.append(max(breasts.values()))
        losses += [_cross_entropy(breasts[side], label) for side, label in exam.labels.items() if side in breasts]
    cancer = np.array([exam.cancer for exam in exams])
    return area_under_curve(np.array(scores), cancer), float(np.mean(losses)) if losses else math.nan


def _cross_entropy(score: float, label: float) -> float:
    score = min(max(score, 1e-6), 1 - 1e-6)
    return -(label * math.log(score) + (1 - label) * math.log(1 - score))


@dataclass(frozen=True, slots=True)
class Localisation:
    """found: share of exams with drawn cancer on which a mark's middle lies in a malignant box, of `of` such exams.

    marks: mean number of marks on an exam without cancer.
    """

    found: float
    of: int
    marks: float


def localisation(net: DemoNet, exams: Sequence[TrainingExam], threshold: float) -> Localisation:
    """Whether the marks above `threshold` (a saliency, 0–1) lie on the cancers."""
    hits = [
        any(_hits(view, marks(net, view, threshold)) for view in exam.views if view.malignant)
        for exam in exams
        if exam.drawn and exam.cancer
    ]
    healthy = [sum(len(marks(net, view, threshold)) for view in exam.views) for exam in exams if not exam.cancer]
    return Localisation(
        found=float(np.mean(hits)) if hits else math.nan,
        of=len(hits),
        marks=float(np.mean(healthy)) if healthy else math.nan,
    )


def marks(net: DemoNet, view: TrainingView, threshold: float) -> list[tuple[float, float]]:
    """(column, row) of the middles of what reading would mark, on the network's input grid."""
    rows, columns = view.mask.shape
    itself = Geometry(
        left=0, top=0, right=columns, bottom=rows, flipped=False, row_step=1, column_step=1, rows=rows, columns=columns
    )
    output = detect_one(net, NetworkInput(view.values, view.mask, itself))
    boxes = (candidate.box for candidate in output.candidates if candidate.probability >= threshold)
    return [((left + right) / 2, (top + bottom) / 2) for left, top, right, bottom in boxes]


def _hits(view: TrainingView, found: Sequence[tuple[float, float]]) -> bool:
    return any(
        left <= column <= right and top <= row <= bottom
        for column, row in found
        for (left, top, right, bottom), _, malignant in view.boxes
        if malignant
    )


def _interval(area: Estimate) -> str:
    if math.isnan(area.low):
        return "no interval: too few exams, or wholly apart"
    return f"95 % interval {area.low:.3f} to {area.high:.3f}, DeLong's, clustered by woman"


def sentences(
    net: DemoNet, exams: Sequence[TrainingExam], threshold: float, shares: Mapping[str, float], what: str
) -> tuple[str, ...]:
    """What the card says of exams that had no part in training. shares: name → score threshold of operating points."""
    scores, cancer = exam_scores(net, exams), np.array([exam.cancer for exam in exams])
    _, women = np.unique([exam.woman_id for exam in exams], return_inverse=True)
    area = delong(scores, cancer, women).estimate
    place = localisation(net, exams, threshold)
    said = [f"{len(exams)} {what}, {int(cancer.sum())} with cancer: AUC {area.value:.3f} ({_interval(area)})."]
    if cancer.any() and not cancer.all():
        for name, least in shares.items():
            said.append(
                f"{name}: {np.mean(scores[cancer] >= least):.0%} of those with cancer and "
                f"{np.mean(scores[~cancer] >= least):.0%} of those without score at or above {least:.3f}."
            )
    if place.of:
        said.append(
            f"A mark lies on the cancer in {place.found:.0%} of {place.of}; exams without cancer have "
            f"{place.marks:.2f} marks each."
        )
    return tuple(said)
