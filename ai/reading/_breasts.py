"""A breast's score of its views' scores."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ai.exam import ImageLaterality, StandardView
from ai.findings import BreastAssessment
from ai.reading import ReadView


def breast_assessments(views: Mapping[StandardView, ReadView]) -> tuple[BreastAssessment, ...]:
    """The mean of each breast's views, for the breasts that have any."""
    return tuple(
        BreastAssessment(image_laterality=laterality, probability=float(np.mean(scores)))
        for laterality in ImageLaterality
        if (scores := [v.output.probability for s, v in views.items() if s.image_laterality is laterality])
    )
