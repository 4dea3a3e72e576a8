"""Reading a woman's earlier exams for a strategy that looks at them. A prior never stops the exam at hand.

A prior is held to the same rules as any exam, and read by the same model as the exam at hand, so that the two can be
compared. One that cannot be read is told with its reasons.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ai.detection import Detector, PreparedViews, ReadViews
from ai.device import out_of_memory
from ai.eligibility import EligibilityRules, Ineligible, judge
from ai.exam import Exam
from ai.findings import Algorithm, PriorComparison
from ai.reading import PriorViews
from ai.reasons import Reason, ReasonCode
from ai.request import OutOfMemory
from ai.sources import Sources

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class PreparedPrior:
    """An earlier exam, with its views ready for the model, or why it cannot be read."""

    exam: Exam
    views: PreparedViews | tuple[Reason, ...]


@dataclass(frozen=True, slots=True, eq=False)
class PriorsRead:
    """views: of the priors that could be read, the newest first. unread: the newest one that could not."""

    views: tuple[PriorViews, ...] = ()
    unread: PriorComparison | None = None


@dataclass(frozen=True, slots=True)
class PriorReader:
    """Reads priors with the engine's model."""

    rules: EligibilityRules
    algorithm: Algorithm
    detector: Detector

    def prepare(self, exam: Exam, files: Mapping[str, Path], most: int) -> list[PreparedPrior]:
        """The newest `most` priors of the exam, decoded. Raises OutOfMemory."""
        return [PreparedPrior(prior, self._prepare_one(prior, files)) for prior in exam.priors[:most]]

    def read(self, priors: Sequence[PreparedPrior], answers: Sequence[ReadViews | Exception]) -> PriorsRead:
        """answers: to those priors that have views, in their order. Raises OutOfMemory where one of them is that."""
        views: list[PriorViews] = []
        unread: PriorComparison | None = None
        following = iter(answers)
        for prior in priors:
            found = next(following) if isinstance(prior.views, PreparedViews) else prior.views
            if isinstance(found, dict):
                views.append(PriorViews(prior.exam, found, self.algorithm))
            else:
                unread = unread or self._unread(prior.exam, _reasons(found))
        return PriorsRead(tuple(views), unread)

    def _prepare_one(self, prior: Exam, files: Mapping[str, Path]) -> PreparedViews | tuple[Reason, ...]:
        sources = Sources(files, self.detector.threads)
        try:
            while True:
                verdict = judge(prior, self.rules, sources.unreadable)
                if isinstance(verdict, Ineligible):
                    return verdict.reasons
                if sources.prepare(verdict.views.values()):
                    break
            images = {s: sources.breasts[view.sop_instance_uid] for s, view in verdict.views.items()}
            return self.detector.prepare(images)
        except Exception as error:  # noqa: BLE001 whatever a prior does to us, the exam at hand is read
            _log.exception("prior study %s could not be read", prior.study_instance_uid)
            if isinstance(error, OutOfMemory) or out_of_memory(error):
                raise OutOfMemory(str(error)) from None
            return _reasons(error)

    def _unread(self, prior: Exam, reasons: tuple[Reason, ...]) -> PriorComparison:
        return PriorComparison(
            study_instance_uid=prior.study_instance_uid,
            study_date=prior.study_date,
            algorithm=self.algorithm,
            reasons=reasons,
        )


def _reasons(found: Exception | tuple[Reason, ...]) -> tuple[Reason, ...]:
    if isinstance(found, OutOfMemory):
        raise found
    if isinstance(found, Exception):
        return (Reason(ReasonCode.MODEL_FAILED, detail=type(found).__name__),)
    return found
