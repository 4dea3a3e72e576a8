"""From exams to a bundle: fit, calibrate, choose the threshold of a mark, measure, fill the card, write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ai import bundle
from ai.calibration import ALL, Calibration, OperatingPoints, ReferenceWindow
from ai.eligibility import EligibilityRules
from ai.findings import Stratum
from ai.models import ModelCard, Task
from ai.models.demo_net import DemoModel, DemoNet
from ai.self_check import SelfCheck, answers
from ai.training import curves
from ai.training.examples import TrainingExam
from ai.training.fit import FitSettings, Fitted, fit
from ai.training.report import Outputs, exam_scores, seen, sentences
from ai.training.synthetic import screening_exams, teaching_exams
from ai.training.world import World

_MARKS_PER_HEALTHY_VIEW = 0.05
_LEAST_WINDOW = 200  # exams of a stratum that make a window of their own


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Numbers of synthetic exams. teaching: several lesions each. training: as in screening, many with cancer.

    tuning and test: half with cancer. reference: as in screening. Reference and test have each system's own pixels.
    """

    teaching: int = 320
    training: int = 200
    tuning: int = 100
    reference: int = 200
    test: int = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """Exams by what they are for. reference: healthy screening exams, whose scores are the percentiles.

    what: the exams in a few words, for the card.
    """

    training: Sequence[TrainingExam]
    tuning: Sequence[TrainingExam]
    reference: Sequence[TrainingExam]
    test: Sequence[TrainingExam]
    what: str


def synthetic(seed: int, sizes: Sizes, cache: Path | None = None) -> Material:
    """Exams of drawn women; each part has women of its own."""
    return Material(
        training=(
            *teaching_exams(seed, sizes.teaching, cache=cache),
            *screening_exams(seed + 500, sizes.training, prevalence=0.4, cache=cache),
        ),
        tuning=screening_exams(seed + 1000, sizes.tuning, prevalence=0.5, cache=cache),
        reference=screening_exams(seed + 2000, sizes.reference, prevalence=0.01, full_size=True, cache=cache),
        test=screening_exams(seed + 3000, sizes.test, prevalence=0.5, full_size=True, cache=cache),
        what="unseen synthetic exams of full size",
    )


def make_bundle(
    folder: Path,
    material: Material,
    *,
    card: ModelCard,
    version: str,
    seed: int,
    settings: FitSettings,
    world: World,
    report: Callable[[int, float], None] = lambda _step, _loss: None,
    checkpoint: Path | None = None,
) -> ModelCard | None:
    """Train and write a bundle, with `curves.png` beside it; returns its card, None in other than the first process.

    version: of the calibration. Raises CheckpointError, ValueError (too few exams of a part).
    """
    if not material.reference:
        raise ValueError("there is no healthy exam outside training to take percentiles from")
    fitted = fit(material.training, material.tuning, settings, seed, world=world, report=report, checkpoint=checkpoint)
    if not world.is_first:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    curves.draw(fitted.history, folder / "curves.png")
    return _write(folder, material, fitted, card, version)


def _write(folder: Path, material: Material, fitted: Fitted, card: ModelCard, version: str) -> ModelCard:
    net = fitted.net
    reference = seen(net, material.reference)
    calibration = Calibration(version=version, windows=_windows(reference, material.reference))
    threshold = finding_threshold(reference, material.reference)
    return bundle.write(
        folder,
        card=card.model_copy(
            update={"finding_threshold": threshold, "performance": _performance(net, material, calibration, threshold)}
        ),
        weights=net.state_dict(),
        eligibility=EligibilityRules(),
        calibration=calibration,
        self_check=SelfCheck(expected=answers(DemoModel(net), Task.DETECTION)),
    )


def _windows(outputs: Sequence[Outputs], reference: Sequence[TrainingExam]) -> dict[str, ReferenceWindow]:
    """A window for each stratum with enough exams, and one of all exams, which stands for the other strata."""
    scores = exam_scores(reference, outputs)
    members: dict[Stratum, list[int]] = {}
    for number, exam in enumerate(reference):
        members.setdefault(exam.stratum, []).append(number)
    own = {stratum: numbers for stratum, numbers in members.items() if len(numbers) >= _LEAST_WINDOW}
    shared = [stratum for stratum in members if stratum not in own]
    windows = {str(stratum): ReferenceWindow.of(scores[numbers], (stratum,)) for stratum, numbers in own.items()}
    return {ALL: ReferenceWindow.of(scores, shared), **windows}


def finding_threshold(outputs: Sequence[Outputs], healthy: Sequence[TrainingExam]) -> float:
    """The saliency above which 5 % of views without cancer would have a mark. outputs: of these exams."""
    highest = [
        output.suspicion.max()
        for told, exam in zip(outputs, healthy, strict=True)
        for output, view in zip(told, exam.views, strict=True)
        if not view.malignant
    ]
    return round(float(np.quantile(highest, 1 - _MARKS_PER_HEALTHY_VIEW)), 4)


def _performance(net: DemoNet, material: Material, calibration: Calibration, threshold: float) -> tuple[str, ...]:
    if not material.test:
        return ("Not measured: no exam was kept for it.",)
    window, points = calibration.windows[ALL], OperatingPoints()
    shares = {
        f"{name}, percentile {percentile:g}": float(np.interp(percentile, window.percentiles, window.scores))
        for name, percentile in (("flag", points.flag_percentile), ("rule-out", points.rule_out_percentile))
    }
    return sentences(net, material.test, threshold, shares, material.what)
