"""The plain reading of a screening exam: a breast scores as the mean of its views, the exam as its higher breast.

The mean asks both views to agree a little, which is what a second view is for; the maximum over breasts, because
cancer is in one of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ConfigDict

from ai.exam import StandardView
from ai.findings import ViewAssessment
from ai.models import ModelCard
from ai.pixels import outline
from ai.reading import Assessment, PriorViews, ReadView
from ai.reading._breasts import breast_assessments
from ai.reading._heat_map import heat_map
from ai.reading._lesions import findings

PRIORS = 0


class OPTIONS(BaseModel):
    """There is nothing to choose."""

    model_config = ConfigDict(frozen=True, extra="forbid")


_USUAL = OPTIONS()


def scale(options: OPTIONS) -> str:
    """See `ai.reading`."""
    return "screening"


def assess(
    views: Mapping[StandardView, ReadView],
    card: ModelCard,
    priors: Sequence[PriorViews] = (),
    options: OPTIONS = _USUAL,
) -> Assessment:
    """The exam's assessment. Raises ValueError when there is no view."""
    if not views:
        raise ValueError("an exam without views cannot be assessed")
    breasts = breast_assessments(views)
    return Assessment(
        score=max(breast.probability for breast in breasts),
        breasts=breasts,
        views=tuple(_view_assessment(standard, view) for standard, view in views.items()),
        findings=findings(views, card.finding_threshold),
        heat_maps=tuple(heat_map(view) for view in views.values()),
    )


def _view_assessment(standard: StandardView, view: ReadView) -> ViewAssessment:
    rows, columns = view.source.image.values.shape
    return ViewAssessment(
        sop_instance_uid=view.source.view.sop_instance_uid,
        standard_view=standard,
        probability=view.output.probability,
        breast_outline=outline(view.source.breast, (rows, columns)),
    )
