"""The reading engine: an exam and its stored files → a Reading with previews. Never raises for a bad exam.

One engine holds the loaded models of one process, on one device. Given the same files it gives the same scores,
whatever was read before or beside. What it cannot read it says so, with a reason: a failure is never like a negative.

An exam is read in three steps, which `ai.read_ahead` lets overlap: it is prepared (decoded, and brought to the
network's input), computed, alone or in a batch with others, and finished.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any, cast

import numpy as np
import torch

from ai import reading
from ai.bundle import Bundle
from ai.calibration import Calibration, OperatingPoints
from ai.detection import Detector, PreparedViews, ReadViews, as_told
from ai.device import chosen, make_exact, out_of_memory
from ai.eligibility import Eligible, Ineligible, judge, judge_view
from ai.exam import Exam, StandardView
from ai.findings import (
    Algorithm,
    BreastComposition,
    Category,
    CompositionAssessment,
    InputInstance,
    PriorComparison,
    Reading,
    ReadOutcome,
)
from ai.models import CompositionModel, DetectionModel, ModelCard, Task
from ai.operating_points import SitePoints
from ai.pixels import PREPROCESSING_VERSION, BreastImage
from ai.placing import Scale, strata
from ai.prepared import Answers, PreparedExam, Run
from ai.priors import PreparedPrior, PriorReader, PriorsRead
from ai.reading import Assessment, PriorViews, ReadView
from ai.reasons import Reason, ReasonCode
from ai.request import OutOfMemory, ReadRequest
from ai.self_check import SelfCheckFailed, answers, largest_difference
from ai.sources import Sources

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SelfCheckResult:
    """One model's self-check: the largest absolute difference from the outputs it was made with."""

    name: str
    version: str
    largest_difference: float
    tolerance: float


