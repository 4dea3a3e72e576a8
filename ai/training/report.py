"""How well a fitted network does on exams it was not fitted on, in a few plain numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ai.models.demo_net import DemoNet, view_probability
from ai.training.cohort import TrainingExam
from ai.training.fit import saliency


def exam_scores(net: DemoNet, exams: Sequence[TrainingExam]) -> NDArray[np.float64]:
    """Each exam's score as `ai.reading.screening` gives it: mean over a breast's views, maximum over breasts."""
    return np.array([_exam_score(net, exam) for exam in exams])


def _exam_score(net: DemoNet, exam: TrainingExam) -> float:
    by_breast: dict[str, list[float]] = {}
    for view in exam.views:
        score = view_probability(net, saliency(net, view))
        by_breast.setdefault(view.standard_view.image_laterality, []).append(score)
    return max(float(np.mean(scores)) for scores in by_breast.values())


def area_under_curve(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """Probability that a positive scores above a negative, ties counting half. NaN without both."""
    if not len(positive) or positive.all() or not positive.any():
        return float("nan")
    above = scores[positive][:, None] - scores[~positive][None, :]
    return float((above > 0).mean() + 0.5 * (above == 0).mean())
