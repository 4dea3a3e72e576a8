"""From a seed to a bundle: draw, fit, pool, calibrate, measure, write."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ai import bundle
from ai.calibration import ALL, Calibration, OperatingPoints, ReferenceWindow
from ai.eligibility import EligibilityRules
from ai.findings import Stratum
from ai.models import ModelCard, Task
from ai.models.demo_net import CARD, DemoModel, DemoNet
from ai.phantom import VENDOR_LOOKS
from ai.self_check import SelfCheck, answers
from ai.training.cohort import TrainingExam, screening_exams, teaching_exams
from ai.training.fit import FitSettings, fit_maps, fit_pooling, saliency
from ai.training.report import area_under_curve, exam_scores

_log = logging.getLogger(__name__)

_MARKS_PER_NEGATIVE_VIEW = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Number of exams. training: several lesions each. tuning: half with cancer. reference: as in screening."""

    training: int = 320
    tuning: int = 100
    reference: int = 200


def make_bundle(
    folder: Path, *, seed: int, sizes: Sizes, settings: FitSettings, cache: Path | None = None
) -> ModelCard:
    """Train and write a bundle; return its card. Logs what was measured on the exams kept for tuning."""
    net = fit_maps(teaching_exams(seed, sizes.training, cache=cache), settings, seed)
    tuning = screening_exams(seed + 1000, sizes.tuning, prevalence=0.5, cache=cache)
    fit_pooling(net, tuning)
    reference = screening_exams(seed + 2000, sizes.reference, prevalence=0.01, cache=cache)
    window = ReferenceWindow.of(exam_scores(net, reference), drawn_strata())
    card = CARD.model_copy(update={"finding_threshold": finding_threshold(net, reference)})
    _measure(net, tuning, window)
    version = f"synthetic-{seed}"
    return bundle.write(
        folder,
        card=card,
        weights=net.state_dict(),
        eligibility=EligibilityRules(),
        calibration=Calibration(version=version, windows={ALL: window}),
        self_check=SelfCheck(expected=answers(DemoModel(net), Task.DETECTION)),
    )


def drawn_strata() -> tuple[Stratum, ...]:
    """Of the makes of system that exams are drawn of: the reference exams are of all of them."""
    return tuple(
        Stratum(
            manufacturer=look.manufacturer,
            manufacturer_model_name=look.manufacturer_model_name,
            software_versions=", ".join(look.software_versions),
        )
        for look in VENDOR_LOOKS
    )


def finding_threshold(net: DemoNet, negatives: Sequence[TrainingExam]) -> float:
    """The saliency above which 5 % of views without cancer would have a mark."""
    highest = [saliency(net, view).max() for exam in negatives for view in exam.views if not view.malignant]
    logit = float(np.quantile(highest, 1 - _MARKS_PER_NEGATIVE_VIEW))
    return round(float(1 / (1 + np.exp(-logit))), 4)


def _measure(net: DemoNet, held_out: Sequence[TrainingExam], window: ReferenceWindow) -> None:
    scores = exam_scores(net, held_out)
    positive = np.array([exam.malignant for exam in held_out])
    if positive.all() or not positive.any():
        return
    points = OperatingPoints()
    percentiles = np.array([window.percentile(score) for score in scores])
    _log.info(
        "exams kept for tuning: AUC %.3f (%d with cancer, %d without); of those with cancer %.0f %% flagged, "
        "%.0f %% ruled out",
        area_under_curve(scores, positive),
        positive.sum(),
        (~positive).sum(),
        100 * np.mean(percentiles[positive] >= points.flag_percentile),
        100 * np.mean(percentiles[positive] < points.rule_out_percentile),
    )