class Engine:
    """Loaded models of one process. Exactly one detection bundle; at most one for breast composition."""

    def __init__(
        self,
        bundles: Sequence[Path],
        *,
        operating_points: OperatingPoints | SitePoints,
        strategy: str = "screening",
        strategy_options: Mapping[str, Any] | None = None,
        calibration: Calibration | None = None,
        negative_without_reference_population: bool = False,
        device: str = "cpu",
        threads: int = 1,
    ) -> None:
        """calibration: instead of the bundle's own. negative_without_reference_population: see `Scale`.

        Raises BundleError, NoSuchExtension (strategy), or ValueError (which bundles, which device, an option).
        """
        self._device = chosen(device)
        make_exact()
        torch.set_num_threads(threads)
        self._threads = threads
        self._detection, self._composition = _by_task([Bundle.load(folder, self._device) for folder in bundles])
        if self._detection.calibration is None:
            raise ValueError("a detection bundle needs a calibration")
        self._strategy_name, self._strategy = strategy, reading.load(strategy)
        self._options = reading.options(strategy, strategy_options or {})
        self._scale = Scale(
            calibration or self._detection.calibration,
            operating_points,
            scores=self._strategy.scale(self._options),
            negative_without_reference_population=negative_without_reference_population,
        )
        self._detector = Detector(cast("DetectionModel", self._detection.model), self._device, threads)
        self._prior_reader = PriorReader(self._detection.eligibility, self.algorithm, self._detector)

    @property
    def algorithm(self) -> Algorithm:
        """The detection model's identification."""
        return _algorithm(self._detection.card)

    @property
    def priors(self) -> int:
        """How many of a woman's earlier exams the strategy looks at."""
        return self._strategy.PRIORS

    def self_check(self) -> list[SelfCheckResult]:
        """Run every bundle's self-check here and now. Raises SelfCheckFailed, naming the model."""
        results = []
        for bundle in self._bundles():
            card, check = bundle.card, bundle.self_check
            difference = largest_difference(check, answers(bundle.model, card.task))
            if not difference <= check.tolerance:
                raise SelfCheckFailed(
                    f"{card.name} {card.version}: outputs differ by {difference:.3g} from those it was made with "
                    f"(allowed {check.tolerance:.3g})"
                )
            results.append(SelfCheckResult(card.name, card.version, difference, check.tolerance))
        return results

    def read(self, exam: Exam, files: Mapping[str, Path], *, revision: int) -> ReadOutcome:
        """Read one exam. files: SOP Instance UID → stored instance, at least of every view of the exam.

        Raises OutOfMemory, but nothing for what is in the exam or its files: the reading is then NOT_READ and says why.
        """
        prepared = self.prepare(ReadRequest(exam, files, revision))
        return self.finish(prepared, self.compute([prepared])[0])

    def prepare(self, request: ReadRequest) -> PreparedExam:
        """Decode what is to be read and bring it to the networks' input. On any thread. Raises OutOfMemory."""
        run = Run(request, Sources(request.files, self._threads), datetime.now(UTC))
        try:
            return self._prepared(run)
        except Exception as error:
            if out_of_memory(error):
                raise as_told(error) from None
            raise

    def compute(self, batch: Sequence[PreparedExam]) -> list[Answers]:
        """The detection model's answers to each exam of a batch. On one thread at a time."""
        start = perf_counter()
        views = [exam.to_compute for exam in batch]
        answers = iter(self._detector.read([each for exam in views for each in exam]))
        sorted_out = [[next(answers) for _ in exam] for exam in views]
        asked = [exam.run for exam, found in zip(batch, sorted_out, strict=True) if found]
        for run in asked:
            run.timings_s["network"] = (perf_counter() - start) / len(asked)
        return list(sorted_out)

    def finish(self, exam: PreparedExam, answers: Answers) -> ReadOutcome:
        """The reading, from the model's answers. On any thread. Raises OutOfMemory."""
        run = exam.run
        try:
            with run.stage("previews"):
                previews = run.sources.previews(run.exam.views)
            return ReadOutcome(self._reading(exam, answers), previews)
        except MemoryError as error:
            raise as_told(error) from None

    def _bundles(self) -> Iterator[Bundle]:
        yield self._detection
        if self._composition is not None:
            yield self._composition

    def _prepared(self, run: Run) -> PreparedExam:
        with run.stage("decode"):
            verdict = self._decode(run)
        if isinstance(verdict, Ineligible):
            return PreparedExam(run, verdict.left_out, verdict.reasons)
        try:
            with run.stage("preprocess"):
                images = {
                    standard: run.sources.breasts[view.sop_instance_uid] for standard, view in verdict.views.items()
                }
                views = self._detector.prepare(images)
        except Exception as error:  # noqa: BLE001 the last border before a woman's exam: it must be told
            return PreparedExam(run, verdict.left_out, _failed(run, error))
        return PreparedExam(run, verdict.left_out, views, verdict.views, self._prepared_priors(run))

    def _prepared_priors(self, run: Run) -> Sequence[PreparedPrior]:
        if not self._strategy.PRIORS or not run.exam.priors:
            return ()
        with run.stage("priors"):
            return self._prior_reader.prepare(run.exam, run.files, self._strategy.PRIORS)

    def _decode(self, run: Run) -> Eligible | Ineligible:
        """Judge, decode what was chosen, and judge again without what proved unfit, until it stands."""
        while True:
            verdict = judge(run.exam, self._detection.eligibility, run.sources.unreadable)
            if isinstance(verdict, Ineligible) or run.sources.prepare(verdict.views.values()):
                return verdict

    def _reading(self, exam: PreparedExam, answers: Answers) -> Reading:
        run = exam.run
        if not isinstance(exam.views, PreparedViews):
            return self._not_read(run, exam.views, exam.left_out)
        try:
            with run.stage("post"):
                read = _read_or_raise(answers[0])
                priors = self._prior_reader.read(exam.priors, answers[1:])
                assessment = self._assess(read, priors)
                placed = self._scale.place(assessment.score, strata(exam.standing.values()))
        except Exception as error:  # noqa: BLE001 the last border before a woman's exam: it must be told
            return self._not_read(run, _failed(run, error), exam.left_out)
        with run.stage("composition"):
            composition = self._assess_composition(run, exam.views.images)
        return Reading(
            study_instance_uid=run.exam.study_instance_uid,
            revision=run.revision,
            algorithm=_algorithm(self._detection.card, f"reference window: {placed.window}"),
            category=placed.category,
            started_at=run.started_at,
            score=assessment.score,
            percentile=placed.percentile,
            band=placed.band,
            left_out=exam.left_out,
            cautions=placed.cautions,
            breasts=assessment.breasts,
            views=assessment.views,
            findings=assessment.findings,
            details=tuple(each.output.detail for each in read.values() if each.output.detail is not None),
            heat_maps=assessment.heat_maps,
            composition=composition,
            stratum=placed.stratum,
            prior=assessment.prior or priors.unread,
            inputs=tuple(_input_instance(standard, view) for standard, view in exam.views.images.items()),
            strategy=self._strategy_name,
            score_scale=self._scale.scores,
            calibration_version=self._scale.version,
            operating_points_version=self._scale.points_version,
            preprocessing_version=PREPROCESSING_VERSION,
            eligibility_version=self._detection.eligibility.version,
            device=str(self._device),
            timings_s=run.timings_s,
        )

    def _assess(self, read: Mapping[StandardView, ReadView], priors: PriorsRead) -> Assessment:
        assessment = self._strategy.assess(read, self._detection.card, priors.views, self._options)
        scores = [assessment.score, *(view.probability for view in assessment.views)]
        scores += [breast.probability for breast in assessment.breasts]
        if not all(np.isfinite(score) and 0.0 <= score <= 1.0 for score in scores):
            raise ValueError("a score is no number between 0 and 1")
        if assessment.prior is None:
            return assessment
        return replace(assessment, prior=self._placed(assessment.prior, priors.views))

    def _placed(self, prior: PriorComparison, priors: Sequence[PriorViews]) -> PriorComparison:
        """The comparison with what the strategy does not know: where the prior stood, and which pixels it is of."""
        read = next(each.views for each in priors if each.exam.study_instance_uid == prior.study_instance_uid)
        placed = self._scale.place(prior.score or 0.0, strata(each.source.view for each in read.values()))
        inputs = tuple(_input_instance(standard, each.source) for standard, each in read.items())
        if placed.cautions:
            return replace(prior, inputs=inputs)
        return replace(prior, inputs=inputs, percentile=placed.percentile, band=placed.band)

    def _assess_composition(self, run: Run, views: Mapping[StandardView, BreastImage]) -> CompositionAssessment | None:
        """Breast composition where there is a model for it and these images suit it; its failure is not the exam's."""
        bundle = self._composition
        if bundle is None or any(judge_view(image.view, bundle.eligibility) for image in views.values()):
            return None
        try:
            probabilities = cast("CompositionModel", bundle.model).assess(views)
            if not np.isfinite(probabilities).all():
                raise ValueError("a probability is no number")
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001 composition is an extra
            _log.exception("composition failed on study %s", run.exam.study_instance_uid)
            return None
        composition = tuple(BreastComposition)[int(np.argmax(probabilities))]
        return CompositionAssessment(
            composition=composition, probabilities=probabilities, algorithm=_algorithm(bundle.card)
        )

    def _not_read(self, run: Run, reasons: tuple[Reason, ...], left_out: tuple[Reason, ...]) -> Reading:
        return Reading(
            study_instance_uid=run.exam.study_instance_uid,
            revision=run.revision,
            algorithm=_algorithm(self._detection.card),
            category=Category.NOT_READ,
            started_at=run.started_at,
            reasons=reasons,
            left_out=left_out,
            stratum=next(iter(strata(run.exam.views)), None),
            strategy=self._strategy_name,
            score_scale=self._scale.scores,
            calibration_version=self._scale.version,
            operating_points_version=self._scale.points_version,
            preprocessing_version=PREPROCESSING_VERSION,
            eligibility_version=self._detection.eligibility.version,
            device=str(self._device),
            timings_s=run.timings_s,
        )


