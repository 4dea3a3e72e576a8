"""The plain reading beside the same model's reading of the woman's prior exam: the change per breast.

The change is always reported. With `change_weight` w above 0 it also raises the score of a breast that has become
more suspicious, by w on the log-odds scale for every unit that the log-odds have risen since the prior:

    logit(score) = logit(now) + w · max(0, logit(now) − logit(prior))

It never lowers a score: a prior that looked as suspicious is no reason to call a suspicious finding harmless, since a
cancer may have been there, and overlooked, two years ago. Scores with w above 0 are on a scale of their own, so they
need a calibration of their own (see `scale`). The views' own scores, findings and heat maps stay the current exam's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from pydantic import BaseModel, ConfigDict, Field

from ai.exam import ImageLaterality, StandardView
from ai.findings import BreastAssessment, BreastChange, PriorComparison
from ai.models import ModelCard
from ai.reading import Assessment, PriorViews, ReadView, screening
from ai.reading._breasts import breast_assessments

#: How many earlier exams this strategy looks at.
PRIORS = 1
# a score of exactly 0 or 1 has no finite log-odds
_LEAST = 1e-6


class OPTIONS(BaseModel):
    """change_weight: how much a rise since the prior counts; 0 reports the change and leaves the score alone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    change_weight: float = Field(default=0.0, ge=0.0, le=2.0)


_USUAL = OPTIONS()


def scale(options: OPTIONS) -> str:
    """See `ai.reading`. Without weight the scores are those of `screening`."""
    weight = options.change_weight
    return f"with_priors, change_weight {weight:g}" if weight else screening.scale(screening.OPTIONS())


def assess(
    views: Mapping[StandardView, ReadView],
    card: ModelCard,
    priors: Sequence[PriorViews] = (),
    options: OPTIONS = _USUAL,
) -> Assessment:
    """The exam's assessment, compared with the newest prior. Raises ValueError when there is no view."""
    plain = screening.assess(views, card)
    if not priors:
        return plain
    comparison = _compared(plain, priors[0], options)
    before = {change.image_laterality: change.prior_probability for change in comparison.breasts}
    breasts = tuple(_raised(breast, before, options.change_weight) for breast in plain.breasts)
    return replace(plain, score=max(each.probability for each in breasts), breasts=breasts, prior=comparison)


def with_change(now: float, before: float, weight: float) -> float:
    """A breast's score, raised for what it has risen since the prior (all 0–1); never lower than `now`."""
    risen = _logit(now) - _logit(before)
    if weight == 0 or risen <= 0:
        return now
    return max(now, 1 / (1 + math.exp(-(_logit(now) + weight * risen))))


def _logit(probability: float) -> float:
    kept = min(max(probability, _LEAST), 1 - _LEAST)
    return math.log(kept / (1 - kept))


def _compared(plain: Assessment, prior: PriorViews, options: OPTIONS) -> PriorComparison:
    before = {each.image_laterality: each.probability for each in breast_assessments(prior.views)}
    changes = tuple(
        BreastChange(
            image_laterality=breast.image_laterality,
            prior_probability=before[breast.image_laterality],
            probability=breast.probability,
        )
        for breast in plain.breasts
        if breast.image_laterality in before
    )
    return PriorComparison(
        study_instance_uid=prior.exam.study_instance_uid,
        study_date=prior.exam.study_date,
        algorithm=prior.algorithm,
        breasts=changes,
        score=max(before.values()),
        change_weight=options.change_weight,
    )


def _raised(breast: BreastAssessment, before: Mapping[ImageLaterality, float], weight: float) -> BreastAssessment:
    if breast.image_laterality not in before:
        return breast
    return replace(breast, probability=with_change(breast.probability, before[breast.image_laterality], weight))