def _algorithm(card: ModelCard, *parameters: str) -> Algorithm:
    return Algorithm(
        name=card.name,
        version=card.version,
        manufacturer=card.manufacturer,
        parameters=parameters,
        weights_sha256=card.weights_sha256,
        labelling=card.labelling,
        calibrated=card.calibrated,
    )


def _input_instance(standard: StandardView, source: BreastImage) -> InputInstance:
    rows, columns = source.image.values.shape
    return InputInstance(
        sop_instance_uid=source.view.sop_instance_uid,
        sop_class_uid=source.view.sop_class_uid,
        standard_view=standard,
        rows=rows,
        columns=columns,
        pixel_sha256=source.image.pixel_sha256,
    )


def _by_task(bundles: Sequence[Bundle]) -> tuple[Bundle, Bundle | None]:
    detection = [bundle for bundle in bundles if bundle.card.task is Task.DETECTION]
    composition = [bundle for bundle in bundles if bundle.card.task is Task.COMPOSITION]
    if len(detection) != 1 or len(composition) > 1:
        raise ValueError(
            "an engine needs exactly one detection bundle and at most one composition bundle, "
            f"not {len(detection)} and {len(composition)}"
        )
    return detection[0], next(iter(composition), None)


def _read_or_raise(answer: ReadViews | Exception) -> ReadViews:
    if isinstance(answer, Exception):
        raise answer
    return answer


def _failed(run: Run, error: Exception) -> tuple[Reason, ...]:
    """Why the exam is not read. Raises OutOfMemory for what says nothing of the exam."""
    if isinstance(error, OutOfMemory) or out_of_memory(error):
        raise as_told(error)
    _log.error("model failed on study %s", run.exam.study_instance_uid, exc_info=error)
    return (Reason(ReasonCode.MODEL_FAILED, detail=type(error).__name__),)
